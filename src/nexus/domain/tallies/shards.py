"""The rows over which a counter is spread."""

from collections.abc import Iterable
from contextlib import suppress

from msgspec import structs

from nexus.domain.core.errors import Stale
from nexus.domain.ports.database import Tables, Window
from nexus.domain.ports.rows import delete, tally, when
from nexus.domain.tallies.model import COUNTERS, NOW, Tally
from nexus.domain.tallies.tables import TALLIES

SHARDS = 16
"""Over how many rows: one bears a thousand writes a second at most, and one transaction at a time."""


def make_shard_name(day: str, shard: int) -> str:
    return f"{day}#{shard:02}"


def make_last_shard_bound(day: str) -> str:
    """What sorts behind a day and all of its shards, and before the next day."""
    return f"{day}#~"


def sum_shards(shards: Iterable[Tally]) -> list[Tally]:
    """One tally for each day, in the order in which the days come first. A row that was never sharded counts like a shard."""
    sums = dict[str, Tally]()
    for shard in shards:
        day = shard.day.partition("#")[0]
        before = sums.get(day, Tally(tenant_id=shard.tenant_id, day=day))
        added = {name: getattr(before, name) + getattr(shard, name) for name in COUNTERS}
        sums[day] = structs.replace(before, **added)
    return list(sums.values())


async def move_unsharded_tallies(tables: Tables, window: Window) -> str | None:
    """A page of all tallies: what an earlier release counted in one row goes into a shard. The cursor of the next page."""
    page = await tables.walk(TALLIES, window)
    for row in page.items:
        if row.day != NOW and "#" not in row.day:
            await _move_into_shard(tables, row)
    return page.cursor


async def _move_into_shard(tables: Tables, row: Tally) -> None:
    """What was read goes over in one commit, which leaves the sum as it is, whatever was counted since, and even if it is made twice. The
    row goes when it is empty; where somebody counts in it meanwhile it stays, and is read with the shards."""
    counts = {name: count for name in COUNTERS if (count := getattr(row, name))}
    if counts:
        taken = tally(TALLIES, (row.tenant_id, row.day), **{name: -count for name, count in counts.items()})
        await tables.commit(taken, tally(TALLIES, (row.tenant_id, make_shard_name(row.day, 0)), **counts))
    with suppress(Stale):
        await tables.commit(delete(TALLIES, row, when(**dict.fromkeys(COUNTERS, (0, None)))))
