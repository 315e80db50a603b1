"""A lane: places for jobs, and the order in which those wait that have none."""

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from nexus.domain.ports.jobs import Room


class Waiting(NamedTuple):
    key: str
    body: bytes
    priority: int
    group: str


Line = OrderedDict[str, Waiting]
"""The jobs of one group and priority by their keys, as they came."""


class Order:
    """What waits: the highest priority first; within one, the groups in turn; within a group, as it came."""

    def __init__(self) -> None:
        self._lines: dict[int, OrderedDict[str, Line]] = {}
        self._all: dict[str, Waiting] = {}
        self._of = Counter[str]()

    def __contains__(self, key: str) -> bool:
        return key in self._all

    def of(self, group: str) -> int:
        """How many of a group wait."""
        return self._of[group]

    def push(self, waiting: Waiting) -> int:
        """How many are before it, if nobody comes or leaves."""
        lines = self._lines.setdefault(waiting.priority, OrderedDict())
        lines.setdefault(waiting.group, OrderedDict())[waiting.key] = waiting
        self._all[waiting.key] = waiting
        self._of[waiting.group] += 1
        return self._before(waiting)

    def _before(self, last: Waiting) -> int:
        """Before the last of a line: all of higher priority, those of its own line, and as many turns of the other groups."""
        higher = (lines for priority, lines in self._lines.items() if priority > last.priority)
        found = sum(len(line) for lines in higher for line in lines.values())
        lines = self._lines[last.priority]
        turns = len(lines[last.group])
        for group, line in lines.items():
            if group == last.group:
                turns -= 1
            found += min(len(line), turns)
        return found

    def pop(self, has_place: Callable[[str], bool]) -> Waiting | None:
        """The next one of a group that has a place."""
        for priority in sorted(self._lines, reverse=True):
            lines = self._lines[priority]
            if (group := next(filter(has_place, lines), None)) is not None:
                lines.move_to_end(group)
                return self.remove(next(iter(lines[group])))
        return None

    def remove(self, key: str) -> Waiting | None:
        if (waiting := self._all.pop(key, None)) is None:
            return None
        lines = self._lines[waiting.priority]
        del lines[waiting.group][key]
        if not lines[waiting.group]:
            del lines[waiting.group]
        if not lines:
            del self._lines[waiting.priority]
        self._of[waiting.group] -= 1
        if not self._of[waiting.group]:
            del self._of[waiting.group]
        return waiting

    def emptied(self) -> list[Waiting]:
        """Everything that waited; now nothing does."""
        left = list(self._all.values())
        for waiting in left:
            self.remove(waiting.key)
        return left


class Lane:
    """`places` in all, `per_group` of them for one group (None: all of them); `waiting` of a group may wait (None: any number)."""

    def __init__(self, *, places: int, per_group: int | None = None, waiting: int | None = None) -> None:
        self.order = Order()
        self._places, self._per_group, self._bound = places, places if per_group is None else per_group, waiting
        self._taken = Counter[str]()
        self._running = 0

    def has_place(self, group: str) -> bool:
        return self._free(group) > 0

    def _free(self, group: str) -> int:
        return min(self._places - self._running, self._per_group - self._taken[group])

    def take(self, group: str) -> None:
        self._running += 1
        self._taken[group] += 1

    def leave(self, group: str) -> None:
        self._running -= 1
        self._taken[group] -= 1
        if not self._taken[group]:
            del self._taken[group]

    def next(self) -> Waiting | None:
        """The one whose turn it is, where there is a place for it."""
        return self.order.pop(self.has_place) if self._running < self._places else None

    def room(self, group: str) -> Room:
        running = self._taken[group]
        most = None if self._bound is None else running + max(0, self._free(group)) + self._bound
        return Room(running + self.order.of(group), most)
