"""The contract of the storage port. Names no adapter; the fixture does."""

import asyncio

import pytest
from msgspec import ValidationError, structs

from nexus.domain.core.errors import AlreadyExists, Conflict, InvalidInput, NotFound, Stale
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import TableDriver, Tables, Window
from nexus.domain.ports.rows import (
    Below,
    Index,
    Place,
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


async def test_a_row_comes_back_as_it_went(tables: Tables) -> None:
    nested = {
        "a": [1, 2.5, True, None, "x", {"deep": -3}],
        "big": 2**53 + 1,
        "tiny": 1e-9,
        "empty": "",
        "none": None,
        "keys": {"": 1, "\x00": 2, "\x00a": 3},
    }
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
    await driver.write_rows([Write("put", JOBS, ("j1",), newer, when=When(exists=False))])
    await tables.edit_row(JOBS, "j1", change=lambda job: structs.replace(job, worker="w"))
    [item] = await driver.read_rows([(JOBS, ("j1",))])
    assert item and item["future"] == {"x": 1} and item["worker"] == "w"


async def test_rows_of_several_tables_are_read_together_in_the_order_asked_for(tables: Tables) -> None:
    await tables.commit(insert(JOBS, Job(job_id="j1")), insert(JOBS, Job(job_id="j2", tenant_id="t2")))
    await tables.commit(*(insert(LINES, Line(topic="t", position=number)) for number in (1, 2)))
    places: list[Place] = [
        (LINES, ("t", 2)),
        (JOBS, ("j2",)),
        (JOBS, ("gone",)),
        (JOBS, ("",)),
        (LINES, ("t", 1)),
        (JOBS, ("j1",)),
    ]
    [second, other, gone, never, first, own] = await tables.find_rows(*places)
    assert (second.position, first.position, own.job_id, other.job_id, gone, never) == (2, 1, "j1", "j2", None, None)
    assert await tables.find_rows() == []
    mine = await tables.for_caller(Principal("t1", "u1")).find_rows(*places[:2])
    assert mine == [second, None], "another's row is not there"


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
    assert (await tables.read_page(JOBS, "u1", index="UserIndex")).items == []


async def test_edit_goes_again_and_writes_nothing_for_nothing(tables: Tables) -> None:
    await tables.commit(insert(JOBS, Job(job_id="j1", priority=0)))
    assert (await tables.edit_row(JOBS, "j1", change=lambda job: job)).revision == 0
    grown = await asyncio.gather(
        *(
            tables.edit_row(JOBS, "j1", change=lambda job: structs.replace(job, priority=job.priority + 1))
            for _ in range(6)
        )
    )
    assert (await tables.get(JOBS, "j1")).priority == 6
    assert sorted(job.revision for job in grown) == [1, 2, 3, 4, 5, 6]


async def test_rows_of_others_do_not_exist(tables: Tables) -> None:
    job, ann, bob = Job(job_id="j1"), tables.for_caller(ANN), tables.for_caller(BOB)
    await ann.commit(insert(JOBS, job))
    assert await ann.get(JOBS, "j1") == job
    assert await bob.find(JOBS, "j1") is None
    assert (await bob.read_page(JOBS, "u1", index="UserIndex")).items == []
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
        assert (await tables.read_page(JOBS, key, index="UserIndex")).items == []


async def test_a_row_too_large_for_any_store_is_refused_by_all(tables: Tables) -> None:
    large = Job(job_id="j1", payload={"text": "知" * 100_000})
    await tables.commit(insert(JOBS, large))
    assert await tables.get(JOBS, "j1") == large
    with pytest.raises(InvalidInput):
        insert(JOBS, Job(job_id="j2", payload={"text": "知" * 1_400_000}))


async def test_a_reserved_word_and_odd_text_are_only_text(tables: Tables) -> None:
    text = "quote ' \" ; drop table -- \x01 \u20ac \U0001f600 日本"
    await tables.commit(insert(JOBS, Job(job_id=text, worker=text, user_id=text)))
    assert (await tables.get(JOBS, text)).worker == text
    assert [job.job_id for job in (await tables.read_page(JOBS, text, index="UserIndex")).items] == [text]


async def test_a_hundred_writes_fit_and_no_more(tables: Tables) -> None:
    lines = [insert(LINES, Line(topic="t", position=n)) for n in range(101)]
    with pytest.raises(ValueError, match="at most 100"):
        await tables.commit(*lines)
    await tables.commit(*lines[:100])
    assert len((await tables.read_page(LINES, "t", window=Window(limit=100))).items) == 100


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
