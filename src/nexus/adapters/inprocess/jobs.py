"""Two lanes in this process, each with so many places: interactive jobs (what a user waits for) and background jobs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import NamedTuple, Self

import structlog

from nexus.adapters.inprocess.lanes import Lane, Waiting
from nexus.domain.ports.jobs import Job, Room
from nexus.jobs.registry import SPECS
from nexus.jobs.runner import encode

Run = Callable[[bytes], Awaitable[object]]

BACK_SECONDS = 10.0
BACK_AT_ONCE = 50

logger = structlog.get_logger()


class _Running(NamedTuple):
    task: asyncio.Task[None]
    lane: Lane


class InProcessJobs:
    """A JobQueue whose jobs live and die with `async with`. Both lanes run the bytes that a queue between processes would carry.

    `places` of the background lane; of the interactive one, `interactive` in all and `per_group` of them for one group, of which
    `waiting` more may wait."""

    def __init__(
        self, *, places: int = 4, interactive: int = 1000, per_group: int | None = None, waiting: int = 1000
    ) -> None:
        self._lanes = {
            "background": Lane(places=places),
            "interactive": Lane(places=interactive, per_group=per_group, waiting=waiting),
        }
        self._running: dict[str, _Running] = {}
        self._run: Run | None = None
        self._back: Run | None = None
        self._closed = False

    def serve(self, run: Run, *, back: Run | None = None) -> None:
        """From now on jobs are run; what was enqueued before starts. `back`: what becomes of a job that cannot be begun any more."""
        self._run, self._back = run, back
        for lane in self._lanes.values():
            self._start_waiting(lane)

    async def enqueue(self, job: Job, *, key: str, priority: int = 3, group: str = "") -> int | None:
        lane = self._lanes[SPECS[type(job)].lane]
        if self.holds(key):
            return None
        waiting = Waiting(key, encode(job), priority, group)
        if self._closed:
            await self._handed_back([waiting])
        elif self._run and lane.has_place(group):
            self._start(self._run, waiting, lane)
        else:
            return lane.order.push(waiting)
        return None

    def room(self, job: type[Job], *, group: str = "") -> Room:
        return self._lanes[SPECS[job].lane].room(group)

    def holds(self, key: str) -> bool:
        return key in self._running or any(key in lane.order for lane in self._lanes.values())

    def cancel(self, key: str) -> bool:
        if running := self._running.get(key):
            return running.task.cancel()
        return any(lane.order.remove(key) for lane in self._lanes.values())

    def _start_waiting(self, lane: Lane) -> None:
        while self._run and not self._closed and (waiting := lane.next()):
            self._start(self._run, waiting, lane)

    def _start(self, run: Run, waiting: Waiting, lane: Lane) -> None:
        key = waiting.key

        async def ran() -> None:
            await run(waiting.body)

        def ended(_: asyncio.Task[None]) -> None:
            del self._running[key]
            lane.leave(waiting.group)
            self._start_waiting(lane)

        lane.take(waiting.group)
        task = asyncio.ensure_future(ran())
        self._running[key] = _Running(task, lane)
        task.add_done_callback(ended)

    async def settled(self) -> None:
        """Waits until nothing runs or waits here."""
        while self._running:
            await asyncio.wait(self._tasks())

    async def drain(self, within: float) -> None:
        """Takes no more jobs. What waits is handed back unbegun. Background jobs are cancelled at once: they hand their work back;
        interactive ones have some seconds before they are, counted from now."""
        self._closed, until = True, asyncio.get_running_loop().time() + within
        # What was started just now takes its first step: from there on it lets go of its work by itself.
        await asyncio.sleep(0)
        waiting = [one for lane in self._lanes.values() for one in lane.order.emptied()]
        background = [one.task for one in self._running.values() if one.lane is self._lanes["background"]]
        await asyncio.gather(self._handed_back(waiting), _cancelled(background))
        if self._running and (rest := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._tasks(), timeout=rest)
        await _cancelled(self._tasks())

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [running.task for running in self._running.values()]

    async def _handed_back(self, jobs: Sequence[Waiting]) -> None:
        """Some at a time; what is not handed back in time is found by the next process, as after a crash."""
        if not jobs or self._back is None:
            return
        left = len(jobs)
        try:
            async with asyncio.timeout(BACK_SECONDS):
                for some in _slices(jobs):
                    await asyncio.gather(*(self._back(job.body) for job in some))
                    left -= len(some)
        except TimeoutError:
            logger.warning("jobs.not_handed_back", left=left)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drain(0)


def _slices(jobs: Sequence[Waiting]) -> Iterable[Sequence[Waiting]]:
    return (jobs[first : first + BACK_AT_ONCE] for first in range(0, len(jobs), BACK_AT_ONCE))


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
