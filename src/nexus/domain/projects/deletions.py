"""How projects end: a tombstone at once, then a purge that empties the rooms."""

from contextlib import suppress

from msgspec import structs

from nexus.domain.agents.service import Agents
from nexus.domain.agents.slugs import Slugs
from nexus.domain.audit.service import Audit
from nexus.domain.core.failpoints import hit
from nexus.domain.core.ids import NewId
from nexus.domain.core.instants import Clock, instant
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import Tables, retry_stale
from nexus.domain.ports.files import FileStore
from nexus.domain.ports.rows import delete, patch, when
from nexus.domain.projects import rules
from nexus.domain.projects.model import Project, WrongState
from nexus.domain.projects.service import Projects
from nexus.domain.projects.tables import BUILDS, PROJECTS, STAGES
from nexus.domain.tallies.service import Tallies
from nexus.domain.tasks.model import Task
from nexus.domain.tasks.service import Tasks


class Deletions:
    def __init__(
        self,
        *,
        tables: Tables,
        projects: Projects,
        agents: Agents,
        slugs: Slugs,
        tasks: Tasks,
        tallies: Tallies,
        audit: Audit,
        files: FileStore,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._tables, self._projects, self._agents, self._slugs = tables, projects, agents, slugs
        self._tasks, self._tallies = tasks, tallies
        self._audit, self._files, self._clock, self._new_id = audit, files, clock, new_id

    @retry_stale
    async def delete(self, caller: Principal, project_id: str, *, stop_first: bool = False) -> Project:
        """T23: a tombstone; the project is gone for the API at once, a purge empties the rooms. WrongState while it is built, unless
        `stop_first`: then the build is told to stop, and the purge waits for its end."""
        project = await self._projects.get(caller, project_id)
        if project.status in rules.ACTIVE and not stop_first:
            raise WrongState(f"Cannot delete what is {project.status}: stop it first.", status=project.status)
        if project.status in rules.STOPPABLE:
            with suppress(WrongState):  # it ended meanwhile: the commit below is refused, and this tried again
                project = await self._projects.command(caller, project_id, "stop")
        now = instant(self._clock())
        purged = structs.replace(project, active_task_id=self._new_id("tsk"), updated_at=now)
        task = rules.task_of(purged, "purge", due=now)
        built = {agent.agent_id for agent in await self._agents.left_of(project_id)} | set(project.agent_ids)
        buried = await self._agents.burying(sorted(built))
        held = {"status": project.status, "control_status": project.control_status, "build_no": project.build_no}
        hit("before:project.delete")
        await self._tables.commit(
            patch(PROJECTS, project, when(**held, deleted_at=None), deleted_at=now),
            self._tasks.queued(task),
            self._audit.noting(caller, "project.deleted", project_id),
            *buried,
            *self._tallies.counting(project.tenant_id, projects=-1, agents=-len(buried)),
        )
        hit("after:project.delete")
        return structs.replace(project, active_task_id=task.task_id, deleted_at=now)

    async def to_purge(self, task: Task) -> Project | None:
        """The deleted project of a purge; None while a build of it has not ended, or when it is gone already."""
        project = await self._tables.find(PROJECTS, task.project_id or "")
        if project is None:
            await self.purged(task)
            return None
        return project if project.deleted_at and project.status not in rules.STOPPABLE else None

    async def purge(self, project: Project) -> None:
        """Removes rows and files, the project's own row last: a purge that was cut goes on from there."""
        hit("before:purge.files")
        await self._files.remove(f"projects/{project.project_id}")
        hit("after:purge.files")
        await self._slugs.release(project.project_id)
        await self._tables.clear(STAGES, project.project_id)
        async for build in self._tables.each(BUILDS, project.project_id):
            await self._projects.delete_feed(build)
        await self._tables.clear(BUILDS, project.project_id)
        hit("before:purge.rows")
        await self._tables.commit(delete(PROJECTS, project))
        hit("after:purge.rows")

    async def purged(self, task: Task) -> None:
        """The purge is over."""
        now = instant(self._clock())
        gone = rules.placed(task.task_id, "completed", "running", due=now)
        over = self._tasks.moving(task, when(status="queued"), status="completed", completed_at=now, **gone)
        hit("before:purge.end")
        await self._tables.commit(over)
        hit("after:purge.end")
