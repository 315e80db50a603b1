"""Instants as text of fixed width, so that they sort as text; and the clock that is handed in."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

Clock = Callable[[], float]
"""Seconds since the epoch, UTC. Tests hand in one that they move."""


def instant(epoch: float) -> str:
    """`2026-01-31T12:00:00.000Z`: UTC, 24 characters, milliseconds."""
    seconds, microseconds = divmod(round(epoch * 1_000_000), 1_000_000)
    return f"{_format_second(seconds)}.{microseconds // 1000:03d}Z"


@lru_cache(64)
def _format_second(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).isoformat()[:19]


def epoch(text: str) -> float:
    """The reverse of `instant`. ValueError for anything else."""
    return datetime.fromisoformat(text).timestamp()


def seconds_between(earlier: str, later: str) -> float:
    return round(epoch(later) - epoch(earlier), 3)


system_clock: Clock = time.time
