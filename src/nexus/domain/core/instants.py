"""Instants as text of fixed width, so that they sort as text; and the clock that is handed in."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]
"""Seconds since the epoch, UTC. Tests hand in one that they move."""


def format_instant(epoch: float) -> str:
    """`2026-01-31T12:00:00.000Z`: UTC, 24 characters, milliseconds."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_instant(text: str) -> float:
    """The reverse of `format_instant`. ValueError for anything else."""
    return datetime.fromisoformat(text).timestamp()


def compute_seconds_between(earlier: str, later: str) -> float:
    return round(parse_instant(later) - parse_instant(earlier), 3)


system_clock: Clock = time.time
