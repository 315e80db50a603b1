"""Two lanes in this process: interactive jobs start at once, background jobs wait for one of a few places."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from types import TracebackType
from typing import Self

from nexus.domain.ports.jobs import Job
from nexus.jobs.registry import SPECS
from nexus.jobs.runner import encode

Run = Callable[[bytes], Awaitable[object]]


class InProcessJobs:
    """A JobQueue whose jobs live and die with `async with`. Both lanes run the bytes that a queue between processes would carry."""

    def __init__(self, *, places: int = 4) -> None:
        self._free, self._order = places, count()
        self._waiting: list[tuple[int, int, str, bytes]] = []
        self._queued = set[str]()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._background = set[str]()
        self._run: Run | None = None
        self._closed = False

    def serve(self, run: Run) -> None:
        """From now on jobs are run; what was enqueued before starts."""
        self._run = run
        self._start_waiting()

    async def enqueue(self, job: Job, *, key: str, priority: int = 3) -> None:
        if key in self._running or key in self._queued or self._closed:
            return
        if SPECS[type(job)].lane == "interactive" and self._run:
            self._start(key, encode(job), background=False)
            return
        heapq.heappush(self._waiting, (-priority, next(self._order), key, encode(job)))
        self._queued.add(key)
        self._start_waiting()

    def cancel(self, key: str) -> bool:
        if task := self._running.get(key):
            return task.cancel()
        if key in self._queued:
            self._queued.discard(key)
            self._waiting = [entry for entry in self._waiting if entry[2] != key]
            heapq.heapify(self._waiting)
            return True
        return False

    def _start_waiting(self) -> None:
        while self._run and self._waiting and self._free and not self._closed:
            _, _, key, body = heapq.heappop(self._waiting)
            self._queued.discard(key)
            self._free -= 1
            self._start(key, body, background=True)

    def _start(self, key: str, body: bytes, *, background: bool) -> None:
        assert self._run is not None
        task = asyncio.ensure_future(self._ran(self._run, body))
        self._running[key] = task
        if background:
            self._background.add(key)

        def ended(_: asyncio.Task[None]) -> None:
            del self._running[key]
            self._background.discard(key)
            if background:
                self._free += 1
                self._start_waiting()

        task.add_done_callback(ended)

    @staticmethod
    async def _ran(run: Run, body: bytes) -> None:
        await run(body)

    async def drain(self, within: float) -> None:
        """Takes no more jobs. Background jobs are cancelled at once: they hand their work back; interactive ones have some seconds
        before they are."""
        self._closed = True
        await self._cancelled([task for key, task in self._running.items() if key in self._background])
        if self._running and within > 0:
            await asyncio.wait(self._running.values(), timeout=within)
        await self._cancelled(list(self._running.values()))

    async def _cancelled(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        await self._cancelled(list(self._running.values()))
