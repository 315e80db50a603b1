"""What nexus asks of the storage port at its hardest: claims, leases, fences, joint transitions, feeds, quotas."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec import Struct, structs

from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.core.errors import AlreadyExists, Conflict, NotFound, QuotaExceeded, Stale
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import TRIES, Tables, Window, retry_stale
from nexus.domain.ports.rows import Below, When, Write, check, insert, patch, tally, when
from tests.contracts.stored import JOBS, LINES, PROMISES, TALLIES, Clock, Job, Line, Promise

LEASE_SECONDS = 30
CLAIMABLE: Mapping[str, str] = {"queued": "running", "running": "running"}
"""A status and what a claim makes of it; running ones only past their lease."""


class Ledger(Struct):
    """A ledger of jobs with a lease and a fence, and the lines they write."""

    tables: Tables
    clock: Clock

    def now(self, later: float = 0) -> str:
        return f"{self.clock.now + later:015.3f}"

    async def queue(self, job_id: str, shard: str = "s1") -> Job:
        job = Job(job_id=job_id, shard=shard, due_at=self.now())
        await self.tables.commit(insert(JOBS, job))
        return job

    async def claim(self, job_id: str, worker: str) -> Job:
        """Takes a job whose lease is over, with a higher fence."""
        job = await self.tables.get(JOBS, job_id)
        lease = self.now(LEASE_SECONDS)
        fields = {"status": "running", "worker": worker, "fence": job.fence + 1, "not_before": lease, "due_at": lease}
        free = when(status=tuple(CLAIMABLE), fence=job.fence, not_before=Below(self.now()))
        await self.tables.commit(patch(JOBS, job, free, **fields))
        return structs.replace(job, status="running", worker=worker, fence=job.fence + 1, revision=job.revision + 1)

    async def write(self, job: Job, position: int, text: str) -> None:
        """A line, by whoever holds the fence."""
        await self.tables.commit(
            check(JOBS, job, when(fence=job.fence, status="running")),
            insert(LINES, Line(topic=job.job_id, position=position, text=text)),
        )

    async def finish(self, job: Job) -> None:
        """The job, its last line and the day's count, in one commit."""
        held = when(fence=job.fence, status="running")
        await self.tables.commit(
            patch(JOBS, job, held, status="done", shard=None, due_at=None, not_before=None),
            insert(LINES, Line(topic=job.job_id, position=99, text="end")),
            tally(TALLIES, (job.tenant_id, "day"), calls=1),
        )

    async def due(self, shard: str = "s1") -> list[str]:
        found = await self.tables.read_page(JOBS, shard, index="DispatchIndex", window=Window(until=self.now()))
        return [job.job_id for job in found.items]


@pytest.fixture
def ledger(tables: Tables, clock: Clock) -> Ledger:
    return Ledger(tables, clock)


async def test_a_claim_is_won_by_one_and_again_by_one_after_the_lease(ledger: Ledger) -> None:
    await ledger.queue("j1")
    for fence in (1, 2):
        answers = await asyncio.gather(*(ledger.claim("j1", f"w{n}") for n in range(8)), return_exceptions=True)
        won = [answer for answer in answers if isinstance(answer, Job)]
        assert [job.fence for job in won] == [fence]
        assert all(isinstance(answer, Stale) for answer in answers if answer is not won[0])
        ledger.clock.now += LEASE_SECONDS + 1


async def test_who_lost_the_fence_writes_nothing_more(ledger: Ledger) -> None:
    await ledger.queue("j1")
    first = await ledger.claim("j1", "w1")
    await ledger.write(first, 1, "mine")
    ledger.clock.now += LEASE_SECONDS + 1
    second = await ledger.claim("j1", "w2")
    for late in (ledger.write(first, 2, "late"), ledger.finish(first)):
        with pytest.raises(Stale):
            await late
    await ledger.write(second, 2, "now mine")
    await ledger.finish(second)
    lines = (await ledger.tables.read_page(LINES, "j1")).items
    assert [(line.position, line.text) for line in lines] == [(1, "mine"), (2, "now mine"), (99, "end")]
    assert (await ledger.tables.get(TALLIES, "t1", "day")).calls == 1
    with pytest.raises(Stale):
        await ledger.finish(second)


