"""The contract of the storage port. Names no adapter; the fixture does."""

import asyncio
from typing import Any

import pytest
from msgspec import ValidationError, structs

from nexus.domain.core.errors import AlreadyExists, Conflict, InvalidInput, NotFound, Stale
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import TableDriver, Tables, Window
from nexus.domain.ports.rows import (
    Below,
    Index,
    Table,
    When,
    Write,
    check,
    delete,
    insert,
    patch,
    replace,
    tally,
    when,
)
from tests.contracts.stored import JOBS, LINES, PROMISES, TALLIES, Clock, Job, Line, Promise, Tally

ANN, BOB = Principal("t1", "u1"), Principal("t2", "u1")


async def everything(
    tables: Tables, table: Table[Any], *partition: str, index: str | None = None, **window: Any
) -> list[Any]:
    """All pages, one after the other."""
    rows: list[Any] = []
    wanted = Window(**window)
    while True:
        page = await tables.page(table, *partition, index=index, window=wanted)
        rows += page.items
        if page.cursor is None:
            return rows
        wanted = structs.replace(wanted, cursor=page.cursor)


async def test_a_row_comes_back_as_it_went(tables: Tables) -> None:
    nested = {"a": [1, 2.5, True, None, "x", {"deep": -3}], "big": 2**53 + 1, "tiny": 1e-9, "empty": "", "none": None}
    job = Job(job_id="j1", payload={**nested, "list": [], "map": {}}, tags=["b", "a"], score=1.0)
    await tables.commit(insert(JOBS, job))
    assert await tables.get(JOBS, "j1") == job
    assert await tables.find(JOBS, "other") is None
    with pytest.raises(NotFound) as missing:
        await tables.get(JOBS, "other")
    assert missing.value.facts == {"table": "jobs", "key": ("other",)}


async def test_what_was_read_shares_nothing_with_the_store(tables: Tables) -> None:
    await tables.commit(insert(JOBS, Job(job_id="j1", payload={"list": [1]})))
    ((await tables.get(JOBS, "j1")).payload or {})["list"].append(2)
    assert (await tables.get(JOBS, "j1")).payload == {"list": [1]}


async def test_insert_is_once(tables: Tables) -> None:
    await tables.commit(insert(JOBS, Job(job_id="j1")))
    with pytest.raises(AlreadyExists) as refused:
        await tables.commit(insert(LINES, Line(topic="t", position=1)), insert(JOBS, Job(job_id="j1", worker="other")))
    assert refused.value.facts == {"table": "jobs", "key": ("j1",)}
    assert await tables.find(LINES, "t", 1) is None
    assert (await tables.get(JOBS, "j1")).worker is None


async def test_of_many_inserts_at_once_one_wins(tables: Tables) -> None:
    answers = await asyncio.gather(
        *(tables.commit(insert(JOBS, Job(job_id="j1", worker=f"w{n}"))) for n in range(10)), return_exceptions=True
    )
    won = [n for n, answer in enumerate(answers) if answer is None]
    assert len(won) == 1 and sum(isinstance(answer, AlreadyExists) for answer in answers) == 9
    assert (await tables.get(JOBS, "j1")).worker == f"w{won[0]}"


async def test_replace_wants_the_row_as_read(tables: Tables) -> None:
    await tables.commit(insert(JOBS, Job(job_id="j1")))
    first = await tables.get(JOBS, "j1")
    await tables.commit(replace(JOBS, structs.replace(first, worker="a")))
    with pytest.raises(Stale):
        await tables.commit(replace(JOBS, structs.replace(first, worker="b")))
    now = await tables.get(JOBS, "j1")
    assert (now.worker, now.revision) == ("a", 1)
    await tables.commit(replace(JOBS, structs.replace(now, worker=None)))
    assert (await tables.get(JOBS, "j1")).worker is None
    with pytest.raises(NotFound):
        await tables.commit(replace(JOBS, Job(job_id="gone")))


async def test_fields_of_newer_code_survive_older_code(tables: Tables, driver: TableDriver) -> None:
    newer = {"job_id": "j1", "revision": 0, "future": {"x": 1}}
    await driver.write([Write("put", JOBS, ("j1",), newer, when=When(exists=False))])
    await tables.edit(JOBS, "j1", change=lambda job: structs.replace(job, worker="w"))
    [item] = await driver.read(JOBS, [("j1",)])
    assert item and item["future"] == {"x": 1} and item["worker"] == "w"


