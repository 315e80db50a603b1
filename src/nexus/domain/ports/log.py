"""The log: what one writer produces fast and many follow. A concrete front before a small driver, and a typed view."""

import asyncio
import functools
import operator
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from weakref import WeakValueDictionary

import msgspec
from msgspec import Struct

from nexus.domain.ports.topics import LEAP, Append, Batch, Beyond, Topic, Trimmed, refusal

__all__ = ["LEAP", "PAGE", "Append", "Batch", "Beyond", "Cursor", "EventLog", "LogDriver", "Stream", "Told", "Trimmed"]

E = TypeVar("E", bound=Struct)

PAGE = 256
_TOPICS_KEPT = 256


class LogDriver(Protocol):
    """A store of events in order of position. Reads may raise Unavailable."""

    def write(self, append: Append) -> None:
        """Takes events on their way, and tells `landed` when they are committed (`durable`: on the disk itself) or refused.

        Appends land in the order in which they were taken; a `cold` one is refused as its `refusal` says."""
        ...

    async def read(self, topic: str, after: int, limit: int) -> Batch:
        """Up to about `limit` events from the first one after `after` on, up to a leap; no events when there are none."""
        ...

    async def end(self, topic: str) -> int:
        """The position of the last committed event, 0 without any."""
        ...

    async def trim(self, first: str, before: str) -> None:
        """Forgets all topics from the name `first` up to, without, `before`."""
        ...


