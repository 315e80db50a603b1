"""Counters that are exact: each is changed in the commit that inserts what it counts."""

import random
from itertools import cycle

from nexus.domain.core.instants import Clock, format_instant
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import PAGE_LIMIT, Tables, Window
from nexus.domain.ports.rows import When, Write, tally
from nexus.domain.tallies.model import NOW, TOTAL, Tally
from nexus.domain.tallies.shards import SHARDS, make_last_shard_bound, make_shard_name, sum_shards
from nexus.domain.tallies.tables import TALLIES


class Tallies:
    def __init__(self, *, tables: Tables, clock: Clock) -> None:
        self._tables, self._clock = tables, clock
        self._shards = cycle(random.sample(range(SHARDS), SHARDS))

    def make_tally_writes(self, tenant_id: str, **add: int) -> list[Write]:
        """Adds to the day and to the total of a tenant, in the shard whose turn it is. Commit it beside the insert of what is counted."""
        today, shard = format_instant(self._clock())[:10], next(self._shards)
        return [tally(TALLIES, (tenant_id, make_shard_name(day, shard)), **add) for day in (today, TOTAL)]

    async def read_active_tally(self, tenant_id: str) -> Tally:
        """What the tenant has under way."""
        return await self._tables.find(TALLIES, tenant_id, NOW) or Tally(tenant_id=tenant_id, day=NOW)

    def make_active_tally_write(self, tenant_id: str, condition: When = When(), /, **add: int) -> Write:
        """Adds to what the tenant has under way, if the condition holds of it."""
        return tally(TALLIES, (tenant_id, NOW), condition, **add)

    async def read_total_tally(self, caller: Principal) -> Tally:
        found = await self._sum_days(caller, TOTAL, TOTAL)
        return found[0] if found else Tally(tenant_id=caller.tenant_id, day=TOTAL)

    async def list_daily_tallies(self, caller: Principal, since: str, until: str) -> list[Tally]:
        """The days that have anything to tell, oldest first."""
        return await self._sum_days(caller, since, until)

    async def _sum_days(self, caller: Principal, since: str, until: str) -> list[Tally]:
        """The shards of a day lie side by side: all of them are one page."""
        window = Window(limit=PAGE_LIMIT, since=since, until=make_last_shard_bound(until))
        shards = self._tables.for_caller(caller).each(TALLIES, caller.tenant_id, window=window)
        return sum_shards([shard async for shard in shards])