async def test_patch_changes_what_it_names_under_its_condition(tables: Tables) -> None:
    job = Job(job_id="j1", worker="old", tags=["x"])
    await tables.commit(insert(JOBS, job))
    await tables.commit(patch(JOBS, job, when(status=("queued", "pending")), status="running", worker=None))
    now = await tables.get(JOBS, "j1")
    assert (now.status, now.worker, now.tags, now.revision) == ("running", None, ["x"], 1)
    with pytest.raises(Stale):
        await tables.commit(patch(JOBS, job, when(status="queued"), worker="late"))
    with pytest.raises(NotFound):
        await tables.commit(patch(JOBS, Job(job_id="gone"), when(worker=None), worker="w"))


async def test_none_in_a_condition_is_absence(tables: Tables) -> None:
    job = Job(job_id="j1")
    await tables.commit(insert(JOBS, job))
    await tables.commit(patch(JOBS, job, when(worker=(None, "me")), worker="me"))
    await tables.commit(patch(JOBS, job, when(worker=(None, "me")), priority=1))
    with pytest.raises(Stale):
        await tables.commit(patch(JOBS, job, when(worker=None), worker="you"))


async def test_below_holds_when_absent_or_less(tables: Tables) -> None:
    job = Job(job_id="j1")
    await tables.commit(insert(JOBS, job))
    await tables.commit(patch(JOBS, job, when(not_before=Below("2025-01-01")), not_before="2025-01-05"))
    with pytest.raises(Stale):
        await tables.commit(patch(JOBS, job, when(not_before=Below("2025-01-05")), worker="early"))
    await tables.commit(patch(JOBS, job, when(not_before=Below("2025-01-06"), priority=Below(4)), worker="due"))
    with pytest.raises(Stale):
        await tables.commit(patch(JOBS, job, when(priority=Below(3)), worker="no"))


async def test_only_one_of_many_claims_wins(tables: Tables) -> None:
    job = Job(job_id="j1")
    await tables.commit(insert(JOBS, job))

    async def claim(worker: str) -> bool:
        try:
            await tables.commit(patch(JOBS, job, when(status="queued"), status="running", worker=worker))
        except Conflict:
            return False
        return True

    assert sum(await asyncio.gather(*(claim(f"w{n}") for n in range(10)))) == 1


async def test_a_tally_needs_its_fact_and_counts_it_once(tables: Tables) -> None:
    with pytest.raises(ValueError, match="tally"):
        await tables.commit(tally(TALLIES, ("t1", "d1"), calls=1))

    async def tell(n: int) -> None:
        fact = insert(LINES, Line(topic="fact", position=n))
        try:
            await tables.commit(fact, tally(TALLIES, ("t1", "d1"), calls=1, tokens=10))
        except AlreadyExists:
            return

    await asyncio.gather(*(tell(n % 10) for n in range(30)))
    assert await tables.get(TALLIES, "t1", "d1") == Tally(scope="t1", day="d1", calls=10, tokens=100)


async def test_a_tally_stops_at_its_bound(tables: Tables) -> None:
    async def use(n: int) -> bool:
        fact = insert(LINES, Line(topic="use", position=n))
        try:
            await tables.commit(fact, tally(TALLIES, ("t1", "d"), when(calls=Below(5)), calls=1))
        except Conflict:
            return False
        return True

    assert sum(await asyncio.gather(*(use(n) for n in range(12)))) == 5


async def test_a_commit_is_whole_or_nothing(tables: Tables) -> None:
    job, other, line = Job(job_id="j1"), Job(job_id="j2", status="done"), Line(topic="t", position=1)
    await tables.commit(insert(JOBS, job), insert(JOBS, other))
    mine = patch(JOBS, job, worker="w")
    with pytest.raises(Stale) as refused:
        await tables.commit(mine, insert(LINES, line), check(JOBS, other, when(status="queued")))
    assert refused.value.facts["key"] == ("j2",)
    assert (await tables.get(JOBS, "j1")).worker is None and await tables.find(LINES, "t", 1) is None
    await tables.commit(mine, check(JOBS, other, when(status="done")), insert(LINES, line))
    assert (await tables.get(JOBS, "j2")).revision == 0 and await tables.find(LINES, "t", 1) == line
    with pytest.raises(ValueError, match="one for each row"):
        await tables.commit(patch(JOBS, job, worker="x"), delete(JOBS, job))


async def test_a_commit_of_nothing_is_nothing(tables: Tables) -> None:
    await tables.commit()
    with pytest.raises(NotFound):
        await tables.commit(check(JOBS, Job(job_id="gone")))


async def test_delete_is_quiet(tables: Tables) -> None:
    job = Job(job_id="j1")
    await tables.commit(insert(JOBS, job))
    with pytest.raises(Stale):
        await tables.commit(delete(JOBS, job, when(status="done")))
    await tables.commit(delete(JOBS, job))
    await tables.commit(delete(JOBS, job))
    await tables.commit(delete(JOBS, job, when(status="done")))
    assert await tables.find(JOBS, "j1") is None
    assert await everything(tables, JOBS, "u1", index="UserIndex") == []


