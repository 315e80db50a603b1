"""Overviews, read from the tallies: nothing is counted here."""

from collections.abc import Sequence

from msgspec import structs

from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.instants import Clock, format_instant
from nexus.domain.core.principal import Principal
from nexus.domain.tallies.model import Tally
from nexus.domain.tallies.service import Tallies

LONGEST_DAYS = 90


class Overview(Tally, frozen=True, kw_only=True):
    """What a tenant has and did in all, and `today`."""

    builds_running: int
    today: Tally


class Statistics:
    def __init__(self, *, tallies: Tallies, clock: Clock) -> None:
        self._tallies, self._clock = tallies, clock

    async def read_overview(self, caller: Principal) -> Overview:
        total = await self._tallies.read_total_tally(caller)
        today = format_instant(self._clock())[:10]
        found = await self._tallies.list_daily_tallies(caller, today, today)
        over = total.builds_completed + total.builds_failed + total.builds_cancelled
        day = found[0] if found else Tally(tenant_id=caller.tenant_id, day=today)
        return Overview(**structs.asdict(total), builds_running=max(0, total.builds_started - over), today=day)

    async def list_daily_tallies(self, caller: Principal, days: int) -> Sequence[Tally]:
        """The last so many days, today included, oldest first; days on which nothing happened are zeros."""
        if not 1 <= days <= LONGEST_DAYS:
            raise InvalidInput(f"days must be from 1 to {LONGEST_DAYS}")
        now = self._clock()
        wanted = [format_instant(now - 86_400 * back)[:10] for back in range(days - 1, -1, -1)]
        found = {tally.day: tally for tally in await self._tallies.list_daily_tallies(caller, wanted[0], wanted[-1])}
        return [found.get(day) or Tally(tenant_id=caller.tenant_id, day=day) for day in wanted]
