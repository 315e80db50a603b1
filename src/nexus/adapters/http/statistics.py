"""Routes of overviews."""

from typing import Annotated

from litestar.params import QueryParameter

from nexus.adapters.http.answers import convert_to_wire, sum_daily_statistics
from nexus.adapters.http.requests import JSONRequest
from nexus.adapters.http.routes import Routes
from nexus.domain.statistics.service import LONGEST_DAYS
from nexus.wire.statistics import BuildsOfDay, BuildStatistics, InvocationsOfDay, InvocationStatistics, OverviewView

route = Routes("statistics")

Days = Annotated[int, QueryParameter(ge=1, le=LONGEST_DAYS, description="So many days up to today (UTC).")]


@route("GET /statistics/overview")
async def get_overview(request: JSONRequest) -> OverviewView:
    """What there is, and what was done in all and today."""
    return convert_to_wire(await request.services.statistics.read_overview(request.caller), OverviewView)


@route("GET /statistics/builds")
async def get_build_statistics(request: JSONRequest, days: Days = 30) -> BuildStatistics:
    """Builds by day."""
    found = await request.services.statistics.list_daily_tallies(request.caller, days)
    return sum_daily_statistics(BuildStatistics, [convert_to_wire(day, BuildsOfDay) for day in found])


@route("GET /statistics/invocations")
async def get_invocation_statistics(request: JSONRequest, days: Days = 30) -> InvocationStatistics:
    """Calls of agents by day."""
    found = await request.services.statistics.list_daily_tallies(request.caller, days)
    return sum_daily_statistics(InvocationStatistics, [convert_to_wire(day, InvocationsOfDay) for day in found])
