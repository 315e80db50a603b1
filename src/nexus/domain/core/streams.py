"""What happened, in order, on its way to readers."""

from collections.abc import Sequence
from typing import NamedTuple


class Batch(NamedTuple):
    """Neighbouring events, each a tagged Struct as JSON; `first` is the position of `events[0]`, positions start at 1. No events: a
    heartbeat."""

    first: int
    events: Sequence[bytes]

    @property
    def last(self) -> int:
        return self.first + len(self.events) - 1


class PositionLost(Exception):
    """A reader cannot go on where it was: it has to begin anew."""
