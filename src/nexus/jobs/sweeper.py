"""The loop that finishes what a crash left. Every process may run it: what it does may be done twice."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any

import structlog

from nexus.domain.core.errors import NexusError
from nexus.domain.ports.jobs import JobQueue
from nexus.domain.projects.model import Purge
from nexus.domain.services import Services
from nexus.domain.sessions.model import Reply, WriteReply
from nexus.domain.tasks.model import Task

LEASE_SECONDS = 30.0
ANSWER_SECONDS = 4.0
STUCK_SECONDS = 60.0
TICK_SECONDS = 0.25
FOLD_EVERY = 12
AT_ONCE = 50
COLLECT_SECONDS = 30.0

Collect = Callable[[], Awaitable[int]]
"""Removes what dead processes left of one kind, of which it is known that nobody has it; how many."""

logger = structlog.get_logger()


class Stillness:
    """What did not move while it was watched, by this process' own monotonic clock: no wall clock can hurry it."""

    def __init__(self, *, seconds: float, timer: Callable[[], float]) -> None:
        self._seconds, self._timer = seconds, timer
        self._seen: dict[str, tuple[object, float]] = {}

    def unmoved(self, key: str, state: object) -> bool:
        """Whether it has been in this state for the whole lease."""
        now = self._timer()
        seen, since = self._seen.get(key, (None, now))
        if seen != state:
            self._seen[key] = (state, now)
            return False
        return now - since >= self._seconds

    def keep(self, keys: Collection[str]) -> None:
        """Forgets all others."""
        self._seen = {key: seen for key, seen in self._seen.items() if key in keys}


