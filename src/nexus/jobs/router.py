"""Where a job runs: here, when this process serves its lane, else in whatever process the queue delivers it to."""

from collections.abc import Collection

import structlog

from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.jobs import Job, JobQueue, Lane
from nexus.jobs.lanes import Lanes
from nexus.jobs.registry import REGISTRY, Registry

logger = structlog.get_logger()


class JobRouter:
    """A JobQueue. A job that the queue does not take is a lost hint: its row is found by the sweeper of a process that serves its lane."""

    def __init__(
        self, local: Lanes, remote: JobQueue, *, lanes: Collection[Lane], registry: Registry = REGISTRY
    ) -> None:
        self._local, self._remote, self._lanes, self._registry = local, remote, lanes, registry

    async def enqueue_job(self, job: Job, *, key: str, priority: int = 3, group: str = "") -> int | None:
        if self._registry.get_job_spec(type(job)).lane in self._lanes:
            return await self._local.enqueue_job(job, key=key, priority=priority, group=group)
        try:
            return await self._remote.enqueue_job(job, key=key, priority=priority, group=group)
        except Unavailable as error:
            logger.warning("job.not_sent", key=key, reason=error.detail)
            return None
