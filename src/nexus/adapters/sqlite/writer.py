"""The one connection that writes, and its thread. What is submitted together is committed together."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from nexus.domain.core.errors import Unavailable

LogRow = tuple[str, int, bytes]
"""Topic, position of the first event, events joined by newlines."""

_SYNC_SECONDS = 1.0
"""A power cut costs at most the deltas of this time."""
_CROWD_PAUSE, _LONGEST_PAUSE = 0.0002, 0.002
"""After a large group the next one gathers for a while, a part for each work: fewer and larger commits."""
_GROUP_LIMIT = 500


class Work(Protocol):
    """Something to write, whole or without a trace."""

    @property
    def needs_fsync(self) -> bool:
        """Whether it must be on the disk itself before `set_commit_result`, not only safe from the death of the process."""
        ...

    def make_log_row(self) -> LogRow | None:
        """The row of the log that this is: such rows are inserted in one statement, if each of them follows the end of its topic."""
        ...

    def write_to_database(self, connection: sqlite3.Connection) -> None:
        """In the writer's thread, inside a savepoint; what it raises undoes it alone."""
        ...

    def set_commit_result(self, error: Exception | None) -> None:
        """In the loop: it is committed, or nothing of it is."""
        ...


class Writer:
    """One group is being committed, what comes meanwhile is the next. Cancelling a caller takes nothing back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pending: list[Work] = []
        self._groups: SimpleQueue[list[Work] | None] = SimpleQueue()
        self._busy = self._closed = False
        self._resting: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None
        self._synchronous, self._synced = "", 0.0

    async def open(self) -> None:
        """Makes the file, readable by its owner alone, where there is none. Unavailable when it cannot be opened."""
        self._loop = asyncio.get_running_loop()
        self._idle = asyncio.Event()
        self._idle.set()
        self._connection = await asyncio.to_thread(self._open_database)
        self._thread = threading.Thread(target=self._run_writer_thread, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Finishes what was submitted; what comes later is Unavailable."""
        if self._closed or self._thread is None:
            return
        self._closed = True
        await self._idle.wait()
        self._groups.put(None)
        await asyncio.to_thread(self._thread.join)
        self._connection.close()

    def open_read_connection(self) -> sqlite3.Connection:
        """A connection of the loop's own that only reads."""
        return open_sqlite_connection(self.path, "query_only=1", "busy_timeout=50")

    def enqueue_work(self, work: Work) -> None:
        if self._closed:
            work.set_commit_result(Unavailable("The database is closed"))
            return
        self._pending.append(work)
        if not self._busy:
            self._busy = True
            self._idle.clear()
            self._loop.call_soon(self._send_work_to_thread)
        elif self._resting and work.needs_fsync:
            self._resting.cancel()
            self._resting = None
            self._loop.call_soon(self._send_work_to_thread)

    async def run_in_transaction(self, run: Callable[[sqlite3.Connection], None]) -> None:
        """Submits a function and waits for its commit."""
        job = Job(run)
        self.enqueue_work(job)
        await job.done

    async def checkpoint_wal(self) -> None:
        """Empties the write-ahead log into the file, so that what was deleted stands in neither."""
        await asyncio.to_thread(self._checkpoint_wal_blocking)

    def _checkpoint_wal_blocking(self) -> None:
        with closing(open_sqlite_connection(self.path, "busy_timeout=5000")) as connection:
            connection.execute("pragma wal_checkpoint(truncate)")

    def _send_work_to_thread(self) -> None:
        self._resting = None
        if self._pending:
            end = _get_next_group_size(self._pending)
            group, self._pending = self._pending[:end], self._pending[end:]
            self._groups.put(group)
        else:
            self._busy = False
            self._idle.set()

    def _set_group_results(self, group: Sequence[Work], answers: Sequence[Exception | None]) -> None:
        for work, answer in zip(group, answers, strict=True):
            work.set_commit_result(answer)
        rest = min(_LONGEST_PAUSE, (len(group) - 2) * _CROWD_PAUSE)
        if rest > 0 and not self._closed and not any(work.needs_fsync for work in self._pending):
            self._resting = self._loop.call_later(rest, self._send_work_to_thread)
        elif self._pending:
            self._loop.call_soon(self._send_work_to_thread)
        else:
            self._send_work_to_thread()

    def _open_database(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            return open_sqlite_connection(
                self.path, "journal_mode=wal", "busy_timeout=5000", "journal_size_limit=67108864", "secure_delete=1"
            )
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(f"The database cannot be opened: {error}") from error

    def _run_writer_thread(self) -> None:
        while (group := self._groups.get()) is not None:
            try:
                answers = self._commit_work_group(group)
            except Exception as error:
                answers = self._roll_back_work_group(group, error)
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._set_group_results, group, answers)

    def _commit_work_group(self, group: Sequence[Work]) -> Sequence[Exception | None]:
        self._set_synchronous_mode(any(work.needs_fsync for work in group))
        rows = [work.make_log_row() for work in group]
        if all(rows) and self._insert_log_rows(rows):
            return [None] * len(group)
        self._connection.execute("begin immediate")
        inserted, alone = self._insert_log_rows(rows), len(group) == 1
        answers = [
            None if row and inserted else self._run_work_in_savepoint(work, alone=alone)
            for work, row in zip(group, rows, strict=True)
        ]
        if self._connection.in_transaction:
            self._connection.execute("commit")
        return answers

    def _insert_log_rows(self, rows: Sequence[LogRow | None]) -> bool:
        """Inserts rows of the log in one statement; False when one of them does not follow the end of its topic, and none is inserted."""
        plain = [row for row in rows if row]
        if not plain:
            return True
        try:
            self._connection.execute(_make_log_insert_sql(len(plain)), [value for row in plain for value in row])
        except sqlite3.IntegrityError:
            return False
        return True

    def _run_work_in_savepoint(self, work: Work, *, alone: bool) -> Exception | None:
        """Runs one work of a transaction; alone in it, the transaction is its savepoint."""
        run = self._connection.execute
        if not alone:
            run("savepoint work")
        try:
            work.write_to_database(self._connection)
        except Exception as error:
            if not self._connection.in_transaction:
                raise
            run("rollback" if alone else "rollback to work")
            return translate_sqlite_error(error)
        finally:
            if not alone and self._connection.in_transaction:
                run("release work")
        return None

    def _roll_back_work_group(self, group: Sequence[Work], error: Exception) -> Sequence[Exception | None]:
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("rollback")
        return [translate_sqlite_error(error)] * len(group)

    def _set_synchronous_mode(self, durable: bool) -> None:
        now = time.monotonic()
        full = durable or now - self._synced > _SYNC_SECONDS
        if full:
            self._synced = now
        if self._synchronous != (wanted := "full" if full else "normal"):
            self._connection.execute(f"pragma synchronous={wanted}")
            self._synchronous = wanted


