"""What one process remembers of the topics of a log: their ends, their last events, and what is on its way."""

import asyncio
from collections.abc import Sequence

from nexus.domain.core.errors import Conflict, NotFound
from nexus.domain.core.streams import Batch as Batch
from nexus.domain.core.streams import PositionLost

LEAP = 1_000
"""How far a writer steps ahead that continues after a crash of the machine: readers may have seen positions that the store lost."""

TAIL_EVENTS = 256
TAIL_BYTES = 128 * 1024


class Beyond(Conflict, PositionLost):
    """The reader knows events that the store does not have: they were lost with the machine. Start again from the row."""

    title = "The log does not reach as far"


class Trimmed(NotFound, PositionLost):
    """The events after this position are no longer kept: what became of them stands in the row."""

    title = "These events are no longer kept"


class Topic:
    """What this process remembers of a topic: its end, and the last events as a tail that all followers share."""

    __slots__ = (
        "__weakref__",
        "end",
        "faults",
        "name",
        "promised",
        "quiet",
        "size",
        "tail",
        "turn",
        "unsure",
        "waiting",
    )

    def __init__(self, name: str, turn: int) -> None:
        self.name, self.turn = name, turn
        self.end: int | None = None
        self.promised: int | None = None
        self.faults = self.unsure = 0
        self.tail: list[bytes] = []
        self.size = 0
        self.waiting: set[asyncio.Future[None]] = set()
        self.quiet = False

    @property
    def known(self) -> int | None:
        """Where the next event follows, what is on its way included; None while only the store knows."""
        return self.end if self.promised is None else max(self.promised, self.end or 0)

    def publish(self, first: int, events: Sequence[bytes]) -> None:
        """Shows committed events to the followers."""
        last = first + len(events) - 1
        if self.end is not None and last <= self.end:
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
        self.quiet = False
        self.wake()

    def wake(self) -> None:
        for waiter in self.waiting:
            if not waiter.done():
                waiter.set_result(None)
        self.waiting.clear()


class Append:
    """Events on their way to the store, all or none."""

    __slots__ = ("_faults", "_held", "_unsure", "done", "durable", "events", "first", "topic")

    def __init__(self, held: Topic, first: int, events: Sequence[bytes], durable: bool) -> None:
        self._held, self._faults, self._unsure = held, held.faults, held.end is None or held.unsure > 0
        held.unsure += self._unsure
        self.topic, self.first, self.events, self.durable = held.name, first, events, durable
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def cold(self) -> bool:
        """Whether the store must look (`refusal`): the end is not sure here, or an append before this one failed."""
        return self._unsure or self._faults != self._held.faults

    def refusal(self, end: int) -> Conflict | None:
        """What stands against these events in a topic that ends there."""
        return refusal(self.topic, self.first - 1, end)

    def landed(self, error: Exception | None = None) -> None:
        """For the driver, in the loop: the events are committed, or nothing of them is."""
        self._held.unsure -= self._unsure
        if error is None:
            self._held.publish(self.first, self.events)
        else:
            self._held.promised = self._held.end
            self._held.faults += 1
        if self.done.done():
            return
        if error is None:
            self.done.set_result(self.first + len(self.events) - 1)
        else:
            self.done.set_exception(error)


def refusal(topic: str, after: int, end: int) -> Conflict | None:
    """What stands against events that follow `after` in a topic that ends at `end`."""
    if after in (end, end + LEAP):
        return None
    return Conflict(f"The topic ends at {end}, not at {after}", topic=topic, after=after, end=end)
