"""A loop whose time goes by at once."""

import asyncio
import selectors
from typing import Any


class SkippingLoop(asyncio.SelectorEventLoop):
    """Where nothing is to be done until some instant, it is that instant: an hour of rest takes no time. Nothing outside the loop may be
    waited for, as a thread."""

    def __init__(self) -> None:
        self._skipped = 0.0
        super().__init__(_SkippingSelector(self._skip))

    def time(self) -> float:
        return super().time() + self._skipped

    def _skip(self, seconds: float) -> None:
        self._skipped += seconds


class _SkippingSelector(selectors.SelectSelector):
    def __init__(self, skip: Any) -> None:
        super().__init__()
        self._skip = skip

    def select(self, timeout: float | None = None) -> Any:
        if (ready := super().select(0)) or not timeout:
            return ready
        self._skip(timeout)
        return []
