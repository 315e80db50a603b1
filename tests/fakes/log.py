"""Events in lists."""

import asyncio
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence

from nexus.adapters.memory.signals import MemorySignals
from nexus.domain.ports.log import Append, Batch, find_append_refusal


class MemoryLog:
    """Keeps everything until it is deleted; several fronts may share one, as replicas share a store."""

    def __init__(self) -> None:
        self._positions: defaultdict[str, list[int]] = defaultdict(list)
        self._events: defaultdict[str, list[bytes]] = defaultdict(list)
        self._signals = MemorySignals()

    def append_events(self, append: Append) -> None:
        asyncio.get_running_loop().call_soon(self._land, append)

    async def read_events(self, topic: str, after: int, limit: int) -> Batch:
        positions = self._positions.get(topic, [])
        low = bisect_right(positions, after)
        if low == len(positions):
            return Batch(after + 1, ())
        first = positions[low]
        leap = bisect_left(range(low, len(positions)), 1, key=lambda at: positions[at] - at != first - low)
        return Batch(first, self._events[topic][low : min(low + limit, low + leap)])

    async def read_end_position(self, topic: str) -> int:
        return self._end(topic)

    async def delete_topics(self, topics: Sequence[str]) -> None:
        for topic in topics:
            self._positions.pop(topic, None)
            self._events.pop(topic, None)
            self._signals.notify_listeners(topic)

    def subscribe_to_topic(self, topic: str, wake: Callable[[int], None]) -> Callable[[], None]:
        return self._signals.add_listener(topic, wake)

    def _end(self, topic: str) -> int:
        return next(reversed(self._positions.get(topic, [])), 0)

    def _land(self, append: Append) -> None:
        if refused := find_append_refusal(append, self._end(append.topic)):
            append.finish(refused)
            return
        last = append.after + len(append.events)
        self._positions[append.topic] += range(append.after + 1, last + 1)
        self._events[append.topic] += append.events
        append.finish(None)
        self._signals.notify_listeners(append.topic, last)
