"""What SQLite alone must stand: kills, a full disk, cancelled callers, a second process, a closed app."""

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from msgspec import structs

from nexus.adapters.memory.signals import MemorySignals
from nexus.adapters.sqlite.lock import DirectoryLock
from nexus.adapters.sqlite.log import SqliteLog
from nexus.adapters.sqlite.tables import SqliteTables
from nexus.adapters.sqlite.writer import LogRow, Writer
from nexus.domain.core.errors import AlreadyExists, Conflict, Unavailable
from nexus.domain.ports.database import Tables
from nexus.domain.ports.log import EventLog
from nexus.domain.ports.rows import insert, patch, replace, when
from tests.contracts.conftest import sqlite_log, sqlite_tables, sqlite_writer
from tests.contracts.stored import JOBS, LINES, STORED, TALLIES, Clock, Job, Line

ROOT = Path(__file__).parents[2]


def killed_under_load(path: Path, run: str, after: int) -> list[list[str]]:
    """What a writing process said was acknowledged before `kill -9`."""
    command = [sys.executable, "-m", "tests.contracts.crash_writer", str(path), run]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(after)]
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().splitlines(keepends=True)
    assert child.returncode == -signal.SIGKILL
    return [line.split() for line in said + rest if line.endswith("\n")]


async def count(writer: Writer, table: str) -> int:
    counted: list[int] = []

    def look(connection: sqlite3.Connection) -> None:
        counted.extend(connection.execute(f"select count(*) from {table}").fetchone())

    await writer.run_in_transaction(look)
    return counted[0]


async def test_kill_9_keeps_what_was_acknowledged_and_nothing_half(tmp_path: Path, clock: Clock) -> None:
    path, said = tmp_path / "nexus.db", list[list[str]]()
    for run in range(3):
        said += await asyncio.to_thread(killed_under_load, path, f"run{run}", 150 + 37 * run)
    rows = [(topic, int(position)) for kind, topic, position in said if kind == "row"]
    assert len(rows) > 50 and len(said) - len(rows) > 50
    async with AsyncExitStack() as stack:
        writer = await stack.enter_async_context(sqlite_writer(path))
        driver, events = SqliteTables(writer, STORED), SqliteLog(writer, MemorySignals())
        for opened in (driver, events):
            await opened.open()
            stack.callback(opened.close)
        tables, log = Tables(driver, secret=b"s", clock=clock), EventLog(events)
        for row in rows:
            assert await tables.find(LINES, *row) is not None, row
        kept = await count(writer, "nexus_lines")
        assert kept == (await tables.get(TALLIES, "all", "day")).calls >= len(rows)
        for topic in {topic for kind, topic, _ in said if kind == "event"}:
            end = max(int(position) for kind, name, position in said if (kind, name) == ("event", topic))
            told = [event for batch in [await log.read_events(topic, 0, limit=100_000)] for event in batch.events]
            assert told == [b"%s %d" % (topic.encode(), n + 1) for n in range(len(told))] and len(told) >= end


async def test_a_cancelled_caller_may_have_written(tmp_path: Path, clock: Clock) -> None:
    async with sqlite_tables(tmp_path / "nexus.db") as driver:
        tables = Tables(driver, secret=b"s", clock=clock)
        writing = asyncio.create_task(tables.commit(insert(JOBS, Job(job_id="j1"))))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await tables.commit(insert(LINES, Line(topic="t", position=1)))
        assert writing.cancelled() and await tables.find(JOBS, "j1")


async def test_a_full_disk_is_unavailable_and_passes(tmp_path: Path, clock: Clock) -> None:
    async with AsyncExitStack() as stack:
        writer = await stack.enter_async_context(sqlite_writer(tmp_path / "nexus.db"))
        driver, events = SqliteTables(writer, STORED), SqliteLog(writer, MemorySignals())
        for opened in (driver, events):
            await opened.open()
            stack.callback(opened.close)
        tables, log = Tables(driver, secret=b"s", clock=clock), EventLog(events)
        assert await log.append_events("t", [b"one"], after=0) == 1
        follower = log.follow_topic("t", 1)

        await writer.run_in_transaction(_small)
        big = [tables.commit(insert(JOBS, Job(job_id=f"b{n}", payload={"x": "y" * 20_000}))) for n in range(5)]
        answers = await asyncio.gather(*big, return_exceptions=True)
        assert any(isinstance(answer, Unavailable) for answer in answers), answers
        late = [log.append_events("t", [b"x" * 50_000], after=1), log.append_events("t", [b"later"], after=2)]
        full = await asyncio.gather(*late, return_exceptions=True)
        assert [type(answer) for answer in full] in ([Unavailable, Unavailable], [Unavailable, Conflict])

        await writer.run_in_transaction(_large)
        for n, answer in enumerate(answers):
            assert (await tables.find(JOBS, f"b{n}") is None) == isinstance(answer, Exception)
        await tables.commit(insert(JOBS, Job(job_id="j2")))
        assert await log.find_end_position("t") == 1
        assert await log.append_events("t", [b"two"], after=1) == 2
        assert (await anext(follower)).events == [b"two"]