async def test_edit_goes_again_and_writes_nothing_for_nothing(tables: Tables) -> None:
    await tables.commit(insert(JOBS, Job(job_id="j1", priority=0)))
    assert (await tables.edit(JOBS, "j1", change=lambda job: job)).revision == 0
    grown = await asyncio.gather(
        *(tables.edit(JOBS, "j1", change=lambda job: structs.replace(job, priority=job.priority + 1)) for _ in range(6))
    )
    assert (await tables.get(JOBS, "j1")).priority == 6
    assert sorted(job.revision for job in grown) == [1, 2, 3, 4, 5, 6]


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
    await tables.edit(JOBS, "j1", change=lambda job: structs.replace(job, status="done"))
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
    first = await tables.page(JOBS, "u1", index="UserIndex", window=window)
    assert [job.job_id for job in first.items] == ["j5", "j4"]
    await tables.commit(patch(JOBS, jobs[4], created_at="2025-02-01"))
    second = await tables.page(JOBS, "u1", index="UserIndex", window=structs.replace(window, cursor=first.cursor))
    assert [job.job_id for job in second.items] == ["j3", "j2"]
    await tables.commit(delete(JOBS, jobs[2]))
    third = await tables.page(JOBS, "u1", index="UserIndex", window=structs.replace(window, cursor=second.cursor))
    assert [job.job_id for job in third.items] == ["j1", "j0"]


async def test_a_cursor_opens_only_its_own_list(tables: Tables) -> None:
    jobs = [Job(job_id=f"j{n}", created_at=f"2025-01-0{n + 1}") for n in range(4)]
    lines = [Line(topic="u1", position=n) for n in range(4)]
    await tables.commit(*(insert(JOBS, job) for job in jobs), *(insert(LINES, line) for line in lines))
    ann, bob = tables.of(ANN), tables.of(BOB)
    page = await ann.page(JOBS, "u1", index="UserIndex", window=Window(limit=2))
    assert page.cursor and len(page.items) == 2
    there = Window(limit=2, cursor=page.cursor)
    assert len((await ann.page(JOBS, "u1", index="UserIndex", window=there)).items) == 2
    with pytest.raises(InvalidInput):
        await bob.page(JOBS, "u1", index="UserIndex", window=there)
    with pytest.raises(InvalidInput):
        await tables.page(LINES, "u1", window=there)
    with pytest.raises(InvalidInput):
        await ann.page(JOBS, "u2", index="UserIndex", window=there)
    for wrong in (
        structs.replace(there, until="2025-01-01"),
        structs.replace(there, newest_first=True),
        *(Window(cursor=cursor) for cursor in (page.cursor[:-2] + "AA", "nonsense", "ü€", "", "A")),
    ):
        with pytest.raises(InvalidInput):
            await ann.page(JOBS, "u1", index="UserIndex", window=wrong)


async def test_rows_of_others_do_not_exist(tables: Tables) -> None:
    job, ann, bob = Job(job_id="j1"), tables.of(ANN), tables.of(BOB)
    await ann.commit(insert(JOBS, job))
    assert await ann.get(JOBS, "j1") == job
    assert await bob.find(JOBS, "j1") is None
    assert await everything(bob, JOBS, "u1", index="UserIndex") == []
    assert (await bob.walk(JOBS)).items == []
    for write in (patch(JOBS, job, worker="bob"), replace(JOBS, job), check(JOBS, job), delete(JOBS, job)):
        with pytest.raises(NotFound):
            await bob.commit(write)
    with pytest.raises(ValueError, match="not the caller's"):
        await bob.commit(insert(JOBS, Job(job_id="j2")))
    await bob.commit(delete(JOBS, Job(job_id="gone")))
    assert await tables.get(JOBS, "j1") == job


async def test_a_row_past_its_time_is_absent(tables: Tables, clock: Clock) -> None:
    promise = Promise(key="k", answer="a", expires_at=int(clock.now) + 60)
    await tables.commit(insert(PROMISES, promise))
    with pytest.raises(AlreadyExists):
        await tables.commit(insert(PROMISES, promise))
    clock.now += 60
    assert await tables.find(PROMISES, "k") is None
    again = Promise(key="k", answer="b", expires_at=int(clock.now) + 60)
    await tables.commit(insert(PROMISES, again))
    assert await tables.get(PROMISES, "k") == again


