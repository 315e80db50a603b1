"""Counters that are exact: each is changed in the commit that inserts what it counts."""

from nexus.domain.core.errors import QuotaExceeded
from nexus.domain.core.instants import Clock, instant
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import Tables, Window
from nexus.domain.ports.rows import Below, Write, tally, when
from nexus.domain.tallies.model import NOW, TOTAL, Tally
from nexus.domain.tallies.tables import TALLIES

RETRY_SECONDS = 10


class Tallies:
    def __init__(self, *, tables: Tables, clock: Clock) -> None:
        self._tables, self._clock = tables, clock

    def counting(self, tenant_id: str, **add: int) -> list[Write]:
        """Adds to the day and to the total of a tenant. Commit it beside the insert of what is counted."""
        today = instant(self._clock())[:10]
        return [tally(TALLIES, (tenant_id, day), **add) for day in (today, TOTAL)]

    async def admitting(self, tenant_id: str, *, most: int) -> Write:
        """One more build under way; the commit that holds it is refused, like this, when there are as many as may be.

        QuotaExceeded: `facts["position"]` is how many are before it."""
        row = await self._tables.find(TALLIES, tenant_id, NOW)
        if row and row.builds_active >= most:
            active = row.builds_active
            raise QuotaExceeded(
                f"{active} builds wait or run already; {most} may.",
                position=active,
                limit=most,
                retry_after=RETRY_SECONDS,
            )
        return tally(TALLIES, (tenant_id, NOW), when(builds_active=Below(most)), builds_active=1)

    def leaving(self, tenant_id: str) -> Write:
        """One build less under way."""
        return tally(TALLIES, (tenant_id, NOW), builds_active=-1)

    async def total(self, caller: Principal) -> Tally:
        found = await self._tables.of(caller).find(TALLIES, caller.tenant_id, TOTAL)
        return found or Tally(tenant_id=caller.tenant_id, day=TOTAL)

    async def days(self, caller: Principal, since: str, until: str) -> list[Tally]:
        """The days that have anything to tell, oldest first; at most 100."""
        window = Window(limit=100, since=since, until=until)
        return (await self._tables.of(caller).page(TALLIES, caller.tenant_id, window=window)).items
