"""Events in lists."""

import asyncio
from bisect import bisect_left, bisect_right
from collections import defaultdict

from nexus.domain.ports.log import Append, Batch


class MemoryLog:
    """Keeps everything until it is trimmed; several fronts may share one, as replicas share a store."""

    def __init__(self) -> None:
        self._positions: defaultdict[str, list[int]] = defaultdict(list)
        self._events: defaultdict[str, list[bytes]] = defaultdict(list)

    def write(self, append: Append) -> None:
        asyncio.get_running_loop().call_soon(self._land, append)

    async def read(self, topic: str, after: int, limit: int) -> Batch:
        positions = self._positions.get(topic, [])
        low = bisect_right(positions, after)
        if low == len(positions):
            return Batch(after + 1, ())
        first = positions[low]
        leap = bisect_left(range(low, len(positions)), 1, key=lambda at: positions[at] - at != first - low)
        return Batch(first, self._events[topic][low : min(low + limit, low + leap)])

    async def end(self, topic: str) -> int:
        return next(reversed(self._positions.get(topic, [])), 0)

    async def trim(self, first: str, before: str) -> None:
        for topic in [topic for topic in self._positions if first <= topic < before]:
            del self._positions[topic], self._events[topic]

    def _land(self, append: Append) -> None:
        positions = self._positions[append.topic]
        refused = append.refusal(positions[-1] if positions else 0) if append.cold else None
        if refused is None:
            positions += range(append.first, append.first + len(append.events))
            self._events[append.topic] += append.events
        append.landed(refused)
