"""The contract of the storage port: lists, pages, cursors."""

import asyncio
from typing import Any

import pytest
from msgspec import structs

from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import Tables, Window
from nexus.domain.ports.rows import (
    Table,
    delete,
    insert,
    patch,
    when,
)
from tests.contracts.stored import JOBS, LINES, Job, Line

ANN, BOB = Principal("t1", "u1"), Principal("t2", "u1")


async def everything(
    tables: Tables, table: Table[Any], *partition: str, index: str | None = None, **window: Any
) -> list[Any]:
    """All pages, one after the other."""
    rows: list[Any] = []
    wanted = Window(**window)
    while True:
        page = await tables.read_page(table, *partition, index=index, window=wanted)
        rows += page.items
        if page.cursor is None:
            return rows
        wanted = structs.replace(wanted, cursor=page.cursor)


async def test_pages_follow_the_key(tables: Tables) -> None:
    await asyncio.gather(*(tables.commit(insert(LINES, Line(topic="t", position=n))) for n in range(25)))
    await tables.commit(insert(LINES, Line(topic="other", position=3)))

    async def positions(**window: Any) -> list[int]:
        return [line.position for line in await everything(tables, LINES, "t", **window)]

    assert await positions(limit=10) == list(range(25))
    assert await positions(limit=7, newest_first=True) == list(range(24, -1, -1))
    assert await positions(limit=2, since=3, until=8) == [3, 4, 5, 6, 7, 8]
    assert await positions(limit=2, since=22, newest_first=True) == [24, 23, 22]
    assert await positions(limit=2, until=2) == [0, 1, 2]
    assert await positions(limit=2, since=8, until=3) == []
    assert await everything(tables, LINES, "none") == []


async def test_pages_follow_an_index_with_equal_sort_values(tables: Tables) -> None:
    jobs = [Job(job_id=f"j{n:02d}", created_at=f"2025-01-0{1 + n // 4}", priority=n % 3) for n in range(12)]
    await tables.commit(*(insert(JOBS, job) for job in jobs), insert(JOBS, Job(job_id="x", user_id="u2")))
    for newest_first in (False, True):
        rows = await everything(tables, JOBS, "u1", index="UserIndex", limit=3, newest_first=newest_first)
        assert sorted(row.job_id for row in rows) == [job.job_id for job in jobs]
        assert [row.created_at for row in rows] == sorted((row.created_at for row in rows), reverse=newest_first)
    numbers = await everything(tables, JOBS, "t1", index="PriorityIndex", limit=5)
    assert [row.priority for row in numbers] == sorted(row.priority for row in numbers) and len(numbers) == 13


async def test_a_joined_index_moves_with_its_parts(tables: Tables) -> None:
    async def listed(status: str) -> list[str]:
        return [row.job_id for row in await everything(tables, JOBS, "u1", status, index="UserStatusIndex")]

    job = Job(job_id="j1")
    await tables.commit(insert(JOBS, job), insert(JOBS, Job(job_id="j2", user_id='u1","queued')))
    assert await listed("queued") == ["j1"]
    await tables.commit(patch(JOBS, job, when(status="queued"), status="running"))
    assert await listed("queued") == [] and await listed("running") == ["j1"]
    await tables.edit_row(JOBS, "j1", change=lambda job: structs.replace(job, status="done"))
    assert await listed("done") == ["j1"]


async def test_a_sparse_index_has_only_what_is_due(tables: Tables) -> None:
    jobs = [Job(job_id=f"j{n}", shard="d#1", due_at=f"2025-01-0{n + 1}") for n in range(4)]
    others = [Job(job_id="idle"), Job(job_id="half", shard="d#1")]
    await tables.commit(*(insert(JOBS, job) for job in [*jobs, *others]))
    due = await everything(tables, JOBS, "d#1", index="DispatchIndex", until="2025-01-03")
    assert [job.job_id for job in due] == ["j0", "j1", "j2"] and due[0] == jobs[0]
    await tables.commit(patch(JOBS, jobs[1], shard=None, due_at=None))
    due = await everything(tables, JOBS, "d#1", index="DispatchIndex", limit=1)
    assert [job.job_id for job in due] == ["j0", "j2", "j3"]