class Cursor:
    """A follower is a position and nothing else: a slow one falls off the tail and reads the store, so memory is bounded."""

    __slots__ = ("_at", "_driver", "_sure", "_topic")

    def __init__(self, topic: Topic, at: int, driver: LogDriver) -> None:
        self._topic, self._at, self._driver, self._sure = topic, at, driver, at == 0

    def __aiter__(self) -> "Cursor":
        return self

    async def __anext__(self) -> Batch:
        topic = self._topic
        end = told = topic.end if topic.end is not None else await self._asked()
        if told < self._at and not self._sure:  # the store may show what is committed and not yet told here
            end = await self._driver.end(topic.name)
            if end < self._at:
                raise Beyond(topic=topic.name, after=self._at, end=end)
        if end <= self._at:
            self._sure = True
            await self._wait()
            if (end := topic.end or 0) <= self._at:
                return Batch(self._at + 1, ())
            told = end
        behind = end - self._at
        if end == told and behind <= len(topic.tail) - (not self._sure):
            batch = Batch(self._at + 1, topic.tail[-behind:])
        else:
            batch = await self._stored()
        self._sure, self._at = True, batch.last
        return batch

    async def _asked(self) -> int:
        end = await self._driver.end(self._topic.name)
        self._topic.end = max(end, self._topic.end or 0)
        return self._topic.end

    async def _wait(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._topic.waiting.add(waiter)
        try:
            await waiter
        finally:
            self._topic.waiting.discard(waiter)

    async def _stored(self) -> Batch:
        """The next page. The first one of a reader that comes back starts with what it saw last, to see that it is there."""
        batch = await self._driver.read(self._topic.name, self._at - (not self._sure), PAGE)
        await asyncio.sleep(0)
        if not batch.events:
            raise Trimmed(topic=self._topic.name, after=self._at)
        if self._sure:
            return batch
        if batch.first != self._at:
            raise Beyond(topic=self._topic.name, after=self._at)
        return Batch(batch.first + 1, batch.events[1:])


class EventLog:
    """All topics. Writers of one topic take turns by position; followers may come, go and come again anywhere."""

    def __init__(self, driver: LogDriver) -> None:
        self._driver = driver
        self._topics: WeakValueDictionary[str, Topic] = WeakValueDictionary()
        self._recent: deque[Topic] = deque(maxlen=_TOPICS_KEPT)
        self._made = 0

    def append(self, topic: str, events: Sequence[bytes], *, after: int, durable: bool = False) -> asyncio.Future[int]:
        """On its way when this returns; the last position is the answer, once it is committed and readers may see it.

        Conflict when `after` is not the end, nor LEAP beyond it. An event is one line of UTF-8: no newline in it."""
        if not events or any(b"\n" in event for event in events):
            raise ValueError("at least one event, each without a newline")
        held = self._held(topic)
        if held.known is not None and (against := refusal(topic, after, held.known)):
            refused: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            refused.set_exception(against)
            return refused
        append = Append(held, after + 1, tuple(events), durable)
        held.promised = after + len(events)
        self._driver.write(append)
        return append.done

    def follow(self, topic: str, after: int = 0) -> AsyncIterator[Batch]:
        """Everything after `after`, old first, then new as it comes, in batches; never ends by itself.

        Trimmed when the next event is gone; Beyond when the reader knows what the store has not."""
        return Cursor(self._held(topic), after, self._driver)

    async def read(self, topic: str, after: int = 0, *, limit: int = PAGE) -> Batch:
        """What is committed after `after`, a page of it; no events when there is nothing."""
        return await self._driver.read(topic, after, limit)

    async def end(self, topic: str) -> int:
        """Where the next event follows: the last position that is committed, or on its way from here."""
        held = self._held(topic)
        if held.known is None:
            end = await self._driver.end(topic)
            held.end = max(end, held.end or 0)
        return held.known or 0

    async def trim(self, first: str, before: str) -> None:
        """Forgets all topics from the name `first` up to, without, `before`: names that carry ids sort by age."""
        await self._driver.trim(first, before)
        for held in list(self._topics.values()):
            if first <= held.name < before:
                held.tail, held.size = [], 0

    async def beat(self, every: float = 7.5) -> None:
        """Runs for ever: a follower hears something every `2 * every` seconds at the latest, and not all in one burst."""
        parts, turn = max(1, round(every)), 0
        while True:
            await asyncio.sleep(every / parts)
            turn = (turn + 1) % parts
            due = [held for held in self._topics.values() if held.turn % parts == turn and held.waiting]
            for held in due:
                if held.quiet:
                    held.wake()
                held.quiet = True

    def _held(self, name: str) -> Topic:
        if (held := self._topics.get(name)) is None:
            self._made += 1
            held = self._topics[name] = Topic(name, self._made)
            self._recent.append(held)
        return held


class Told(NamedTuple, Generic[E]):
    """An event and its position."""

    position: int
    event: E


class Stream(Generic[E]):
    """The typed view of a log: `kinds` are the Structs of a tagged union, `ends` those after which nothing comes."""

    def __init__(self, log: EventLog, *, kinds: Sequence[type[E]], ends: Sequence[type[E]]) -> None:
        self._log, self._ends = log, tuple(map(_opening, ends))
        self._encode = msgspec.json.Encoder().encode
        self._decode: Any = msgspec.json.Decoder(functools.reduce(operator.or_, kinds)).decode

    def append(self, topic: str, events: Sequence[E], *, after: int, durable: bool = False) -> asyncio.Future[int]:
        """As `EventLog.append`; an event that ends the topic is always durable."""
        lines = [self._encode(event) for event in events]
        return self._log.append(topic, lines, after=after, durable=durable or any(map(self.is_end, lines)))

    def is_end(self, line: bytes) -> bool:
        return line.startswith(self._ends)

    def batches(self, topic: str, after: int = 0) -> AsyncIterator[Batch]:
        """As `EventLog.follow`, encoded and with heartbeats; ends after an event that ends the topic."""
        return _Ending(self._log.follow(topic, after), self._log, topic, after, self._ends)

    async def follow(self, topic: str, after: int = 0) -> AsyncIterator[Told[E]]:
        """Every event after `after`; ends after one that ends the topic."""
        async for batch in self.batches(topic, after):
            for position, line in enumerate(batch.events, batch.first):
                yield Told(position, self._decode(line))

    async def read(self, topic: str) -> list[Told[E]]:
        """Every event committed by now."""
        told: list[Told[E]] = []
        while (batch := await self._log.read(topic, told[-1].position if told else 0)).events:
            told += [Told(position, self._decode(line)) for position, line in enumerate(batch.events, batch.first)]
        return told

    async def end(self, topic: str) -> int:
        return await self._log.end(topic)


class _Ending:
    """Batches up to the event that ends the topic; none when the reader has had it already."""

    __slots__ = ("_after", "_batches", "_ends", "_log", "_over", "_topic")

    def __init__(
        self, batches: AsyncIterator[Batch], log: EventLog, topic: str, after: int, ends: tuple[bytes, ...]
    ) -> None:
        self._batches, self._log, self._topic, self._after, self._ends = batches, log, topic, after, ends
        self._over = False

    def __aiter__(self) -> "_Ending":
        return self

    async def __anext__(self) -> Batch:
        if self._after:
            before = await self._log.read(self._topic, self._after - 1, limit=1)
            seen = before.events[:1] if before.first == self._after else ()
            self._over = any(event.startswith(self._ends) for event in seen)
            self._after = 0
        if self._over:
            raise StopAsyncIteration
        batch = await anext(self._batches)
        self._over = any(event.startswith(self._ends) for event in batch.events)
        return batch


def _opening(kind: type[Struct]) -> bytes:
    """How the JSON of a tagged Struct begins: with its tag."""
    config = kind.__struct_config__
    return b"{" + msgspec.json.encode(config.tag_field) + b":" + msgspec.json.encode(config.tag)
