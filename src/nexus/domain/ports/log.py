"""The log: what one writer produces fast and many follow. A concrete front before a small driver, and a typed view."""

import asyncio
import functools
import operator
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import Struct

from nexus.domain.core.errors import Conflict
from nexus.domain.ports.topics import PAGE as PAGE
from nexus.domain.ports.topics import Batch as Batch
from nexus.domain.ports.topics import Beyond as Beyond
from nexus.domain.ports.topics import Source, Topic, Topics
from nexus.domain.ports.topics import Trimmed as Trimmed

E = TypeVar("E", bound=Struct)

LEAP = 1_000
"""How far at least a writer steps ahead that continues after a crash: readers may have seen positions that the store lost."""


class Append(Struct, frozen=True):
    """Events on their way to the store, all or none, behind the position `after`. `durable`: on the disk itself before `finish`, which
    is called in the loop: they are committed, or nothing of them is."""

    topic: str
    after: int
    events: Sequence[bytes]
    durable: bool
    finish: Callable[[Exception | None], None]


class LogDriver(Source, Protocol):
    """A store of events. Several fronts, in several processes, may write and follow one topic."""

    def append_events(self, append: Append) -> None:
        """Appends of a topic land in the order in which they were taken. Conflict as `refusal` says, whatever a front believes: the
        look at the end and the write are one step."""
        ...

    async def delete_topics(self, topics: Sequence[str]) -> None:
        """Nothing of them is left. Quiet where there was nothing."""
        ...


def find_append_refusal(append: Append, end: int) -> Conflict | None:
    """What stands against events in a topic that ends at `end`."""
    return None if append.after == end or append.after >= end + LEAP else make_append_refusal(append, end)


def make_append_refusal(append: Append, end: int) -> Conflict:
    topic, after = append.topic, append.after
    return Conflict(f"The topic ends at {end}, not at {after}", topic=topic, after=after, end=end)


class EventLog:
    """All topics. Writers of one topic take turns by position; followers may come, go and come again anywhere."""

    def __init__(self, driver: LogDriver, *, poll: float = 1.0) -> None:
        self._driver, self._topics = driver, Topics(driver, poll=poll)

    def append_events(
        self, topic: str, events: Sequence[bytes], *, after: int, durable: bool = False
    ) -> asyncio.Future[int]:
        """On its way when this returns; the last position is the answer, once it is committed and readers may see it.

        Conflict when `after` is not the end, nor LEAP or more beyond it. An event is one line of UTF-8: no newline in it."""
        if not events or b"\n" in b"".join(events):
            raise ValueError("at least one event, each without a newline")
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        here = self._topics[topic]
        here.promised = after + len(events)
        report = functools.partial(_report, here, after, events, done)
        self._driver.append_events(Append(topic, after, events, durable, report))
        return done

    def follow_topic(self, topic: str, after: int = 0, *, ends: tuple[bytes, ...] = ()) -> AsyncIterator[Batch]:
        """As `Topics.follow`."""
        return self._topics.follow(topic, after, ends=ends)

    async def read_events(self, topic: str, after: int = 0, *, limit: int = PAGE) -> Batch:
        """What is committed after `after`, a page of it; no events when there is nothing."""
        return await self._driver.read_events(topic, after, limit)

    async def find_end_position(self, topic: str) -> int:
        """Where the next event follows: the last position that is committed, or on its way from here."""
        return self._topics[topic].promised or await self._driver.read_end_position(topic)

    async def delete_topics(self, topics: Sequence[str]) -> None:
        """For ever: names are not used again."""
        await self._driver.delete_topics(topics)
        for topic in topics:
            self._topics.forget_topic(topic)


def _report(
    topic: Topic, after: int, events: Sequence[bytes], done: asyncio.Future[int], error: Exception | None
) -> None:
    last = after + len(events)
    if error is None:
        topic.publish_events(after + 1, events)
    if error is not None or topic.promised == last:
        topic.promised = 0
    if done.done():
        return
    if error is None:
        done.set_result(last)
    else:
        done.set_exception(error)


class Entry(NamedTuple, Generic[E]):
    """An event and its position."""

    position: int
    event: E


class Stream(Generic[E]):
    """The typed view of a log: `kinds` are the Structs of a tagged union, `ends` those after which nothing comes."""

    def __init__(self, log: EventLog, *, kinds: Sequence[type[E]], ends: Sequence[type[E]]) -> None:
        self._log, self._ends = log, tuple(map(_encode_tag, ends))
        self._encode = msgspec.json.Encoder().encode
        self._decode: Any = msgspec.json.Decoder(functools.reduce(operator.or_, kinds)).decode

    def append_events(
        self, topic: str, events: Sequence[E], *, after: int, durable: bool = False
    ) -> asyncio.Future[int]:
        """As `EventLog.append`; an event that ends the topic is always durable."""
        lines = [self._encode(event) for event in events]
        return self._log.append_events(topic, lines, after=after, durable=durable or lines[-1].startswith(self._ends))

    def follow_batches(self, topic: str, after: int = 0) -> AsyncIterator[Batch]:
        """As `EventLog.follow`, encoded and with heartbeats; ends after an event that ends the topic."""
        return self._log.follow_topic(topic, after, ends=self._ends)

    async def read_entries(self, topic: str) -> list[Entry[E]]:
        """Every event committed by now."""
        found: list[Entry[E]] = []
        while (batch := await self._log.read_events(topic, found[-1].position if found else 0)).events:
            found += [Entry(position, self._decode(line)) for position, line in enumerate(batch.events, batch.first)]
        return found

    async def find_end_position(self, topic: str) -> int:
        return await self._log.find_end_position(topic)

    async def delete_topics(self, topics: Sequence[str]) -> None:
        await self._log.delete_topics(topics)


def _encode_tag(kind: type[Struct]) -> bytes:
    """How the JSON of a tagged Struct begins: with its tag."""
    config = kind.__struct_config__
    return b"{" + msgspec.json.encode(config.tag_field) + b":" + msgspec.json.encode(config.tag)