async def test_a_page_goes_on_though_its_last_row_moved_or_went(tables: Tables) -> None:
    jobs = [Job(job_id=f"j{n}", created_at=f"2025-01-0{n + 1}") for n in range(6)]
    await tables.commit(*(insert(JOBS, job) for job in jobs))
    window = Window(limit=2, newest_first=True)
    first = await tables.read_page(JOBS, "u1", index="UserIndex", window=window)
    assert [job.job_id for job in first.items] == ["j5", "j4"]
    await tables.commit(patch(JOBS, jobs[4], created_at="2025-02-01"))
    second = await tables.read_page(JOBS, "u1", index="UserIndex", window=structs.replace(window, cursor=first.cursor))
    assert [job.job_id for job in second.items] == ["j3", "j2"]
    await tables.commit(delete(JOBS, jobs[2]))
    third = await tables.read_page(JOBS, "u1", index="UserIndex", window=structs.replace(window, cursor=second.cursor))
    assert [job.job_id for job in third.items] == ["j1", "j0"]


async def test_a_cursor_opens_only_its_own_list(tables: Tables) -> None:
    jobs = [Job(job_id=f"j{n}", created_at=f"2025-01-0{n + 1}") for n in range(4)]
    lines = [Line(topic="u1", position=n) for n in range(4)]
    await tables.commit(*(insert(JOBS, job) for job in jobs), *(insert(LINES, line) for line in lines))
    ann, bob = tables.for_caller(ANN), tables.for_caller(BOB)
    page = await ann.read_page(JOBS, "u1", index="UserIndex", window=Window(limit=2))
    assert page.cursor and len(page.items) == 2
    there = Window(limit=2, cursor=page.cursor)
    assert len((await ann.read_page(JOBS, "u1", index="UserIndex", window=there)).items) == 2
    with pytest.raises(InvalidInput):
        await bob.read_page(JOBS, "u1", index="UserIndex", window=there)
    with pytest.raises(InvalidInput):
        await tables.read_page(LINES, "u1", window=there)
    with pytest.raises(InvalidInput):
        await ann.read_page(JOBS, "u2", index="UserIndex", window=there)
    for wrong in (
        structs.replace(there, until="2025-01-01"),
        structs.replace(there, newest_first=True),
        *(Window(cursor=cursor) for cursor in (page.cursor[:-2] + "AA", "nonsense", "ü€", "", "A")),
    ):
        with pytest.raises(InvalidInput):
            await ann.read_page(JOBS, "u1", index="UserIndex", window=wrong)


async def test_text_sorts_by_code_point(tables: Tables) -> None:
    names = ["a", "B", "é", "z", "\uffff", "\U0001f600", "日"]
    await tables.commit(*(insert(JOBS, Job(job_id=name, created_at=name)) for name in names))
    rows = await everything(tables, JOBS, "u1", index="UserIndex", limit=2)
    assert [job.job_id for job in rows] == sorted(names)


async def test_a_walk_meets_every_row_once(tables: Tables) -> None:
    await tables.commit(*(insert(LINES, Line(topic=f"t{n % 7}", position=n)) for n in range(50)))
    await tables.commit(*(insert(JOBS, Job(job_id=f"j{n}", tenant_id=f"t{n % 2}")) for n in range(9)))
    views: list[tuple[Tables, Table[Any], int]] = [
        (tables, LINES, 50),
        (tables, JOBS, 9),
        (tables.for_caller(ANN), JOBS, 4),
    ]
    for view, table, count in views:
        rows: list[Any] = []
        window = Window(limit=7)
        while True:
            page = await view.walk(table, window)
            rows += page.items
            if page.cursor is None:
                break
            window = structs.replace(window, cursor=page.cursor)
        assert len(rows) == len({str(row) for row in rows}) == count


def test_a_window_has_bounds() -> None:
    for limit in (0, 101, -1):
        with pytest.raises(InvalidInput):
            Window(limit=limit)


async def test_a_partition_of_the_wrong_width_is_no_empty_list(tables: Tables) -> None:
    with pytest.raises(TypeError):
        await tables.read_page(JOBS, "u1", index="UserStatusIndex")
    with pytest.raises(TypeError):
        await tables.find(LINES, "t")
    with pytest.raises(KeyError):
        await tables.read_page(JOBS, "u1", index="NoIndex")


async def test_what_is_written_is_read_at_once(tables: Tables) -> None:
    for n in range(15):
        await tables.commit(insert(LINES, Line(topic="t", position=n)))
        assert (await tables.get(LINES, "t", n)).position == n
        assert len((await tables.read_page(LINES, "t", window=Window(limit=100))).items) == n + 1
