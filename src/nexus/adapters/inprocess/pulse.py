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
PATIENCE_SECONDS = 20.0
ANSWER_SECONDS = 5.0

logger = structlog.get_logger()


class ThreadPulse:
    """`opened` gives, in the thread's own loop, what beats: False when the key is somebody else's. In seconds: `every` so often;
    `patience`, how long the process' loop may be silent before it counts as hung; `answer`, how long a beat may take."""

    def __init__(
        self,
        opened: Callable[[], AbstractAsyncContextManager[Beat]],
        *,
        every: float,
        patience: float = PATIENCE_SECONDS,
        answer: float = ANSWER_SECONDS,
    ) -> None:
        self._opened, self._every, self._patience, self._answer = opened, every, patience, answer
        self._held: dict[str, int] = {}
        self._guard = threading.Lock()
        self._ticked = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def hold(self, key: str, fence: int) -> None:
        with self._guard:
            self._held[key] = fence

    def drop(self, key: str) -> None:
        with self._guard:
            self._held.pop(key, None)

    async def __aenter__(self) -> Self:
        self._ticked = time.monotonic()
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
            await asyncio.sleep(min(TICK_SECONDS, self._patience / 4))

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        beating = asyncio.ensure_future(self._beating())
        await asyncio.to_thread(self._stop.wait)
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)

    async def _beating(self) -> None:
        """Whatever becomes of the store, there is a next try."""
        while True:
            try:
                async with self._opened() as beat:
                    await self._rounds(beat)
            except NexusError as error:
                logger.warning("pulse.not_opened", reason=error.detail)
            except Exception:
                logger.exception("pulse.not_opened")
            await asyncio.sleep(self._every)

    async def _rounds(self, beat: Beat) -> None:
        while True:
            await asyncio.sleep(self._every)
            with self._guard:
                held = dict(self._held)
            if time.monotonic() - self._ticked > self._patience:
                logger.warning("pulse.hung", held=len(held))
                continue
            await asyncio.gather(*(self._beaten(beat, key, fence) for key, fence in held.items()))

    async def _beaten(self, beat: Beat, key: str, fence: int) -> None:
        try:
            async with asyncio.timeout(self._answer):
                kept = await beat(key, fence)
        except (NexusError, TimeoutError) as error:
            logger.warning("pulse.failed", key=key, reason=str(error) or "no answer in time")
        except Exception:
            logger.exception("pulse.failed", key=key)
        else:
            if not kept:
                self._refused(key, fence)

    def _refused(self, key: str, fence: int) -> None:
        """What was taken up again meanwhile, under another fence, stays."""
        with self._guard:
            if self._held.get(key) == fence:
                del self._held[key]
