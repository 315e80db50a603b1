"""Which builds may run: what is queued is handed to the job queue, and what is held is let into it while its tenant has room."""

import contextlib

import structlog

from nexus.domain.builds.model import RunBuild
from nexus.domain.core.errors import NexusError, QuotaExceeded
from nexus.domain.ports.jobs import JobQueue
from nexus.domain.projects.admission import Admission
from nexus.domain.projects.leases import BuildLeases
from nexus.domain.projects.model import ProjectStatus
from nexus.domain.projects.service import Projects
from nexus.domain.tasks.execution import LeaseLost

logger = structlog.get_logger()


class BuildQueue:
    def __init__(self, *, projects: Projects, admission: Admission, leases: BuildLeases, jobs: JobQueue) -> None:
        self._projects, self._admission, self._leases, self._jobs = projects, admission, leases, jobs

    async def enqueue_startable_builds(
        self, status: ProjectStatus, task_id: str, priority: int, tenant_id: str
    ) -> None:
        """After a change: what is queued may run; and where a place may have become free, what is held may."""
        if status == "queued":
            await self.enqueue_build(task_id, priority, tenant_id)
        elif status != "building":
            await self.enqueue_pending_builds(tenant_id)

    async def enqueue_pending_builds(self, tenant_id: str) -> None:
        """Lets builds of a tenant that are held into the queue while there is room."""
        try:
            while await self._admission.has_room(tenant_id) and await self._enqueue_next_pending(tenant_id):
                pass
        except QuotaExceeded:  # somebody else was faster
            return
        except NexusError as error:  # what was asked for is done all the same; the sweeper admits
            logger.warning("builds.not_admitted", tenant_id=tenant_id, reason=error.detail)

    async def _enqueue_next_pending(self, tenant_id: str) -> bool:
        for project in await self._projects.list_pending_projects(tenant_id):
            with contextlib.suppress(LeaseLost):  # the index lags: it is not held any more
                task = (await self._leases.admit_build(project.active_task_id)).task
                await self.enqueue_build(task.task_id, task.priority, tenant_id)
                return True
        return False

    async def enqueue_build(self, task_id: str, priority: int, tenant_id: str) -> None:
        await self._jobs.enqueue_job(RunBuild(task_id=task_id), key=task_id, priority=priority, group=tenant_id)
