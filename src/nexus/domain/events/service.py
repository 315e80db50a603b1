"""Feeds: durable topics whose events are rows, written in the commit of the change they tell."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

import msgspec

from nexus.domain.core.instants import Clock, instant
from nexus.domain.events.model import Event
from nexus.domain.events.tables import EVENTS
from nexus.domain.ports.database import Tables, Window
from nexus.domain.ports.log import Batch
from nexus.domain.ports.rows import Write, insert

KEPT_SECONDS = 30 * 86_400
PAGE = 100


class Events:
    def __init__(self, *, tables: Tables, clock: Clock, poll: float = 1.0, heartbeat: float = 15.0) -> None:
        self._tables, self._clock, self._poll, self._heartbeat = tables, clock, poll, heartbeat
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    def telling(self, topic: str, position: int, tag: str, data: Mapping[str, Any]) -> Write:
        """The write of one event; the commit that holds it must guard that `position` is the next one."""
        now = self._clock()
        return insert(
            EVENTS,
            Event(
                topic=topic,
                position=position,
                tag=tag,
                data=dict(data),
                created_at=instant(now),
                expires_at=int(now) + KEPT_SECONDS,
            ),
        )

    def wake(self, topic: str) -> None:
        """A hint that something was committed to a topic: readers in this process look at once."""
        for waiter in self._waiting.pop(topic, ()):
            if not waiter.done():
                waiter.set_result(None)

    async def changed(self, topic: str, *, within: float) -> bool:
        """Waits for a hint. False when none came within so many seconds."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(topic, set()).add(waiter)
        try:
            await asyncio.wait_for(waiter, within)
        except TimeoutError:
            return False
        finally:
            if waiters := self._waiting.get(topic):
                waiters.discard(waiter)
                if not waiters:
                    del self._waiting[topic]
        return True

    async def read(self, topic: str, after: int = 0, *, limit: int = PAGE) -> list[Event]:
        """Events behind a position, oldest first; empty at the end."""
        page = await self._tables.page(EVENTS, topic, window=Window(limit=limit, since=after + 1))
        return page.items

    async def follow(self, topic: str, after: int = 0, *, ends: Collection[str] = ()) -> AsyncIterator[Batch]:
        """Everything after `after`, old first, then new as it comes, up to an event of a tag that `ends` it; an empty batch is a heartbeat."""
        quiet = 0.0
        while True:
            if found := await self.read(topic, after):
                after, quiet = found[-1].position, 0.0
                yield Batch(found[0].position, [encoded(event) for event in found])
                if found[-1].tag in ends:
                    return
                continue
            quiet = 0.0 if await self.changed(topic, within=self._poll) else quiet + self._poll
            if quiet >= self._heartbeat:
                quiet = 0.0
                yield Batch(after + 1, ())


def encoded(event: Event) -> bytes:
    """One JSON object that begins with its tag, as readers of streams get it."""
    return msgspec.json.encode({"type": event.tag, "at": event.created_at, **event.data})
