"""What runs in this process: two lanes, each with so many places, and the order in which those wait that have none."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

import structlog

from nexus.domain.core.batches import split_batches
from nexus.domain.ports.jobs import Capacity, Job
from nexus.domain.ports.jobs import Lane as LaneName
from nexus.jobs.registry import REGISTRY, Registry, encode

Run = Callable[[bytes], Awaitable[object]]

BACK_SECONDS = 10.0

logger = structlog.get_logger()


class Waiting(NamedTuple):
    key: str
    body: bytes
    priority: int
    group: str
    since: float
    """By the clock of the event loop."""


Line = OrderedDict[str, Waiting]
"""The jobs of one group and priority by their keys, as they came."""


class Order:
    """What waits: the highest priority first; within one, the groups in turn; within a group, as it came."""

    def __init__(self) -> None:
        self._lines: dict[int, OrderedDict[str, Line]] = {}
        self._all: dict[str, Waiting] = {}
        self._of = Counter[str]()

    def __contains__(self, key: str) -> bool:
        return key in self._all

    def __len__(self) -> int:
        return len(self._all)

    def count_group_jobs(self, group: str) -> int:
        """How many of a group wait."""
        return self._of[group]

    def push_job(self, waiting: Waiting) -> int:
        """How many are before it, if nobody comes or leaves."""
        lines = self._lines.setdefault(waiting.priority, OrderedDict())
        lines.setdefault(waiting.group, OrderedDict())[waiting.key] = waiting
        self._all[waiting.key] = waiting
        self._of[waiting.group] += 1
        return self._count_jobs_before(waiting)

    def _count_jobs_before(self, last: Waiting) -> int:
        """Before the last of a line: all of higher priority, those of its own line, and as many turns of the other groups."""
        higher = (lines for priority, lines in self._lines.items() if priority > last.priority)
        found = sum(len(line) for lines in higher for line in lines.values())
        lines = self._lines[last.priority]
        turns = len(lines[last.group])
        for group, line in lines.items():
            if group == last.group:
                turns -= 1
            found += min(len(line), turns)
        return found

    def pop_job(self, has_place: Callable[[str], bool]) -> Waiting | None:
        """The next one of a group that has a place."""
        for priority in sorted(self._lines, reverse=True):
            lines = self._lines[priority]
            if (group := next(filter(has_place, lines), None)) is not None:
                lines.move_to_end(group)
                return self.remove_job(next(iter(lines[group])))
        return None

    def remove_job(self, key: str) -> Waiting | None:
        if (waiting := self._all.pop(key, None)) is None:
            return None
        lines = self._lines[waiting.priority]
        del lines[waiting.group][key]
        if not lines[waiting.group]:
            del lines[waiting.group]
        if not lines:
            del self._lines[waiting.priority]
        self._of[waiting.group] -= 1
        if not self._of[waiting.group]:
            del self._of[waiting.group]
        return waiting

    def compute_longest_wait(self, now: float) -> float:
        return max((now - waiting.since for waiting in self._all.values()), default=0.0)

    def remove_all_jobs(self) -> list[Waiting]:
        """Everything that waited; now nothing does."""
        left = list(self._all.values())
        for waiting in left:
            self.remove_job(waiting.key)
        return left


class Load(NamedTuple):
    """How many jobs of a lane run and wait, and for how many seconds the one has waited that waits longest."""

    running: int
    waiting: int
    longest_wait: float


class Lane:
    """`places` in all, `per_group` of them for one group (None: all of them); `waiting` of a group may wait (None: any number)."""

    def __init__(self, *, places: int, per_group: int | None = None, waiting: int | None = None) -> None:
        self.order = Order()
        self._places, self._per_group, self._bound = places, places if per_group is None else per_group, waiting
        self._taken = Counter[str]()
        self._running = 0

    def has_free_slot(self, group: str) -> bool:
        return self._count_free_slots(group) > 0

    def _count_free_slots(self, group: str) -> int:
        return min(self._places - self._running, self._per_group - self._taken[group])

    def has_room(self) -> bool:
        return self._running < self._places and not len(self.order)

    def take_slot(self, group: str) -> None:
        self._running += 1
        self._taken[group] += 1

    def release_slot(self, group: str) -> None:
        self._running -= 1
        self._taken[group] -= 1
        if not self._taken[group]:
            del self._taken[group]

    def measure_load(self, now: float) -> Load:
        return Load(self._running, len(self.order), self.order.compute_longest_wait(now))

    def pop_next_job(self) -> Waiting | None:
        """The one whose turn it is, where there is a place for it."""
        return self.order.pop_job(self.has_free_slot) if self._running < self._places else None

    def get_group_capacity(self, group: str) -> Capacity:
        running = self._taken[group]
        most = None if self._bound is None else running + max(0, self._count_free_slots(group)) + self._bound
        return Capacity(running + self.order.count_group_jobs(group), most)


@dataclass
class _Running:
    """`again`: came under the same key meanwhile, and may be about what this one has not seen."""

    task: asyncio.Task[None]
    lane: Lane
    again: Waiting | None = None


class Lanes:
    """The jobs of this process, which live and die with `async with`: a LocalJobs, and the JobQueue of a process that is alone. Both lanes
    run the bytes that a queue between processes carries.

    `places` of the background lane; of the interactive one, `interactive` in all and `per_group` of them for one group, of which
    `waiting` more may wait."""

    def __init__(
        self,
        *,
        places: int = 4,
        interactive: int = 1000,
        per_group: int | None = None,
        waiting: int = 1000,
        registry: Registry = REGISTRY,
    ) -> None:
        self._registry = registry
        self._lanes = {
            "background": Lane(places=places),
            "interactive": Lane(places=interactive, per_group=per_group, waiting=waiting),
        }
        self._running: dict[str, _Running] = {}
        self._run: Run | None = None
        self._back: Run | None = None
        self._closed = False
        self._next_end = asyncio.Event()

    def start_running_jobs(self, run: Run, *, back: Run | None = None) -> None:
        """From now on jobs are run; what was enqueued before starts. `back`: what becomes of a job that cannot be begun any more."""
        self._run, self._back = run, back
        for lane in self._lanes.values():
            self._start_waiting_jobs(lane)

    async def enqueue_job(self, job: Job, *, key: str, priority: int = 3, group: str = "") -> int | None:
        lane = self._lanes[self._registry.get_job_spec(type(job)).lane]
        waiting = Waiting(key, encode(job), priority, group, asyncio.get_running_loop().time())
        if self._closed:
            await self._release_unstarted_jobs([waiting])
        elif running := self._running.get(key):
            running.again = waiting
        elif not self.has_job(key):
            return self._start_or_queue_job(waiting, lane)
        return None

    def _start_or_queue_job(self, waiting: Waiting, lane: Lane) -> int | None:
        if self._run and lane.has_free_slot(waiting.group):
            self._start_job(self._run, waiting, lane)
            return None
        return lane.order.push_job(waiting)

    def get_job_capacity(self, job: type[Job], *, group: str = "") -> Capacity:
        return self._lanes[self._registry.get_job_spec(job).lane].get_group_capacity(group)

    def has_room(self, lane: LaneName) -> bool:
        """Whether a job of the lane would start at once, whatever its group."""
        return not self._closed and self._lanes[lane].has_room()

    def measure_load(self, lane: LaneName) -> Load:
        return self._lanes[lane].measure_load(asyncio.get_running_loop().time())

    def has_job(self, key: str) -> bool:
        return key in self._running or any(key in lane.order for lane in self._lanes.values())

    def stop_job(self, key: str) -> bool:
        if running := self._running.get(key):
            running.again = None
            return running.task.cancel()
        is_removed = any(lane.order.remove_job(key) for lane in self._lanes.values())
        self._wake_who_waits_for_ends()
        return is_removed

    async def wait_for_job_end(self, key: str) -> None:
        """Returns once the job of that key neither waits nor runs here."""
        while self.has_job(key):
            await self._next_end.wait()

    def _wake_who_waits_for_ends(self) -> None:
        self._next_end.set()
        self._next_end = asyncio.Event()

    def _start_waiting_jobs(self, lane: Lane) -> None:
        while self._run and not self._closed and (waiting := lane.pop_next_job()):
            self._start_job(self._run, waiting, lane)

    def _start_job(self, run: Run, waiting: Waiting, lane: Lane) -> None:
        key = waiting.key

        async def run_job() -> None:
            await run(waiting.body)

        def free_place(_: asyncio.Task[None]) -> None:
            again = self._running.pop(key).again
            lane.release_slot(waiting.group)
            if again and not self._closed:
                lane.order.push_job(again)
            self._start_waiting_jobs(lane)
            self._wake_who_waits_for_ends()

        lane.take_slot(waiting.group)
        # In no context: that of who makes room for it is about another request.
        task = asyncio.create_task(run_job(), context=Context())
        self._running[key] = _Running(task, lane)
        task.add_done_callback(free_place)

    async def wait_until_idle(self) -> None:
        """Waits until nothing runs or waits here."""
        while self._running:
            await asyncio.wait(self._list_running_tasks())

    async def drain_jobs(self, within: float) -> None:
        """Takes no more jobs. What waits is handed back unbegun. Background jobs are cancelled at once: they hand their work back;
        interactive ones have some seconds before they are, counted from now."""
        self._closed, until = True, asyncio.get_running_loop().time() + within
        # What was started just now takes its first step: from there on it lets go of its work by itself.
        await asyncio.sleep(0)
        waiting = [one for lane in self._lanes.values() for one in lane.order.remove_all_jobs()]
        self._wake_who_waits_for_ends()
        background = [one.task for one in self._running.values() if one.lane is self._lanes["background"]]
        await asyncio.gather(self._release_unstarted_jobs(waiting), _cancel_and_await_tasks(background))
        if self._running and (rest := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._list_running_tasks(), timeout=rest)
        await _cancel_and_await_tasks(self._list_running_tasks())

    def _list_running_tasks(self) -> list[asyncio.Task[None]]:
        return [running.task for running in self._running.values()]

    async def _release_unstarted_jobs(self, jobs: Sequence[Waiting]) -> None:
        """Some at a time; what is not handed back in time is found by the next process, as after a crash."""
        if not jobs or self._back is None:
            return
        left = len(jobs)
        try:
            async with asyncio.timeout(BACK_SECONDS):
                for some in split_batches(jobs):
                    await asyncio.gather(*(self._back(job.body) for job in some))
                    left -= len(some)
        except TimeoutError:
            logger.warning("jobs.not_handed_back", left=left)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drain_jobs(0)


async def _cancel_and_await_tasks(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