def _get_next_group_size(pending: Sequence[Work]) -> int:
    """How many of these are one group. What need not be on the disk goes ahead: a delta does not wait for a disk that takes its time."""
    first = next((at for at, work in enumerate(pending[:_GROUP_LIMIT]) if work.needs_fsync), 0)
    return first or _GROUP_LIMIT


class Job:
    """A function that writes rows."""

    __slots__ = ("done", "write_to_database")
    needs_fsync = True

    def __init__(self, run: Callable[[sqlite3.Connection], None]) -> None:
        self.write_to_database = run
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def make_log_row(self) -> None:
        return None

    def set_commit_result(self, error: Exception | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


def open_sqlite_connection(path: Path, *pragmas: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    for pragma in pragmas:
        connection.execute(f"pragma {pragma}")
    return connection


_REASONS = {
    sqlite3.SQLITE_FULL: "storage_full",
    sqlite3.SQLITE_BUSY: "database",
    sqlite3.SQLITE_LOCKED: "database",
    sqlite3.SQLITE_IOERR: "database",
    sqlite3.SQLITE_CANTOPEN: "database",
}
"""What passes: waiting helps."""


def translate_sqlite_error(error: Exception) -> Exception:
    """What the domain is told of an error: the database's own are Unavailable, others are what they are."""
    if not isinstance(error, sqlite3.Error):
        return error
    reason = _REASONS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    told = Unavailable(f"The database does not answer: {error}", **({"reason": reason} if reason else {}))
    told.__cause__ = error
    return told


@lru_cache(_GROUP_LIMIT)
def _make_log_insert_sql(rows: int) -> str:
    return "insert into nexus_log values " + ",".join(["(?,?,?)"] * rows)  # noqa: S608 - no values in it
