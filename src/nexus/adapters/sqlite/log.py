"""The log in SQLite: one row a batch, in the group commit that the tables share."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing

from nexus.adapters.sqlite.writer import LogRow, Writer, unavailable
from nexus.domain.ports.log import Append, Batch

_TABLE = (
    "create table if not exists nexus_log"
    " (topic text not null, first integer not null, body blob not null, primary key (topic, first)) without rowid"
)
_LAST = "select first, body from nexus_log where topic = ? order by first desc limit 1"
_FROM = (
    "select first, body from nexus_log where topic = ?1 and first >="
    " coalesce((select max(first) from nexus_log where topic = ?1 and first <= ?2), 0) order by first"
)
_FORGET = (
    "delete from nexus_log where (topic, first) in"
    " (select topic, first from nexus_log where topic >= ? and topic < ? limit 1000)"
)


class SqliteLog:
    """Reads on the loop's own connection, appends through the writer."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def open(self) -> None:
        await self._writer.do(_make)
        self._reader = self._writer.reader()

    def close(self) -> None:
        self._reader.close()

    def write(self, append: Append) -> None:
        self._writer.submit(_Appending(append))

    async def read(self, topic: str, after: int, limit: int) -> Batch:
        try:
            with closing(self._reader.execute(_FROM, (topic, after + 1))) as rows:
                return _batch(rows, after + 1, limit)
        except sqlite3.Error as error:
            raise unavailable(error) from error

    async def end(self, topic: str) -> int:
        try:
            return _end(self._reader, topic)
        except sqlite3.Error as error:
            raise unavailable(error) from error

    async def trim(self, first: str, before: str) -> None:
        gone = 1

        def forget(connection: sqlite3.Connection) -> None:
            nonlocal gone
            gone = connection.execute(_FORGET, (first, before)).rowcount

        while gone:
            await self._writer.do(forget)


def _batch(rows: Iterable[tuple[int, bytes]], wanted: int, limit: int) -> Batch:
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


class _Appending:
    """An append as a work of the writer."""

    __slots__ = ("_append", "durable", "landed")

    def __init__(self, append: Append) -> None:
        self._append, self.durable, self.landed = append, append.durable, append.landed

    def log_row(self) -> LogRow | None:
        append = self._append
        return None if append.cold else (append.topic, append.first, b"\n".join(append.events))

    def run(self, connection: sqlite3.Connection) -> None:
        append = self._append
        if refused := append.refusal(_end(connection, append.topic)):
            raise refused
        body = b"\n".join(append.events)
        connection.execute("insert into nexus_log values (?, ?, ?)", (append.topic, append.first, body))


def _make(connection: sqlite3.Connection) -> None:
    connection.execute(_TABLE)


def _end(connection: sqlite3.Connection, topic: str) -> int:
    last = connection.execute(_LAST, (topic,)).fetchone()
    return last[0] + last[1].count(b"\n") if last else 0