async def test_the_sweeper_finds_what_is_due_and_only_that(ledger: Ledger) -> None:
    for n in range(5):
        await ledger.queue(f"j{n}", shard=f"s{n % 2}")
    assert await ledger.due("s0") == ["j0", "j2", "j4"]
    claimed = await ledger.claim("j0", "w")
    assert await ledger.due("s0") == ["j2", "j4"]
    ledger.clock.now += LEASE_SECONDS + 1
    assert sorted(await ledger.due("s0")) == ["j0", "j2", "j4"]
    await ledger.finish(claimed)
    assert await ledger.due("s0") == ["j2", "j4"]


async def test_a_lagging_index_makes_nobody_claim_twice(clock: Clock) -> None:
    ledger = Ledger(Tables(MemoryTables(lag=4), secret=b"s", clock=clock), clock)
    jobs = [await ledger.queue(f"j{n}") for n in range(6)]
    claimed: list[str] = []
    for _ in range(3):
        for job_id in await ledger.due():
            answer = (await asyncio.gather(ledger.claim(job_id, "w"), return_exceptions=True))[0]
            claimed += [answer.job_id] if isinstance(answer, Job) else []
    assert len(claimed) == len(set(claimed)) > 0 and set(claimed) <= {job.job_id for job in jobs}


async def test_an_index_lags_and_the_key_does_not(clock: Clock) -> None:
    tables = Tables(MemoryTables(lag=1), secret=b"s", clock=clock)
    job = Job(job_id="j1")
    await tables.commit(insert(JOBS, job))
    assert (await tables.read_page(JOBS, "u1", index="UserIndex")).items == []
    await tables.commit(patch(JOBS, job, status="running"))
    assert (await tables.read_page(JOBS, "u1", "queued", index="UserStatusIndex")).items == [job]
    assert (await tables.get(JOBS, "j1")).status == "running"


PAIRS = {("queued", "queued"), ("running", "running"), ("cancelled", "cancelled")}


async def move(tables: Tables, condition: When, status: str, position: int | None = None) -> None:
    """Two rows that change together, and the line that tells it at the position which the first one counts."""
    project, task = await tables.get(JOBS, "project"), await tables.get(JOBS, "task")
    told = project.fence + 1 if position is None else position
    counted = when(**dict(condition.fields), fence=told - 1)
    await tables.commit(
        patch(JOBS, project, counted, status=status, fence=told),
        patch(JOBS, task, condition, status=status),
        insert(LINES, Line(topic="feed", position=told, text=status)),
    )


async def test_joint_transitions_never_part_and_leave_a_feed_without_holes(tables: Tables) -> None:
    await tables.commit(insert(JOBS, Job(job_id="project")), insert(JOBS, Job(job_id="task")))
    moves = {"running": when(status=("queued", "running")), "cancelled": when(status=("queued", "running"))}

    async def say(status: str) -> str:
        await retry_stale(move)(tables, moves[status], status)
        return status

    wishes = ["running", "running", "cancelled", "running"]
    await asyncio.gather(*map(say, wishes), return_exceptions=True)
    project, task = await tables.get(JOBS, "project"), await tables.get(JOBS, "task")
    assert (project.status, task.status) == ("cancelled", "cancelled")
    feed = (await tables.read_page(LINES, "feed")).items
    assert [line.position for line in feed] == list(range(1, project.fence + 1))
    assert feed[-1].text == "cancelled" and (project.status, task.status) in PAIRS


async def test_two_writers_of_one_feed_position_do_not_both_tell(tables: Tables) -> None:
    await tables.commit(insert(JOBS, Job(job_id="project")), insert(JOBS, Job(job_id="task")))
    told = (move(tables, when(status="queued"), "running", position=1) for _ in range(5))
    answers = await asyncio.gather(*told, return_exceptions=True)
    assert sum(answer is None for answer in answers) == 1
    assert all(isinstance(answer, (Stale, AlreadyExists)) for answer in answers if answer is not None)
    assert [line.position for line in (await tables.read_page(LINES, "feed")).items] == [1]


