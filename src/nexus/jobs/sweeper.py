"""The loop that finishes what a crash left. Every process may run it: what it does may be done twice."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from nexus.domain.core.errors import NexusError
from nexus.domain.ports.jobs import JobQueue
from nexus.domain.projects.model import Purge
from nexus.domain.services import Services
from nexus.domain.tasks.model import Task

LEASE_SECONDS = 30.0
FOLD_EVERY = 12
logger = structlog.get_logger()


class Sweeper:
    """A task is taken over when its heartbeat did not move for a lease, by this process' own monotonic clock."""

    def __init__(
        self,
        *,
        services: Services,
        queue: JobQueue,
        worker_id: str,
        lease: float = LEASE_SECONDS,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services, self._queue, self._worker_id = services, queue, worker_id
        self._lease, self._timer = lease, timer
        self._seen: dict[str, tuple[int, int, float]] = {}
        self._rounds = 0

    async def start(self, *, alone: bool) -> None:
        """The first look. `alone`: this process holds the store for itself, so whoever else ran anything is dead."""
        for task in await self._services.tasks.unfinished():
            if task.status == "running" and alone and task.worker_id != self._worker_id:
                await self._safely(self._services.builds.take_over, task)
            else:
                await self._safely(self._offered, task)
        await self._services.replies.sweep(alone=alone)

    async def run(self, every: float = 5.0) -> None:
        """Sweeps for ever."""
        while True:
            await asyncio.sleep(every)
            try:
                await self.sweep()
            except NexusError as error:
                logger.warning("sweep.failed", reason=error.detail)
            except Exception:
                logger.exception("sweep.crashed")

    async def sweep(self) -> None:
        due = await self._services.tasks.due()
        for task in due:
            if task.status == "running":
                await self._safely(self._watched, task)
            else:
                await self._safely(self._offered, task)
        self._seen = {task.task_id: self._seen[task.task_id] for task in due if task.task_id in self._seen}
        await self._services.replies.sweep()
        self._rounds += 1
        if self._rounds % FOLD_EVERY == 0:
            await self._services.tools.fold_library()

    async def _offered(self, task: Task) -> None:
        """Queued work whose hint may have been lost. A task that waits for its user (`pending`) is left alone."""
        if task.status != "queued":
            return
        if task.task_type == "purge":
            await self._queue.enqueue(Purge(task_id=task.task_id), key=task.task_id, priority=1)
        else:
            await self._services.builds.offer(task)

    async def _watched(self, task: Task) -> None:
        now, state = self._timer(), (task.fence, task.heartbeat)
        fence, heartbeat, since = self._seen.get(task.task_id, (-1, -1, now))
        if (fence, heartbeat) != state:
            self._seen[task.task_id] = (*state, now)
        elif now - since >= self._lease:
            logger.info("task.taken_over", task_id=task.task_id, from_worker=task.worker_id)
            await self._services.builds.take_over(task)

    async def _safely(self, act: Callable[[Task], Awaitable[None]], task: Task) -> None:
        """One task that cannot be helped keeps no other from it."""
        try:
            await act(task)
        except NexusError as error:
            logger.warning("sweep.task_failed", task_id=task.task_id, reason=error.detail)
