"""The log in SQLite: one row a batch, in the group commit that the tables share."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial

from msgspec import Struct

from nexus.adapters.sqlite.writer import LogRow, Writer, translate_sqlite_error
from nexus.domain.ports.log import LEAP, Append, Batch, find_append_refusal
from nexus.domain.ports.signals import Signals

_TABLE = (
    "create table if not exists nexus_log"
    " (topic text not null, first integer not null, body blob not null, primary key (topic, first)) without rowid"
)
_FOLLOWS = f"""
create temp trigger if not exists nexus_log_follows before insert on nexus_log begin
    select raise(abort, 'it does not follow the end of its topic') where min({LEAP}, new.first - 1 - coalesce((
        select iif(instr(body, x'0a'), first + length(body) - length(cast(replace(body, x'0a', '') as blob)), first)
        from nexus_log where topic = new.topic order by first desc limit 1
    ), 0)) not in (0, {LEAP});
end"""  # noqa: S608 - no values in it
_LAST = "select first, body from nexus_log where topic = ? order by first desc limit 1"
_FROM = (
    "select first, body from nexus_log where topic = ?1 and first >="
    " coalesce((select max(first) from nexus_log where topic = ?1 and first <= ?2), 0) order by first"
)


class SqliteLog:
    """Reads on the loop's own connection, appends through the writer. What lands through one of them wakes the subscribers of all that
    share the signals."""

    def __init__(self, writer: Writer, signals: Signals) -> None:
        self._writer, self._signals = writer, signals

    async def open(self) -> None:
        await self._writer.run_in_transaction(_create_log_table)
        self._reader = self._writer.open_read_connection()

    def close(self) -> None:
        self._reader.close()

    def append_events(self, append: Append) -> None:
        self._writer.enqueue_work(_Appending(append, self._signals, append.durable))

    async def read_events(self, topic: str, after: int, limit: int) -> Batch:
        try:
            with closing(self._reader.execute(_FROM, (topic, after + 1))) as rows:
                return _collect_event_batch(rows, after + 1, limit)
        except sqlite3.Error as error:
            raise translate_sqlite_error(error) from error

    async def read_end_position(self, topic: str) -> int:
        try:
            return _read_end_position(self._reader, topic)
        except sqlite3.Error as error:
            raise translate_sqlite_error(error) from error

    async def delete_topics(self, topics: Sequence[str]) -> None:
        await asyncio.gather(*(self._writer.run_in_transaction(partial(_delete_topic_rows, topic)) for topic in topics))
        await self._writer.checkpoint_wal()
        for topic in topics:
            self._signals.notify_listeners(topic)

    def subscribe_to_topic(self, topic: str, wake: Callable[[int], None]) -> Callable[[], None]:
        return self._signals.add_listener(topic, wake)


def _collect_event_batch(rows: Iterable[tuple[int, bytes]], wanted: int, limit: int) -> Batch:
    """Events from the position `wanted` on, out of rows that hold several each; a leap ends the batch."""
    first, events = wanted, list[bytes]()
    for start, body in rows:
        fresh = body.split(b"\n")[max(0, wanted - start) :]
        start = max(start, wanted)
        if not events:
            first = start
        elif start != first + len(events):
            break
        events += fresh
        if len(events) >= limit:
            break
    return Batch(first, events)


class _Appending(Struct):
    """An append as a work of the writer."""

    append: Append
    signals: Signals
    needs_fsync: bool

    def make_log_row(self) -> LogRow:
        append = self.append
        return append.topic, append.after + 1, b"\n".join(append.events)

    def write_to_database(self, connection: sqlite3.Connection) -> None:
        if refused := find_append_refusal(self.append, _read_end_position(connection, self.append.topic)):
            raise refused
        connection.execute("insert into nexus_log values (?, ?, ?)", self.make_log_row())

    def set_commit_result(self, error: Exception | None) -> None:
        append = self.append
        append.finish(error)
        if error is None:
            self.signals.notify_listeners(append.topic, append.after + len(append.events))


def _create_log_table(connection: sqlite3.Connection) -> None:
    connection.execute(_TABLE)
    connection.execute(_FOLLOWS)


def _delete_topic_rows(topic: str, connection: sqlite3.Connection) -> None:
    connection.execute("delete from nexus_log where topic = ?", (topic,))


def _read_end_position(connection: sqlite3.Connection, topic: str) -> int:
    last = connection.execute(_LAST, (topic,)).fetchone()
    return last[0] + last[1].count(b"\n") if last else 0
