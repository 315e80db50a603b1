"""Counters are spread over rows, and read as one."""

from collections import Counter

from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.ports.database import Tables
from nexus.domain.ports.rows import Write, insert
from nexus.domain.tallies.model import COUNTERS, NOW, TOTAL, Tally
from nexus.domain.tallies.service import Tallies
from nexus.domain.tallies.shards import SHARDS, make_shard_name, sum_shards
from nexus.domain.tallies.tables import TALLIES
from tests.memory_app import ANN, EVE, MovableClock

TENANT = ANN.tenant_id


def make_tallies() -> tuple[Tallies, Tables]:
    clock = MovableClock()
    tables = Tables(MemoryTables(), secret=b"s", clock=clock)
    return Tallies(tables=tables, clock=clock), tables


def count(number: int, *writes: Write) -> list[Write]:
    """Beside something that is counted."""
    return [insert(TALLIES, Tally(tenant_id="tnt_facts", day=f"fact {number}")), *writes]


async def test_what_is_counted_goes_round_the_shards_and_is_read_as_one_sum() -> None:
    tallies, tables = make_tallies()
    for number in range(3 * SHARDS):
        await tables.commit(*count(number, *tallies.make_tally_writes(TENANT, messages=2, agents=-1)))
    shards = [shard async for shard in tables.each(TALLIES, TENANT)]
    assert Counter((shard.messages, shard.agents) for shard in shards) == {(6, -3): 2 * SHARDS}
    total = await tallies.read_total_tally(ANN)
    assert (total.day, total.messages, total.agents) == (TOTAL, 6 * SHARDS, -3 * SHARDS)
    assert (await tallies.read_total_tally(EVE)).messages == 0


async def test_a_row_of_before_counts_beside_its_shards() -> None:
    tallies, tables = make_tallies()
    await tables.commit(
        insert(TALLIES, Tally(tenant_id=TENANT, day=TOTAL, messages=40)),
        insert(TALLIES, Tally(tenant_id=TENANT, day="2027-01-14", messages=3)),
        insert(TALLIES, Tally(tenant_id=TENANT, day=NOW, builds_active=1)),
    )
    await tables.commit(*count(1, *tallies.make_tally_writes(TENANT, messages=2)))
    assert (await tallies.read_total_tally(ANN)).messages == 42
    days = await tallies.list_daily_tallies(ANN, "2027-01-14", "2027-01-15")
    assert [(day.day, day.messages) for day in days] == [("2027-01-14", 3), ("2027-01-15", 2)]


async def test_ninety_days_of_all_shards_are_read_whole() -> None:
    tallies, tables = make_tallies()
    days = [f"2026-{month:02}-{day:02}" for month in (1, 2, 3) for day in range(1, 31)]
    for day in days:
        rows = [
            Tally(tenant_id=TENANT, day=make_shard_name(day, shard), **dict.fromkeys(COUNTERS, shard))
            for shard in range(SHARDS)
        ]
        await tables.commit(*(insert(TALLIES, row) for row in rows))
    found = await tallies.list_daily_tallies(ANN, days[0], days[-1])
    assert [day.day for day in found] == days
    assert {getattr(day, name) for day in found for name in COUNTERS} == {sum(range(SHARDS))}


def test_nothing_sums_to_nothing() -> None:
    assert sum_shards([]) == []