def _small(connection: sqlite3.Connection) -> None:
    [(pages,)] = connection.execute("pragma page_count")
    connection.execute(f"pragma max_page_count={pages + 2}")


def _large(connection: sqlite3.Connection) -> None:
    connection.execute("pragma max_page_count=100000")


async def test_rows_and_events_share_commits_and_fail_alone(tmp_path: Path, clock: Clock) -> None:
    async with AsyncExitStack() as stack:
        writer = await stack.enter_async_context(sqlite_writer(tmp_path / "nexus.db"))
        driver, events = SqliteTables(writer, STORED), SqliteLog(writer, MemorySignals())
        for opened in (driver, events):
            await opened.open()
            stack.callback(opened.close)
        tables, log, rival = Tables(driver, secret=b"s", clock=clock), EventLog(events), EventLog(events)
        await tables.commit(insert(JOBS, Job(job_id="j1")))
        for n in range(700):
            assert await log.append_events(f"t{n}", [b"1"], after=0) == 1
        assert await rival.append_events("t0", [b"rival"], after=1) == 2
        commits = [asyncio.ensure_future(tables.commit(insert(JOBS, Job(job_id=f"j{n}")))) for n in range(3)]
        await asyncio.sleep(0)
        both = [log.append_events(f"t{n}", [b"2"], after=1) for n in range(700)]
        answers = await asyncio.gather(*both, *commits, return_exceptions=True)
        assert [n for n, answer in enumerate(answers) if isinstance(answer, Exception)] == [0, 701]
        assert isinstance(answers[0], Conflict) and isinstance(answers[701], AlreadyExists)
        assert await log.find_end_position("t1") == await log.find_end_position("t699") == 2
        assert (await log.read_events("t0")).events == [b"1", b"rival"]


async def test_works_submitted_together_fail_alone(tmp_path: Path, clock: Clock) -> None:
    async with sqlite_tables(tmp_path / "nexus.db") as driver:
        tables = Tables(driver, secret=b"s", clock=clock)
        await tables.commit(insert(JOBS, Job(job_id="j1")))
        both = [(Line(topic="t", position=n), Job(job_id=f"j{n}")) for n in (0, 1, 2)]
        commits = (tables.commit(insert(LINES, line), insert(JOBS, job)) for line, job in both)
        answers = await asyncio.gather(*commits, return_exceptions=True)
        assert [type(answer) for answer in answers] == [type(None), AlreadyExists, type(None)]
        assert [line.position for line in (await tables.read_page(LINES, "t")).items] == [0, 2]


class _Looking:
    """A work that looks how it is going to be committed."""

    def __init__(self, *, durable: bool, said: list[str] | None = None) -> None:
        self.needs_fsync, self._said = durable, [] if said is None else said
        self.synchronous = -1
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def make_log_row(self) -> LogRow | None:
        return None

    def write_to_database(self, connection: sqlite3.Connection) -> None:
        [(self.synchronous,)] = connection.execute("pragma synchronous")
        self._said.append("row runs" if self.needs_fsync else "delta runs")

    def set_commit_result(self, error: Exception | None) -> None:
        self._said.append("row landed" if self.needs_fsync else "delta landed")
        self.done.set_result(None)


async def test_rows_are_synced_and_deltas_are_not(tmp_path: Path) -> None:
    async with sqlite_writer(tmp_path / "nexus.db") as writer:
        seen: list[int] = []
        for durable in (True, False, True, False):
            work = _Looking(durable=durable)
            writer.enqueue_work(work)
            await work.done
            seen.append(work.synchronous)
        assert seen == [2, 1, 2, 1]


async def test_deltas_do_not_wait_for_the_disk_that_a_later_row_must_reach(tmp_path: Path) -> None:
    async with sqlite_writer(tmp_path / "nexus.db") as writer:
        await writer.run_in_transaction(lambda connection: None)
        said = list[str]()
        works = [_Looking(durable=durable, said=said) for durable in (False, True, False, True)]
        for work in works:
            writer.enqueue_work(work)
        await asyncio.gather(*(work.done for work in works))
        together = ["row runs", "delta runs", "row runs", "row landed", "delta landed", "row landed"]
        assert said == ["delta runs", "delta landed", *together]
        assert [work.synchronous for work in works] == [1, 2, 2, 2]