async def test_a_broken_rule_is_not_tried_again(tables: Tables) -> None:
    tries = 0

    @retry_stale
    async def attempt() -> None:
        nonlocal tries
        tries += 1
        raise Conflict("The job is done")

    with pytest.raises(Conflict):
        await attempt()
    assert tries == 1


async def test_what_never_settles_is_told_in_the_end(tables: Tables) -> None:
    tries = 0

    @retry_stale
    async def attempt() -> None:
        nonlocal tries
        tries += 1
        await tables.commit(patch(JOBS, Job(job_id="j1"), when(status="done"), worker="w"))

    await tables.commit(insert(JOBS, Job(job_id="j1")))
    with pytest.raises(Stale):
        await attempt()
    assert tries == TRIES


async def test_a_quota_holds_under_many_at_once(tables: Tables) -> None:
    async def send(n: int) -> None:
        counted = tally(TALLIES, ("t1", "day"), when(calls=Below(5)), calls=1)
        try:
            await tables.commit(insert(LINES, Line(topic="messages", position=n)), counted)
        except Stale as error:
            if error.facts["table"] == TALLIES.name:
                raise QuotaExceeded from None
            raise

    answers = await asyncio.gather(*(send(n) for n in range(9)), return_exceptions=True)
    assert sum(isinstance(answer, QuotaExceeded) for answer in answers) == 4
    assert len((await tables.read_page(LINES, "messages")).items) == 5


async def test_the_same_request_twice_makes_one_thing(tables: Tables, clock: Clock) -> None:
    """An idempotency row beside what it promises: the second comer finds the first one's answer."""

    async def post(n: int) -> str:
        job = Job(job_id=f"j{n}")
        promise = Promise(key="t1/key", answer=job.job_id, expires_at=int(clock.now) + 3600)
        try:
            await tables.commit(insert(PROMISES, promise), insert(JOBS, job))
        except AlreadyExists:
            return (await tables.get(PROMISES, "t1/key")).answer
        return job.job_id

    answers = await asyncio.gather(*(post(n) for n in range(6)))
    assert len(set(answers)) == 1
    assert [job.job_id for job in (await tables.read_page(JOBS, "u1", index="UserIndex")).items] == [answers[0]]
    clock.now += 3600
    assert await post(7) == "j7"


async def test_a_caller_s_commit_over_several_tables_stops_at_a_foreign_row(tables: Tables) -> None:
    await tables.commit(insert(JOBS, Job(job_id="mine")), insert(JOBS, Job(job_id="theirs", tenant_id="t2")))
    ann = tables.for_caller(Principal("t1", "u1"))
    mine = await ann.get(JOBS, "mine")
    theirs = Job(job_id="theirs", tenant_id="t2")
    foreign: list[Write] = [check(JOBS, theirs, when()), patch(JOBS, theirs, when(), worker="ann")]
    for write in foreign:
        with pytest.raises(NotFound) as told:
            await ann.commit(patch(JOBS, mine, worker="ann"), insert(LINES, Line(topic="t", position=1)), write)
        assert told.value.facts["key"] == ("theirs",)
    assert await tables.get(JOBS, "mine") == mine and await tables.find(LINES, "t", 1) is None


async def test_many_edits_at_once_all_count(tables: Tables) -> None:
    await tables.commit(insert(JOBS, Job(job_id="j1", tags=[])))

    def adding(n: int) -> Any:
        return lambda job: structs.replace(job, tags=[*job.tags, f"t{n}"])

    await asyncio.gather(*(tables.edit_row(JOBS, "j1", change=adding(n)) for n in range(6)))
    job = await tables.get(JOBS, "j1")
    assert sorted(job.tags) == [f"t{n}" for n in range(6)] and job.revision == 6
