"""Who is in flight in this process, so that what a host died under can be let in alone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

_is_part: ContextVar[bool] = ContextVar("is_part", default=False)
"""Whether what runs is part of something that is alone already."""


_clocks: ContextVar[tuple[asyncio.Timeout, ...]] = ContextVar("clocks", default=())
"""The limits of what runs, which stand still while it waits to be let in."""


@asynccontextmanager
async def work_time(seconds: float) -> AsyncIterator[None]:
    """As `asyncio.timeout`, but the time in which something inside waits to be let in does not count."""
    async with asyncio.timeout(seconds) as clock:
        before = _clocks.set((*_clocks.get(), clock))
        try:
            yield
        finally:
            _clocks.reset(before)


@contextmanager
def _standing_still() -> Iterator[None]:
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


class Crowd:
    """Counting never waits: no cancellation can leave a count behind."""

    def __init__(self) -> None:
        self._inside, self._lonely = 0, 0
        self._waiting = list[asyncio.Future[None]]()

    @asynccontextmanager
    async def among_others(self) -> AsyncIterator[None]:
        if _is_part.get():
            yield
            return
        await self._until(lambda: not self._lonely)
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            self._wake()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        if _is_part.get():
            yield
            return
        await self._until(lambda: not self._lonely)
        self._lonely = 1
        try:
            await self._until(lambda: not self._inside)
            yield
        finally:
            self._lonely = 0
            self._wake()

    @asynccontextmanager
    async def alone_with_parts(self) -> AsyncIterator[None]:
        """As `alone`, for what has steps of its own: they are let in at once."""
        async with self.alone():
            before = _is_part.set(True)
            try:
                yield
            finally:
                _is_part.reset(before)

    async def _until(self, holds: Callable[[], bool]) -> None:
        if holds():
            return
        with _standing_still():
            while not holds():
                waiter = asyncio.get_running_loop().create_future()
                self._waiting.append(waiter)
                await waiter

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