class Sweeper:
    """Takes over what did not beat for a lease, offers what lies queued, and ends what nobody alive will end.

    `stuck_runs`: how many builds and replies have been unfinished, unowned and unexplained for a minute. It must be 0."""

    def __init__(
        self,
        *,
        services: Services,
        queue: JobQueue,
        worker_id: str,
        lease: float = LEASE_SECONDS,
        collects: Mapping[str, Collect] = {},
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services, self._queue, self._worker_id = services, queue, worker_id
        self._collects = collects
        self._still = Stillness(seconds=lease, timer=timer)
        self._answered = Stillness(seconds=ANSWER_SECONDS, timer=timer)
        self._stuck = Stillness(seconds=STUCK_SECONDS, timer=timer)
        self._rounds = self.stuck_runs = 0

    async def start(self, *, alone: bool) -> None:
        """The first look. `alone`: this process holds the store for itself, so whoever else ran anything is dead."""
        tasks = sorted(await self._services.tasks.unfinished(), key=_turn)
        for task in tasks:
            if task.status == "running" and alone and task.worker_id != self._worker_id:
                await self._safely(self._services.builds.take_over(task), task.task_id)
            else:
                await self._safely(self._offered(task), task.task_id)
        await self._admitted(tasks)
        # Those that were written when the last process ended were asked for before those that waited.
        await self._replies_taken(sorted(await self._services.replies.due(alone=alone), key=_age))

    async def run(self, every: float = 5.0, *, collect_every: float = COLLECT_SECONDS) -> None:
        """Sweeps and collects for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweeping(every))
            group.create_task(self._collecting(collect_every))

    async def _collecting(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            await self.collect()

    async def collect(self) -> None:
        """A look for files and directories that dead processes left, beside the sweeps: it may take its time."""
        for kind, collect in self._collects.items():
            await self._safely(self._collected(kind, collect), kind)

    async def _collected(self, kind: str, collect: Collect) -> None:
        if count := await collect():
            logger.info("sweep.collected", kind=kind, count=count)

    async def _sweeping(self, every: float) -> None:
        """What was asked through this process and is not answered is looked at more often."""
        while True:
            for _ in range(max(1, round(every / TICK_SECONDS))):
                await asyncio.sleep(min(every, TICK_SECONDS))
                await self._goes_on(self._services.builds.end_unanswered())
            await self._goes_on(self.sweep())

    async def _goes_on(self, act: Coroutine[Any, Any, None]) -> None:
        """Whatever goes wrong, there is a next time."""
        try:
            await act
        except NexusError as error:
            logger.warning("sweep.failed", reason=error.detail)
        except Exception:
            logger.exception("sweep.crashed")

    async def sweep(self) -> None:
        await self._safely(self._services.replies.beat(), "replies")
        tasks, replies = await self._services.tasks.due(), await self._services.replies.due()
        self._count_stuck(tasks, replies)
        for task in tasks:
            act = self._watched(task) if task.status == "running" else self._offered(task)
            await self._safely(act, task.task_id)
        await self._replies_taken([reply for reply in replies if self._is_left(reply)])
        looked_at = {task.task_id for task in tasks} | {reply.reply_id for reply in replies}
        self._still.keep(looked_at)
        self._answered.keep(looked_at)
        every_now_and_then = self._rounds % FOLD_EVERY == 0
        self._rounds += 1
        if every_now_and_then:
            await self._safely(self._services.tools.fold_library(), "library")
            await self._safely(self._services.tasks.redate(), "tasks")
        await self._admitted(await self._services.tasks.held() if every_now_and_then else tasks)

    def _count_stuck(self, tasks: Sequence[Task], replies: Sequence[Reply]) -> None:
        """What is held waits for its tenant, and what is in the queue for its turn: those are not stuck."""
        seen: list[tuple[str, object]] = [(reply.reply_id, (reply.fence, reply.heartbeat)) for reply in replies]
        seen += [
            (task.task_id, (task.status, task.fence, task.heartbeat, task.worker_id))
            for task in tasks
            if task.status != "pending" and task.task_type != "purge" and not self._queue.holds(task.task_id)
        ]
        self._stuck.keep({key for key, _ in seen})
        stuck = [key for key, state in seen if self._stuck.unmoved(key, state)]
        self.stuck_runs = len(stuck)
        if stuck:
            logger.error("stuck_runs", count=len(stuck), first=stuck[:5])

    async def _offered(self, task: Task) -> None:
        """Queued work whose hint may have been lost."""
        if task.status != "queued":
            return
        if task.task_type == "purge":
            await self._queue.enqueue(Purge(task_id=task.task_id), key=task.task_id, priority=1)
        else:
            await self._services.builds.offer(task)

    async def _admitted(self, tasks: Sequence[Task]) -> None:
        """Builds that are held, where a place was left and nobody said so."""
        for tenant_id in sorted({task.tenant_id for task in tasks if task.status == "pending"}):
            await self._safely(self._services.builds.admit(tenant_id), tenant_id)

    async def _watched(self, task: Task) -> None:
        """A run whose lease is over; or one that was told to halt and did not answer, as nobody may be alive to hear it."""
        still = self._still.unmoved(task.task_id, (task.fence, task.heartbeat))
        dead = not self._queue.holds(task.task_id) if task.worker_id == self._worker_id else still
        deaf = task.control_status != "running" and self._answered.unmoved(task.task_id, (task.fence, task.heartbeat))
        if dead or deaf:
            logger.info("task.taken_over", task_id=task.task_id, from_worker=task.worker_id)
            await self._services.builds.take_over(task)

    def _is_left(self, reply: Reply) -> bool:
        """Whether nobody does for it what is to be done."""
        mine, state = reply.worker_id == self._worker_id, (reply.fence, reply.heartbeat)
        return mine or reply.status != "running" or self._still.unmoved(reply.reply_id, state)

    async def _replies_taken(self, replies: Sequence[Reply]) -> None:
        """Some at a time; into the queue they come in this order."""
        for first in range(0, len(replies), AT_ONCE):
            some, jobs = replies[first : first + AT_ONCE], dict[str, WriteReply]()
            await asyncio.gather(*(self._safely(self._reply_taken(reply, jobs), reply.reply_id) for reply in some))
            for reply in some:
                if job := jobs.get(reply.reply_id):
                    await self._queue.enqueue(job, key=reply.reply_id, group=reply.tenant_id)

    async def _reply_taken(self, reply: Reply, jobs: dict[str, WriteReply]) -> None:
        if not self._queue.holds(reply.reply_id) and (job := await self._services.replies.take_over(reply)):
            jobs[reply.reply_id] = job

    async def _safely(self, act: Coroutine[Any, Any, None], about: str) -> None:
        """One that cannot be helped keeps no other from it."""
        try:
            await act
        except NexusError as error:
            logger.warning("sweep.failed_for", about=about, reason=error.detail)
        except Exception:
            logger.exception("sweep.crashed_for", about=about)


def _turn(task: Task) -> tuple[int, bool, str]:
    """The most urgent first; of equals, what had begun goes on before what is new."""
    return -task.priority, task.started_at is None, task.task_id


def _age(reply: Reply) -> str:
    return reply.reply_id