async def test_a_closed_database_is_unavailable(tmp_path: Path, clock: Clock) -> None:
    async with sqlite_tables(tmp_path / "nexus.db") as driver:
        tables = Tables(driver, secret=b"s", clock=clock)
        await tables.commit(insert(JOBS, Job(job_id="j1")))
    with pytest.raises(Unavailable):
        await tables.commit(insert(JOBS, Job(job_id="j2")))
    with pytest.raises(Unavailable):
        await tables.find(JOBS, "j1")


async def test_a_database_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(Unavailable):
        await Writer(tmp_path / "file" / "nexus.db").open()
    (tmp_path / "nexus.db").write_bytes(b"no database, but long enough to be looked at" * 100)
    with pytest.raises(Unavailable):
        await Writer(tmp_path / "nexus.db").open()


async def test_what_was_deleted_stands_in_no_file(tmp_path: Path) -> None:
    async with sqlite_log(tmp_path / "nexus.db") as driver, sqlite_writer(tmp_path / "nexus.db") as writer:
        log = EventLog(driver)
        for topic in ("t", "u"):
            for after in range(50):
                await log.append_events(topic, [b"the secret of %b" % topic.encode()] * 20, after=20 * after)
        await writer.checkpoint_wal()  # from here on it is in the file itself
        await log.delete_topics(["t"])
        kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert (b"the secret of t" in kept, b"the secret of u" in kept) == (False, True)


async def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    async with sqlite_log(tmp_path / "there" / "nexus.db"):
        assert stat.S_IMODE((tmp_path / "there" / "nexus.db").stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "there").stat().st_mode) == 0o700


async def test_an_index_declared_later_has_the_old_rows(tmp_path: Path, clock: Clock) -> None:
    bare = structs.replace(JOBS, indexes=JOBS.indexes[:1])
    async with sqlite_tables(tmp_path / "nexus.db", [bare]) as driver:
        old = Job(job_id="j1", shard="d", due_at="2025")
        await Tables(driver, secret=b"s", clock=clock).commit(insert(bare, old))
    for _ in range(2):
        async with sqlite_tables(tmp_path / "nexus.db") as driver:
            tables = Tables(driver, secret=b"s", clock=clock)
            assert [job.job_id for job in (await tables.read_page(JOBS, "d", index="DispatchIndex")).items] == ["j1"]
    async with sqlite_tables(tmp_path / "nexus.db") as driver:
        tables = Tables(driver, secret=b"s", clock=clock)
        assert (await tables.read_page(JOBS, "u1", "queued", index="UserStatusIndex")).items == []
        for job in (await tables.walk(JOBS)).items:
            await tables.commit(replace(JOBS, job))
        assert len((await tables.read_page(JOBS, "u1", "queued", index="UserStatusIndex")).items) == 1


async def test_a_row_can_be_changed_by_two_drivers_of_one_writer(tmp_path: Path, clock: Clock) -> None:
    async with sqlite_writer(tmp_path / "nexus.db") as writer:
        drivers = [SqliteTables(writer, STORED) for _ in range(2)]
        views = [Tables(driver, secret=b"s", clock=clock) for driver in drivers]
        for driver in drivers:
            await driver.open()
        job = Job(job_id="j1")
        await views[0].commit(insert(JOBS, job))
        await views[1].commit(patch(JOBS, job, when(status="queued"), status="running"))
        assert (await views[0].get(JOBS, "j1")).status == "running"
        for driver in drivers:
            driver.close()


def test_a_second_process_is_refused_by_name(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path / "data"):
        with pytest.raises(Conflict, match=str(os.getpid())) as refused:
            DirectoryLock(tmp_path / "data")
        assert str(tmp_path / "data") in refused.value.detail
        other = "import sys; from pathlib import Path; from nexus.adapters.sqlite.lock import DirectoryLock as L; L(Path(sys.argv[1]))"
        said = subprocess.run(
            [sys.executable, "-c", other, str(tmp_path / "data")], capture_output=True, text=True, cwd=ROOT
        )
        assert said.returncode == 1 and f"process {os.getpid()}" in said.stderr
    with DirectoryLock(tmp_path / "data"):
        pass


def test_a_killed_holder_leaves_the_directory(tmp_path: Path) -> None:
    other = (
        "import sys; from pathlib import Path; from nexus.adapters.sqlite.lock import DirectoryLock as L;"
        "held = L(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", other, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "held\n"
        with pytest.raises(Conflict, match=str(child.pid)):
            DirectoryLock(tmp_path)
        child.kill()
        child.wait()
    DirectoryLock(tmp_path).release()