async def test_a_key_may_not_be_empty_broken_or_endless(tables: Tables) -> None:
    for job in (
        Job(job_id=""),
        Job(job_id="j", user_id=""),
        Job(job_id="j", shard="", due_at="x"),
        Job(job_id="a\0b"),
        Job(job_id="\ud800"),
        Job(job_id="j" * 1025),
        Job(job_id="j", priority=2**63),
    ):
        with pytest.raises(InvalidInput):
            await tables.commit(insert(JOBS, job))
    for key in ("", "a\0b", "\ud800", "j" * 5000, "../j", "a/b", "知"):
        assert await tables.find(JOBS, key) is None
        assert (await tables.page(JOBS, key, index="UserIndex")).items == []


async def test_a_row_too_large_for_any_store_is_refused_by_all(tables: Tables) -> None:
    large = Job(job_id="j1", payload={"text": "知" * 100_000})
    await tables.commit(insert(JOBS, large))
    assert await tables.get(JOBS, "j1") == large
    with pytest.raises(InvalidInput):
        insert(JOBS, Job(job_id="j2", payload={"text": "知" * 140_000}))


async def test_a_reserved_word_and_odd_text_are_only_text(tables: Tables) -> None:
    text = "quote ' \" ; drop table -- \x01 \u20ac \U0001f600 日本"
    await tables.commit(insert(JOBS, Job(job_id=text, worker=text, user_id=text)))
    assert (await tables.get(JOBS, text)).worker == text
    assert [job.job_id for job in await everything(tables, JOBS, text, index="UserIndex")] == [text]


async def test_text_sorts_by_code_point(tables: Tables) -> None:
    names = ["a", "B", "é", "z", "\uffff", "\U0001f600", "日"]
    await tables.commit(*(insert(JOBS, Job(job_id=name, created_at=name)) for name in names))
    rows = await everything(tables, JOBS, "u1", index="UserIndex", limit=2)
    assert [job.job_id for job in rows] == sorted(names)


async def test_what_is_written_is_read_at_once(tables: Tables) -> None:
    for n in range(15):
        await tables.commit(insert(LINES, Line(topic="t", position=n)))
        assert (await tables.get(LINES, "t", n)).position == n
        assert len((await tables.page(LINES, "t", window=Window(limit=100))).items) == n + 1


async def test_a_hundred_writes_fit_and_no_more(tables: Tables) -> None:
    lines = [insert(LINES, Line(topic="t", position=n)) for n in range(101)]
    with pytest.raises(ValueError, match="at most 100"):
        await tables.commit(*lines)
    await tables.commit(*lines[:100])
    assert len((await tables.page(LINES, "t", window=Window(limit=100))).items) == 100


async def test_a_walk_meets_every_row_once(tables: Tables) -> None:
    await tables.commit(*(insert(LINES, Line(topic=f"t{n % 7}", position=n)) for n in range(50)))
    await tables.commit(*(insert(JOBS, Job(job_id=f"j{n}", tenant_id=f"t{n % 2}")) for n in range(9)))
    views: list[tuple[Tables, Table[Any], int]] = [(tables, LINES, 50), (tables, JOBS, 9), (tables.of(ANN), JOBS, 4)]
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


def test_a_write_that_makes_no_sense_is_not_made() -> None:
    job = Job(job_id="j1")
    with pytest.raises(TypeError):
        patch(JOBS, job, when(status="queued"), wrong_name=1)
    with pytest.raises(TypeError):
        patch(JOBS, job, when(wrong_name="queued"), worker="w")
    with pytest.raises(TypeError):
        patch(JOBS, job, job_id="j2")
    with pytest.raises(TypeError):
        patch(JOBS, job, revision=7)
    with pytest.raises(TypeError):
        tally(TALLIES, ("t", "d"), wrong_name=1)
    with pytest.raises(ValidationError):
        patch(JOBS, job, when(status="queued"), priority="high")
    with pytest.raises(ValidationError):
        insert(JOBS, Job(job_id="j1", score=float("nan")))
    with pytest.raises(ValueError, match="can never hold"):
        when(status=())


def test_a_declaration_names_fields_that_are_there() -> None:
    with pytest.raises(TypeError):
        Table("jobs", Job, ("wrong_name",))
    with pytest.raises(TypeError):
        Table("jobs", Job, ("job_id",), indexes=(Index("X", "user_id+wrong_name", "created_at"),))
    with pytest.raises(TypeError):
        Table("jobs", Job, ("job_id",), expires="due_at")


async def test_a_partition_of_the_wrong_width_is_no_empty_list(tables: Tables) -> None:
    with pytest.raises(TypeError):
        await tables.page(JOBS, "u1", index="UserStatusIndex")
    with pytest.raises(TypeError):
        await tables.find(LINES, "t")
    with pytest.raises(KeyError):
        await tables.page(JOBS, "u1", index="NoIndex")
