"""What is in flight in this process, so that what a process died under can be run alone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

_is_part: ContextVar[bool] = ContextVar("is_part", default=False)
"""Whether what runs is part of something that is alone already."""


_clocks: ContextVar[tuple[asyncio.Timeout, ...]] = ContextVar("clocks", default=())
"""The limits of what runs, which stand still while it waits at the gate."""


@asynccontextmanager
async def limit_work_time(seconds: float) -> AsyncIterator[None]:
    """As `asyncio.timeout`, but the time in which something inside waits at the gate does not count."""
    async with asyncio.timeout(seconds) as clock:
        before = _clocks.set((*_clocks.get(), clock))
        try:
            yield
        finally:
            _clocks.reset(before)


@contextmanager
def _pause_timeouts() -> Iterator[None]:
    now = asyncio.get_running_loop().time
    left = [(clock, ends - now()) for clock in _clocks.get() if (ends := clock.when()) is not None]
    left = [(clock, seconds) for clock, seconds in left if not clock.expired()]
    for clock, _ in left:
        clock.reschedule(None)
    try:
        yield
    finally:
        for clock, seconds in left:
            clock.reschedule(now() + seconds)


class QuarantineGate:
    """Lets much run at once, or one thing alone. Counting never waits: no cancellation can leave a count behind."""

    def __init__(self) -> None:
        self._shared, self._exclusive = 0, 0
        self._waiting = list[asyncio.Future[None]]()

    @asynccontextmanager
    async def acquire_shared(self) -> AsyncIterator[None]:
        if _is_part.get():
            yield
            return
        await self._wait_for_condition(lambda: not self._exclusive)
        self._shared += 1
        try:
            yield
        finally:
            self._shared -= 1
            self._wake_waiters()

    @asynccontextmanager
    async def acquire_exclusive(self) -> AsyncIterator[None]:
        if _is_part.get():
            yield
            return
        await self._wait_for_condition(lambda: not self._exclusive)
        self._exclusive = 1
        try:
            await self._wait_for_condition(lambda: not self._shared)
            yield
        finally:
            self._exclusive = 0
            self._wake_waiters()

    @asynccontextmanager
    async def acquire_exclusive_reentrant(self) -> AsyncIterator[None]:
        """As `acquire_exclusive`, for what has steps of its own: they run at once."""
        async with self.acquire_exclusive():
            before = _is_part.set(True)
            try:
                yield
            finally:
                _is_part.reset(before)

    async def _wait_for_condition(self, holds: Callable[[], bool]) -> None:
        if holds():
            return
        with _pause_timeouts():
            while not holds():
                waiter = asyncio.get_running_loop().create_future()
                self._waiting.append(waiter)
                await waiter

    def _wake_waiters(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
