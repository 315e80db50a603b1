"""Values of any size that a row may have come back as they were, from every store and by every kind of write."""

import asyncio
from typing import Any

import pytest
from msgspec import structs

from nexus.domain.core.errors import AlreadyExists, InvalidInput, Stale
from nexus.domain.ports.database import TableDriver, Tables
from nexus.domain.ports.rows import (
    LARGEST_ROW_BYTES,
    VALUE_BYTES,
    Row,
    Table,
    Write,
    delete,
    insert,
    patch,
    replace,
    when,
)
from tests.contracts.stored import JOBS, LINES, Job, Line

SIZES = [VALUE_BYTES - 3, VALUE_BYTES - 2, VALUE_BYTES - 1, 400_000, 1_000_000]


class Wide(Row, frozen=True, kw_only=True):
    key: str
    a: str
    b: str
    c: str
    d: str
    e: str
    f: str = ""
    g: str = ""


WIDE = Table("wide", Wide, ("key",))


def large(size: int, letter: str = "知") -> str:
    """A text of so many bytes of UTF-8."""
    times, rest = divmod(size, len(letter.encode()))
    return letter * times + "x" * rest


@pytest.mark.parametrize("size", SIZES)
async def test_a_large_value_comes_back_as_it_went(tables: Tables, size: int) -> None:
    line, job = Line(topic="t", position=1, text=large(size)), Job(job_id="j1", payload={"text": large(size), "n": [1]})
    await tables.commit(insert(LINES, line))
    await tables.commit(insert(JOBS, job))
    assert await tables.find_rows((LINES, ("t", 1)), (JOBS, ("j1",))) == [line, job]
    assert [await tables.get(LINES, "t", 1), await tables.get(JOBS, "j1")] == [line, job]
    assert (await tables.read_page(LINES, "t")).items == [line]
    assert (await tables.read_page(JOBS, "u1", index="UserIndex")).items == [job]
    assert (await tables.walk(JOBS)).items == [job]


async def test_a_commit_of_large_values_is_whole_or_nothing(tables: Tables) -> None:
    lines = [Line(topic="t", position=n, text=large(200_000, "abc"[n % 3])) for n in range(12)]
    await tables.commit(*(insert(LINES, line) for line in lines))
    assert (await tables.read_page(LINES, "t")).items == lines
    other = Line(topic="t", position=99, text=large(300_000, "z"))
    with pytest.raises(AlreadyExists):
        await tables.commit(insert(LINES, other), insert(LINES, lines[0]))
    assert await tables.find(LINES, "t", 99) is None


async def test_a_large_value_is_changed_and_taken_away(tables: Tables) -> None:
    await tables.commit(insert(JOBS, job := Job(job_id="j1", worker=large(100_000))))
    await tables.commit(patch(JOBS, job, payload={"text": large(500_000, "b")}))
    now = await tables.get(JOBS, "j1")
    assert (now.worker, now.payload) == (job.worker, {"text": large(500_000, "b")})
    await tables.commit(replace(JOBS, structs.replace(now, worker="small", tags=[large(70_000, "c")])))
    now = await tables.get(JOBS, "j1")
    assert (now.worker, now.tags) == ("small", [large(70_000, "c")])
    await tables.commit(patch(JOBS, now, payload=None))
    assert (await tables.get(JOBS, "j1")).payload is None
    with pytest.raises(Stale):
        await tables.commit(patch(JOBS, now, when(status="done"), worker=large(80_000)))
    await tables.commit(delete(JOBS, now))
    assert await tables.find(JOBS, "j1") is None


async def test_a_condition_knows_whether_a_large_value_is_there(tables: Tables) -> None:
    await tables.commit(insert(JOBS, job := Job(job_id="j1", worker=large(100_000))))
    for condition in (when(worker=None), when(worker="w")):
        with pytest.raises(Stale):
            await tables.commit(patch(JOBS, job, condition, priority=1))
    with pytest.raises(ValueError, match="short values"):
        when(worker=large(100_000))


async def test_rows_with_one_large_value_in_common_have_it_each(tables: Tables) -> None:
    lines = [Line(topic=f"t{n}", position=1, text=large(90_000)) for n in range(8)]
    await asyncio.gather(*(tables.commit(insert(LINES, line)) for line in lines))
    await tables.commit(delete(LINES, lines[0]))
    assert await tables.find_rows(*((LINES, (line.topic, 1)) for line in lines)) == [None, *lines[1:]]


async def test_what_a_store_hands_out_is_what_it_was_given(tables: Tables, driver: TableDriver) -> None:
    fields: dict[str, Any] = {"topic": "t", "position": 1, "text": large(100_000), "future": [large(100_000, "f")]}
    await driver.write_rows([Write("put", LINES, ("t", 1), fields)])
    assert await driver.read_rows([(LINES, ("t", 1))]) == [fields]
    assert (await tables.get(LINES, "t", 1)).text == large(100_000)


def test_a_row_has_a_bound_for_its_small_values_and_one_for_all() -> None:
    insert(JOBS, Job(job_id="j", tags=[large(VALUE_BYTES)], payload={"text": large(LARGEST_ROW_BYTES - 100_000)}))
    with pytest.raises(InvalidInput):
        insert(JOBS, Job(job_id="j", payload={"text": large(LARGEST_ROW_BYTES)}))
    small = large(VALUE_BYTES - 100, "s")
    with pytest.raises(InvalidInput):
        insert(WIDE, Wide(key="k", **dict.fromkeys("abcdefg", small)))
    insert(WIDE, Wide(key="k", **dict.fromkeys("abcde", small)))
