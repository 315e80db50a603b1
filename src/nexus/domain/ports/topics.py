"""What one process remembers of the topics of a store: a tail of each that all its followers share, and who waits for more."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol
from weakref import WeakValueDictionary, finalize, ref

import structlog

from nexus.domain.core.errors import Conflict, NotFound, Unavailable
from nexus.domain.core.streams import Batch as Batch
from nexus.domain.core.streams import PositionLost

PAGE = 256
TAIL_EVENTS = 256
TAIL_BYTES = 128 * 1024
_TOPICS_KEPT = 256

logger = structlog.get_logger()


class Beyond(Conflict, PositionLost):
    """The reader knows events that the store does not have: they were lost with the machine. Start again from the row."""

    title = "The log does not reach as far"


class Trimmed(NotFound, PositionLost):
    """The events after this position are no longer kept: what became of them stands in the row."""

    title = "These events are no longer kept"


class Source(Protocol):
    """A store of events in order of position. Reads may raise Unavailable."""

    async def read_events(self, topic: str, after: int, limit: int) -> Batch:
        """Up to about `limit` events from the first one after `after` on, up to a leap; no events when there are none."""
        ...

    async def read_end_position(self, topic: str) -> int:
        """The position of the last committed event, 0 without any."""
        ...

    def subscribe_to_topic(self, topic: str, wake: Callable[[int], None]) -> Callable[[], None]:
        """Calls `wake` in the loop with the position of what was committed, whoever wrote it, and with 0 when the topic was deleted;
        until the answer is called. A call may be lost."""
        ...


class Topic:
    """What this process remembers of a topic: its end, and the last events before that. Others may write it too: what is remembered
    holds while the process is subscribed, `reached` being the furthest position that it was told of."""

    __slots__ = (
        "__weakref__",
        "end",
        "has_looked",
        "is_deleted",
        "is_fetching",
        "is_subscribed",
        "name",
        "promised",
        "reached",
        "size",
        "still",
        "tail",
        "turn",
        "waiting",
    )

    def __init__(self, name: str, turn: int) -> None:
        self.name, self.turn = name, turn
        self.end = self.reached = self.promised = 0
        self.tail: list[bytes] = []
        self.size = self.still = 0
        self.waiting: set[asyncio.Future[None]] = set()
        self.is_subscribed = self.has_looked = self.is_fetching = self.is_deleted = False

    def publish_events(self, first: int, events: Sequence[bytes]) -> None:
        """Shows committed events to the followers."""
        last = first + len(events) - 1
        if last <= self.end:
            return
        if first - 1 != self.end:
            self.tail, self.size = [], 0
        self.end = last
        self.tail += events
        self.size += sum(map(len, events))
        while len(self.tail) > TAIL_EVENTS or self.size > TAIL_BYTES:
            cut = len(self.tail) // 2 + 1
            self.size -= sum(map(len, self.tail[:cut]))
            del self.tail[:cut]
        self.still = 0
        self.wake_followers()

    def reset_topic(self, end: int) -> None:
        """The store says that the topic ends there, and nothing was published since it was asked."""
        if end != self.end:
            self.end, self.tail, self.size = end, [], 0

    def wake_followers(self) -> None:
        for waiter in self.waiting:
            if not waiter.done():
                waiter.set_result(None)
        self.waiting.clear()


class Topics:
    """The topics of one source. What others write comes through its subscription; where a signal was lost, one look a topic every
    `poll` seconds finds it. A follower hears something after `2 * beats` looks at the latest, and not all in one burst."""

    def __init__(self, source: Source, *, poll: float = 1.0, beats: int = 6) -> None:
        self.source, self._poll, self._beats = source, poll, beats
        self._topics: WeakValueDictionary[str, Topic] = WeakValueDictionary()
        self._recent: deque[Topic] = deque(maxlen=_TOPICS_KEPT)
        self._made = 0
        self._watching: asyncio.Task[None] | None = None
        self._fetching = set[asyncio.Task[None]]()

    def __getitem__(self, name: str) -> Topic:
        if (topic := self._topics.get(name)) is None:
            self._made += 1
            topic = self._topics[name] = Topic(name, self._made)
            self._recent.append(topic)
        return topic

    def follow(self, name: str, after: int = 0, *, ends: tuple[bytes, ...] = (), sure: bool = False) -> "Cursor":
        """Everything after `after`, old first, then new as it comes, in batches, up to an event that begins with one of `ends`.

        Trimmed when the next event is gone; Beyond when the reader knows what the store has not, unless it is `sure`."""
        return Cursor(self, self[name], after, ends=ends, sure=sure)

    async def subscribe_and_read_end(self, topic: Topic) -> None:
        """From now on what is remembered is what is there."""
        if not topic.is_subscribed:
            topic.is_subscribed = True
            finalize(
                topic,
                self.source.subscribe_to_topic(topic.name, partial(_handle_position_signal, ref(self), ref(topic))),
            )
        before = topic.end
        end = await self.source.read_end_position(topic.name)
        if topic.end == before:
            topic.reset_topic(end)
        topic.has_looked = True
        self.fetch_new_events(topic)

    def fetch_new_events(self, topic: Topic) -> None:
        """Fetches what is there and not yet remembered: once for all followers."""
        if topic.reached > topic.end and topic.has_looked and not topic.is_fetching:
            topic.is_fetching = True
            task = asyncio.ensure_future(self._fetch_batch(topic))
            self._fetching.add(task)
            task.add_done_callback(self._fetching.discard)

    async def _fetch_batch(self, topic: Topic) -> None:
        try:
            while topic.end < topic.reached:
                batch = await self.source.read_events(topic.name, topic.end, PAGE)
                if not batch.events:
                    topic.reached = topic.end
                topic.publish_events(*batch)
        except Unavailable as error:
            logger.warning("topic.not_fetched", topic=topic.name, reason=error.detail)
        finally:
            topic.is_fetching = False

    def forget_topic(self, name: str) -> None:
        """Forgets a topic; who follows it is told."""
        if topic := self._topics.pop(name, None):
            topic.is_deleted = True
            topic.tail, topic.size = [], 0
            topic.wake_followers()

    def poll_topic_while_followed(self) -> None:
        """Looks from time to time, for as long as somebody waits."""
        if self._watching is None:
            self._watching = asyncio.ensure_future(self._poll_topics())

    async def _poll_topics(self) -> None:
        tick = 0
        try:
            while waiting := [topic for topic in self._topics.values() if topic.waiting]:
                await asyncio.sleep(self._poll)
                tick += 1
                for topic in waiting:
                    await self._poll_topic(topic, tick)
        finally:
            self._watching = None

    async def _poll_topic(self, topic: Topic, tick: int) -> None:
        topic.still += 1
        if topic.still > 1:
            try:
                topic.reached = max(topic.reached, await self.source.read_end_position(topic.name))
                self.fetch_new_events(topic)
            except Unavailable as error:
                logger.warning("topic.not_watched", topic=topic.name, reason=error.detail)
        if topic.still >= self._beats and (tick + topic.turn) % self._beats == 0:
            topic.wake_followers()


def _handle_position_signal(topics: "ref[Topics]", topic: "ref[Topic]", position: int) -> None:
    """A signal: something was committed up to this position, or the topic was deleted."""
    woken = topic()
    if woken is None or 0 < position <= woken.end or (here := topics()) is None:
        return
    if position == 0:
        here.forget_topic(woken.name)
    elif position > woken.reached:
        woken.reached = position
        here.fetch_new_events(woken)


class Cursor:
    """A follower is a position and nothing else: a slow one falls off the tail and reads the store, so memory is bounded."""

    __slots__ = ("_at", "_ends", "_has_begun", "_is_over", "_sure", "_topic", "_topics")

    def __init__(self, topics: Topics, topic: Topic, at: int, *, ends: tuple[bytes, ...], sure: bool) -> None:
        self._topics, self._topic, self._at, self._ends, self._sure = topics, topic, at, ends, sure
        self._has_begun = self._is_over = False

    def __aiter__(self) -> "Cursor":
        return self

    async def __anext__(self) -> Batch:
        topic, at = self._topic, self._at
        if not self._has_begun:
            await self._begin_reading()
        if self._is_over:
            raise StopAsyncIteration
        if topic.end <= at:
            await self._wait_for_event()
            if topic.end <= at:
                return Batch(at + 1, ())
        behind = topic.end - at
        batch = Batch(at + 1, topic.tail[-behind:]) if behind <= len(topic.tail) else await self._read_next_batch()
        self._at = batch.last
        self._is_over = batch.events[-1].startswith(self._ends)
        return batch

    async def _begin_reading(self) -> None:
        """Whoever comes back must have seen what is there, and nothing comes after an event that ends the topic."""
        if not self._topic.has_looked:
            await self._topics.subscribe_and_read_end(self._topic)
        if self._at:
            source, name = self._topics.source, self._topic.name
            seen = await source.read_events(name, self._at - 1, 1)
            if seen.events and seen.first == self._at:
                self._is_over = seen.events[0].startswith(self._ends)
            elif not self._sure:
                raise Beyond(topic=name, after=self._at, end=await source.read_end_position(name))
        self._has_begun = True

    async def _wait_for_event(self) -> None:
        if self._topic.is_deleted:
            raise Trimmed(topic=self._topic.name, after=self._at)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._topic.waiting.add(waiter)
        self._topics.poll_topic_while_followed()
        try:
            await waiter
        finally:
            self._topic.waiting.discard(waiter)

    async def _read_next_batch(self) -> Batch:
        batch = await self._topics.source.read_events(self._topic.name, self._at, PAGE)
        await asyncio.sleep(0)
        if not batch.events:
            raise Trimmed(topic=self._topic.name, after=self._at)
        return batch
