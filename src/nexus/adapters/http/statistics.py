"""Routes of overviews."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from nexus.adapters.http.answers import sums, view
from nexus.adapters.http.openapi import documented
from nexus.domain.core.principal import Principal
from nexus.domain.services import Services
from nexus.domain.statistics.service import LONGEST_DAYS
from nexus.wire.statistics import (
    BuildsOfDay,
    BuildStatistics,
    InvocationsOfDay,
    InvocationStatistics,
    OverviewView,
)

Days = Annotated[int, QueryParameter(ge=1, le=LONGEST_DAYS, description="So many days up to today (UTC).")]


@get("/statistics/overview", operation_id="getOverview", **documented("statistics"))
async def get_overview(caller: NamedDependency[Principal], services: NamedDependency[Services]) -> OverviewView:
    """What there is, and what was done in all and today."""
    return view(await services.statistics.overview(caller), OverviewView)


@get("/statistics/builds", operation_id="getBuildStatistics", **documented("statistics"))
async def get_build_statistics(
    caller: NamedDependency[Principal], services: NamedDependency[Services], days: Days = 30
) -> BuildStatistics:
    """Builds by day."""
    found = await services.statistics.days(caller, days)
    return sums(BuildStatistics, [view(day, BuildsOfDay) for day in found])


@get("/statistics/invocations", operation_id="getInvocationStatistics", **documented("statistics"))
async def get_invocation_statistics(
    caller: NamedDependency[Principal], services: NamedDependency[Services], days: Days = 30
) -> InvocationStatistics:
    """Calls of agents by day."""
    found = await services.statistics.days(caller, days)
    return sums(InvocationStatistics, [view(day, InvocationsOfDay) for day in found])


ROUTES = [get_overview, get_build_statistics, get_invocation_statistics]
