"""Counters that are exact: each is changed in the commit that inserts what it counts."""

from nexus.domain.core.instants import Clock, format_instant
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import Tables, Window
from nexus.domain.ports.rows import When, Write, tally
from nexus.domain.tallies.model import NOW, TOTAL, Tally
from nexus.domain.tallies.tables import TALLIES


class Tallies:
    def __init__(self, *, tables: Tables, clock: Clock) -> None:
        self._tables, self._clock = tables, clock

    def make_tally_writes(self, tenant_id: str, **add: int) -> list[Write]:
        """Adds to the day and to the total of a tenant. Commit it beside the insert of what is counted."""
        today = format_instant(self._clock())[:10]
        return [tally(TALLIES, (tenant_id, day), **add) for day in (today, TOTAL)]

    async def read_active_tally(self, tenant_id: str) -> Tally:
        """What the tenant has under way."""
        return await self._tables.find(TALLIES, tenant_id, NOW) or Tally(tenant_id=tenant_id, day=NOW)

    def make_active_tally_write(self, tenant_id: str, condition: When = When(), /, **add: int) -> Write:
        """Adds to what the tenant has under way, if the condition holds of it."""
        return tally(TALLIES, (tenant_id, NOW), condition, **add)

    async def read_total_tally(self, caller: Principal) -> Tally:
        found = await self._tables.for_caller(caller).find(TALLIES, caller.tenant_id, TOTAL)
        return found or Tally(tenant_id=caller.tenant_id, day=TOTAL)

    async def list_daily_tallies(self, caller: Principal, since: str, until: str) -> list[Tally]:
        """The days that have anything to tell, oldest first; at most 100."""
        window = Window(limit=100, since=since, until=until)
        return (await self._tables.for_caller(caller).read_page(TALLIES, caller.tenant_id, window=window)).items
