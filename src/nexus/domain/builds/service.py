"""Builds as users start and command them."""

from nexus.domain.builds import rules
from nexus.domain.builds.model import Started
from nexus.domain.builds.queue import BuildQueue
from nexus.domain.builds.workflow import Workflow
from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.failpoints import hit_failpoint
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import Tables, retry_stale
from nexus.domain.projects.deletions import Deletions
from nexus.domain.projects.model import Command, Project
from nexus.domain.projects.service import Projects
from nexus.domain.projects.starts import BuildStarter, Opening
from nexus.domain.requests.model import Once
from nexus.domain.requests.service import KeyedRequest, Requests
from nexus.domain.tasks.model import Task


class Builds:
    def __init__(
        self,
        *,
        tables: Tables,
        projects: Projects,
        starter: BuildStarter,
        deletions: Deletions,
        requests: Requests,
        queue: BuildQueue,
        workflow: Workflow,
    ) -> None:
        self._tables, self._projects, self._starter, self._deletions = tables, projects, starter, deletions
        self._requests, self._queue, self._workflow = requests, queue, workflow

    async def start(self, caller: Principal, wanted: Opening, *, once: Once | None = None) -> Started:
        """A project and its first build, held where there is no place for it; InvalidInput when the requirement cannot be one."""
        rules.check_requirement_text(wanted.requirement)
        rules.check_project_labels(wanted)

        async with self._requests.begin_idempotent_request(caller, once, Started) as request:
            if request.answer is None:
                request.answer = await self._commit_new_project(caller, wanted, request)
        await self._queue.enqueue_startable_builds(
            request.result.status, request.result.task_id, wanted.priority, caller.tenant_id
        )
        return request.result

    @retry_stale
    async def _commit_new_project(self, caller: Principal, wanted: Opening, request: KeyedRequest[Started]) -> Started:
        opened = await self._starter.make_first_build(caller, wanted, self._workflow.plan)
        started = _make_start_result(opened.project, opened.position)
        hit_failpoint("before:project.create")
        await self._tables.for_caller(caller).commit(*opened.writes, *request.make_answer_writes(started))
        hit_failpoint("after:project.create")
        return started

    async def execute_build_command(
        self,
        caller: Principal,
        project_id: str,
        command: Command,
        *,
        from_stage: str | None = None,
        once: Once | None = None,
    ) -> Project:
        """Pause, resume, stop, retry or restart, which alone may begin at a stage. Idempotent, or WrongState with the present one."""
        if from_stage is not None and command != "restart":
            message = "Only a restart begins at a stage."
            raise InvalidInput(message, errors=[{"pointer": "/from_stage", "message": message}])
        if command in ("retry", "restart"):
            async with self._requests.begin_idempotent_request(caller, once, Project) as request:
                if request.answer is None:
                    request.answer = await self._commit_next_build(caller, project_id, command, from_stage, request)
            project = request.result
        else:
            project = await self._projects.execute_command(caller, project_id, command)
        await self._queue.enqueue_startable_builds(
            project.status, project.active_task_id, project.priority, project.tenant_id
        )
        return project

    @retry_stale
    async def _commit_next_build(
        self, caller: Principal, project_id: str, command: str, from_stage: str | None, request: KeyedRequest[Project]
    ) -> Project:
        opened = await self._starter.make_next_build(caller, project_id, command, from_stage)
        hit_failpoint(f"before:project.{command}")
        await self._tables.for_caller(caller).commit(*opened.writes, *request.make_answer_writes(opened.project))
        hit_failpoint(f"after:project.{command}")
        return opened.project

    async def stop_build_of_task(self, caller: Principal, task_id: str) -> Task:
        """Stops the build of a task; quiet where it was stopped. WrongState for a task that is over, or of another kind."""
        task = await self._projects.get_stoppable_task(caller, task_id)
        if task.status == "cancelled" or task.project_id is None:
            return task
        await self.execute_build_command(caller, task.project_id, "stop")
        return await self._projects.get_active_task(caller, task.project_id)

    async def delete(self, caller: Principal, project_id: str, *, stop_first: bool = False) -> Project:
        """As `Deletions.delete`; the place of a build that was stopped by it is left to the next one."""
        deleted = await self._deletions.delete_project(caller, project_id, stop_first=stop_first)
        if deleted.status != "building":
            await self._queue.enqueue_pending_builds(deleted.tenant_id)
        return deleted


def _make_start_result(project: Project, before: int | None) -> Started:
    return Started(
        position=before,
        project_id=project.project_id,
        task_id=project.active_task_id,
        project_name=project.project_name,
        status=project.status,
        created_at=project.created_at,
    )
