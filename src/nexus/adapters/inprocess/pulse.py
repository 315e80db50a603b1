"""Signs of life from a thread with a loop of its own: a busy process keeps what it works on, a hung one loses it."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

import structlog

from nexus.domain.core.errors import NexusError

Beat = Callable[[str, int], Awaitable[bool]]
TICK_SECONDS = 0.5

logger = structlog.get_logger()


class ThreadPulse:
    """`opened` gives, in the thread's own loop, what beats: False when the key is somebody else's. `every` and `patience` in seconds:
    the second is how long the process' loop may be silent before it counts as hung."""

    def __init__(
        self, opened: Callable[[], AbstractAsyncContextManager[Beat]], *, every: float, patience: float = 20.0
    ) -> None:
        self._opened, self._every, self._patience = opened, every, patience
        self._held: dict[str, int] = {}
        self._ticked = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def hold(self, key: str, fence: int) -> None:
        self._held[key] = fence

    def drop(self, key: str) -> None:
        self._held.pop(key, None)

    async def __aenter__(self) -> Self:
        self._thread.start()
        self._ticking = asyncio.ensure_future(self._tick())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._ticking.cancel()
        await asyncio.gather(self._ticking, return_exceptions=True)
        await asyncio.to_thread(self._thread.join)

    async def _tick(self) -> None:
        """Runs in the process' loop: while it does, that loop lives."""
        while True:
            self._ticked = time.monotonic()
            await asyncio.sleep(TICK_SECONDS)

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._beating())

    async def _beating(self) -> None:
        async with self._opened() as beat:
            while not await asyncio.to_thread(self._stop.wait, self._every):
                if time.monotonic() - self._ticked > self._patience:
                    logger.warning("pulse.hung", held=len(self._held))
                    continue
                for key, fence in list(self._held.items()):
                    await self._beaten(beat, key, fence)

    async def _beaten(self, beat: Beat, key: str, fence: int) -> None:
        try:
            if not await beat(key, fence) and self._held.get(key) == fence:
                self.drop(key)
        except NexusError as error:
            logger.warning("pulse.failed", key=key, reason=error.detail)
