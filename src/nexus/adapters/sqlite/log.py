"""The log in SQLite: one row a batch, in the group commit that the tables share."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial

from msgspec import Struct

from nexus.adapters.sqlite.writer import LogRow, Writer, translate_error
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
        await self._writer.run_job(_create_log_table)
        self._reader = self._writer.reader()

    def close(self) -> None:
        self._reader.close()

    def append(self, append: Append) -> None:
        self._writer.submit(_Appending(append, self._signals, append.durable))

    async def read(self, topic: str, after: int, limit: int) -> Batch:
        try:
            with closing(self._reader.execute(_FROM, (topic, after + 1))) as rows:
                return _collect_batch(rows, after + 1, limit)
        except sqlite3.Error as error:
            raise translate_error(error) from error

    async def end(self, topic: str) -> int:
        try:
            return _end(self._reader, topic)
        except sqlite3.Error as error:
            raise translate_error(error) from error

    async def delete(self, topics: Sequence[str]) -> None:
        await asyncio.gather(*(self._writer.run_job(partial(_delete, topic)) for topic in topics))
        await self._writer.write_back()
        for topic in topics:
            self._signals.notify(topic)

    def subscribe(self, topic: str, wake: Callable[[int], None]) -> Callable[[], None]:
        return self._signals.listen(topic, wake)


def _collect_batch(rows: Iterable[tuple[int, bytes]], wanted: int, limit: int) -> Batch:
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
    durable: bool

    def log_row(self) -> LogRow:
        append = self.append
        return append.topic, append.after + 1, b"\n".join(append.events)

    def run(self, connection: sqlite3.Connection) -> None:
        if refused := find_append_refusal(self.append, _end(connection, self.append.topic)):
            raise refused
        connection.execute("insert into nexus_log values (?, ?, ?)", self.log_row())

    def finish(self, error: Exception | None) -> None:
        append = self.append
        append.finish(error)
        if error is None:
            self.signals.notify(append.topic, append.after + len(append.events))


def _create_log_table(connection: sqlite3.Connection) -> None:
    connection.execute(_TABLE)
    connection.execute(_FOLLOWS)


def _delete(topic: str, connection: sqlite3.Connection) -> None:
    connection.execute("delete from nexus_log where topic = ?", (topic,))


def _end(connection: sqlite3.Connection, topic: str) -> int:
    last = connection.execute(_LAST, (topic,)).fetchone()
    return last[0] + last[1].count(b"\n") if last else 0
