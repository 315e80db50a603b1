"""How projects end: a tombstone at once, then a deletion that removes what was kept of them."""

from contextlib import suppress

from msgspec import structs

from nexus.domain.agents.service import Agents
from nexus.domain.agents.slugs import Slugs
from nexus.domain.audit.service import Audit
from nexus.domain.core.failpoints import hit_failpoint
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import Tables, retry_stale
from nexus.domain.ports.files import FileStore
from nexus.domain.ports.rows import patch, when
from nexus.domain.projects import rules
from nexus.domain.projects.model import Project, WrongState
from nexus.domain.projects.service import Projects
from nexus.domain.projects.tables import BUILDS, PROJECTS, STAGES
from nexus.domain.tallies.service import Tallies
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
    ) -> None:
        self._tables, self._projects, self._agents, self._slugs = tables, projects, agents, slugs
        self._tasks, self._tallies, self._audit, self._files = tasks, tallies, audit, files

    @retry_stale
    async def delete_project(self, caller: Principal, project_id: str, *, stop_first: bool = False) -> Project:
        """T23: a tombstone; the project is gone for the API at once, a deletion removes it. WrongState while it is built, unless
        `stop_first`: then the build is told to stop, and the deletion waits for its end."""
        project = await self._projects.get(caller, project_id)
        if project.status in rules.ACTIVE and not stop_first:
            raise WrongState(f"Cannot delete what is {project.status}: stop it first.", status=project.status)
        if project.status in rules.STOPPABLE:
            with suppress(WrongState):  # it ended meanwhile: the commit below is refused, and this tried again
                project = await self._projects.execute_command(caller, project_id, "stop")
        owner = Principal(tenant_id=project.tenant_id, user_id=project.user_id)
        payload = {"project_id": project_id, "build_no": project.build_no}
        task = self._tasks.make_deletion_task(owner, payload, project_id=project_id)
        task = structs.replace(task, priority=project.priority, build_no=project.build_no)
        built = {agent.agent_id for agent in await self._agents.list_agents_with_deleted(project_id)} | set(
            project.agent_ids
        )
        buried = await self._agents.make_tombstone_writes(sorted(built))
        held = {"status": project.status, "control_status": project.control_status, "build_no": project.build_no}
        hit_failpoint("before:project.delete")
        await self._tables.commit(
            patch(PROJECTS, project, when(**held, deleted_at=None), deleted_at=task.created_at),
            self._tasks.make_insert_write(task),
            self._audit.make_audit_write(caller, "project.deleted", project_id),
            *buried,
            *self._tallies.make_tally_writes(project.tenant_id, projects=-1, agents=-len(buried)),
        )
        hit_failpoint("after:project.delete")
        return structs.replace(project, active_task_id=task.task_id, deleted_at=task.created_at)

    async def is_build_over(self, project_id: str) -> bool:
        """Whether no build of the deleted project goes on any more."""
        project = await self._tables.find(PROJECTS, project_id)
        return project is None or (bool(project.deleted_at) and project.status not in rules.STOPPABLE)

    async def remove_project_data(self, project_id: str) -> None:
        """Removes rows and files, the project's own row last: a deletion that was cut goes on from there."""
        hit_failpoint("before:purge.files")
        await self._files.delete_path(f"projects/{project_id}")
        hit_failpoint("after:purge.files")
        await self._slugs.release_project_slugs(project_id)
        await self._tables.clear(STAGES, project_id)
        async for build in self._tables.each(BUILDS, project_id):
            await self._projects.delete_build_events(build)
        await self._tables.clear(BUILDS, project_id)
        hit_failpoint("before:purge.rows")
        await self._tables.clear(PROJECTS, project_id)
        hit_failpoint("after:purge.rows")
