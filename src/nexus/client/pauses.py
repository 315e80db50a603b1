"""How long to wait before the next try, and how often to try."""

import email.utils
import random
from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import Struct


class Pauses(Struct, frozen=True, kw_only=True):
    """Seconds. `calls` and `streams`: tries in a row that may fail before a call or a stream is given up; a server that has never
    answered yet is given up after `first_contact` refused connections."""

    shortest: float = 0.25
    longest: float = 10.0
    patience: float = 60.0
    calls: int = 4
    streams: int = 12
    first_contact: int = 4

    def compute_retry_delay(
        self, failures: int, *, wished: float | None = None, chance: Callable[[], float] = random.random
    ) -> float:
        """After so many failures in a row: growing, jittered; never less than the server wished, within `patience`."""
        grown = min(self.longest, self.shortest * 2.0 ** min(failures - 1, 16))
        jittered = grown * (0.5 + chance() / 2)
        return jittered if wished is None else min(self.patience, max(jittered, wished * (1 + chance() / 4)))


def parse_retry_after(value: str | None, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """The header in seconds; None when it is missing or says nothing."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value.strip()[:9])
    try:
        until = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    return max(0.0, (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - now().timestamp())
