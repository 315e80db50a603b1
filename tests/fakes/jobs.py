"""Jobs that run when a test says so."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import NamedTuple, Self

from nexus.domain.ports.jobs import Capacity, Job
from nexus.jobs.registry import REGISTRY, encode

Run = Callable[[bytes], Awaitable[object]]


class _Handed(NamedTuple):
    job: Job
    key: str
    priority: int
    group: str


class MemoryJobs:
    """A JobQueue and LocalJobs in which nothing starts by itself: `wait_until_idle` runs what waits, one after the other, in the order that the port asks for.

    `handed`: all jobs that were taken, as they came. `most` interactive jobs of a group may wait or run."""

    def __init__(self, *, most: int = 1000) -> None:
        self.handed: list[Job] = []
        self._most = most
        self._waiting: list[_Handed] = []
        self._served: dict[tuple[int, str], int] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._now: _Handed | None = None
        self._run: Run | None = None
        self._back: Run | None = None
        self._closed = False

    def start_running_jobs(self, run: Run, *, back: Run | None = None) -> None:
        """How jobs are run, and what becomes of those that cannot be begun any more."""
        self._run, self._back = run, back

    async def enqueue_job(self, job: Job, *, key: str, priority: int = 3, group: str = "") -> int | None:
        if any(one.key == key for one in self._waiting):
            return None
        handed = _Handed(job, key, priority, group)
        self.handed.append(job)
        if self._closed:
            await self._handed_back([handed])
            return None
        self._waiting.append(handed)
        return None if key in self._running else self._in_order().index(handed)

    def get_job_capacity(self, job: type[Job], *, group: str = "") -> Capacity:
        lane = REGISTRY.get_job_spec(job).lane
        here = [*self._waiting, *([self._now] if self._now else [])]
        taken = sum(one.group == group and REGISTRY.get_job_spec(type(one.job)).lane == lane for one in here)
        return Capacity(taken, self._most if lane == "interactive" else None)

    def has_job(self, key: str) -> bool:
        return key in self._running or any(one.key == key for one in self._waiting)

    def stop_job(self, key: str) -> bool:
        left = [one for one in self._waiting if one.key != key]
        waited = len(left) < len(self._waiting)
        self._waiting = left
        return task.cancel() if (task := self._running.get(key)) else waited

    def _in_order(self) -> list[_Handed]:
        """What waits as it would be run: the highest priority, of that the group that was not served for longest, of that the oldest."""
        left, served, order = list(self._waiting), dict(self._served), list[_Handed]()
        while left:
            order.append(min(left, key=lambda one: (-one.priority, served.get((one.priority, one.group), 0))))
            left.remove(order[-1])
            served[order[-1].priority, order[-1].group] = max(served.values(), default=0) + 1
        return order

    async def wait_until_idle(self) -> None:
        """Runs jobs until none waits."""
        while self._waiting and self._run and not self._closed:
            self._now = now = self._in_order()[0]
            self._waiting.remove(now)
            self._served[now.priority, now.group] = max(self._served.values(), default=0) + 1
            self._running[now.key] = task = asyncio.ensure_future(_ran(self._run, encode(now.job)))
            await asyncio.wait([task])
            del self._running[now.key]
            self._now = None

    async def drain_jobs(self, within: float) -> None:
        """Takes no more jobs. What waits is handed back; what runs is cancelled, an interactive job only when its seconds are over."""
        self._closed, until = True, asyncio.get_running_loop().time() + within
        left, self._waiting = self._waiting, []
        await self._handed_back(left)
        patient = self._now is not None and REGISTRY.get_job_spec(type(self._now.job)).lane == "interactive"
        if self._running and patient and (rest := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._running.values(), timeout=rest)
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _handed_back(self, jobs: list[_Handed]) -> None:
        for one in jobs:
            if self._back:
                await self._back(encode(one.job))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drain_jobs(0)


async def _ran(run: Run, body: bytes) -> None:
    await run(body)
