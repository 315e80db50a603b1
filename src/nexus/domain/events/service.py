"""Feeds: durable topics whose events are rows, written in the commit of the change they tell."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from nexus.domain.core.instants import Clock, format_instant
from nexus.domain.events.model import Event
from nexus.domain.events.tables import EVENTS
from nexus.domain.ports.database import Tables, Window
from nexus.domain.ports.notifications import Notification, Notifier
from nexus.domain.ports.rows import Write, insert
from nexus.domain.ports.signals import Signals
from nexus.domain.ports.topics import Batch, Topics

KEPT_SECONDS = 30 * 86_400
PAGE = 100


class Events:
    def __init__(
        self, *, tables: Tables, signals: Signals, notifier: Notifier, clock: Clock, poll: float = 1.0
    ) -> None:
        self._tables, self._signals, self._notifier, self._clock = tables, signals, notifier, clock
        self._feeds = Topics(_Feeds(tables, signals), poll=poll)

    def make_event_write(self, topic: str, position: int, tag: str, data: Mapping[str, Any]) -> Write:
        """The write of one event; the commit that holds it must guard that `position` is the next one."""
        now = self._clock()
        return insert(
            EVENTS,
            Event(
                topic=topic,
                position=position,
                tag=tag,
                data=dict(data),
                created_at=format_instant(now),
                expires_at=int(now) + KEPT_SECONDS,
            ),
        )

    def notify_feed_readers(self, topic: str, position: int) -> None:
        """A hint that something was committed to a topic, up to this position: readers look at once."""
        self._signals.notify_listeners(topic, position)

    def notify_other_systems(self, *notifications: Notification) -> None:
        """Tells what was committed to whoever listens outside."""
        for notification in notifications:
            self._notifier.send_notification(notification)

    async def read_events(self, topic: str, after: int = 0, *, limit: int = PAGE) -> list[Event]:
        """Events behind a position, oldest first; empty at the end."""
        page = await self._tables.read_page(EVENTS, topic, window=Window(limit=limit, since=after + 1))
        return page.items

    def follow_events(self, topic: str, after: int = 0, *, ends: Collection[str] = ()) -> AsyncIterator[Batch]:
        """Everything after `after`, old first, then new as it comes, up to an event of a tag that `ends` it; an empty batch is a heartbeat."""
        last = tuple(msgspec.json.encode({"type": tag})[:-1] for tag in ends)
        return self._feeds.follow(topic, after, ends=last, sure=True)

    async def delete_feed(self, topic: str) -> None:
        """Nothing of a feed is left."""
        await self._tables.clear(EVENTS, topic)
        self._signals.notify_listeners(topic)


class _Feeds(Struct, frozen=True):
    """Feeds as a source that is followed like a log."""

    tables: Tables
    signals: Signals

    async def read_events(self, topic: str, after: int, limit: int) -> Batch:
        window = Window(limit=min(limit, PAGE), since=after + 1)
        found = (await self.tables.read_page(EVENTS, topic, window=window)).items
        return Batch(found[0].position if found else after + 1, [encode_event(event) for event in found])

    async def read_end_position(self, topic: str) -> int:
        newest = (await self.tables.read_page(EVENTS, topic, window=Window(limit=1, newest_first=True))).items
        return newest[0].position if newest else 0

    def subscribe_to_topic(self, topic: str, wake: Callable[[int], None]) -> Callable[[], None]:
        return self.signals.add_listener(topic, wake)


def encode_event(event: Event) -> bytes:
    """One JSON object that begins with its tag, as readers of streams get it."""
    return msgspec.json.encode({"type": event.tag, "at": event.created_at, **event.data})
