"""Projects as users see and command them."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from msgspec import Struct, structs

from nexus.domain.audit.service import Audit
from nexus.domain.core.errors import NotFound
from nexus.domain.core.failpoints import hit
from nexus.domain.core.ids import NewId
from nexus.domain.core.instants import Clock, instant
from nexus.domain.core.principal import Principal
from nexus.domain.events.service import Events
from nexus.domain.ports.database import Page, Tables, Window
from nexus.domain.ports.files import FileStore
from nexus.domain.ports.log import Batch
from nexus.domain.ports.repository import Commit, Repository
from nexus.domain.ports.rows import R, Table, Write, delete, insert, patch, when
from nexus.domain.projects import rules
from nexus.domain.projects.model import Build, Command, Project, Stage, StagePlan, WrongState, topic
from nexus.domain.projects.tables import BUILDS, PROJECTS, STAGES
from nexus.domain.requests.service import Keep
from nexus.domain.tallies.service import Tallies
from nexus.domain.tasks.model import Task, TaskType
from nexus.domain.tasks.rules import shard
from nexus.domain.tasks.service import Tasks

HINT_SECONDS = 30.0


class Opening(Struct, frozen=True, kw_only=True):
    """What a first build of a new project is opened with."""

    requirement: str
    name: str | None = None
    priority: int = 3
    tags: list[str] = []
    user_name: str = ""
    workflow: str = "agent_build"
    task_type: TaskType = "build_agent"


class Projects:
    def __init__(
        self,
        *,
        tables: Tables,
        tasks: Tasks,
        events: Events,
        tallies: Tallies,
        audit: Audit,
        repository: Repository,
        files: FileStore,
        clock: Clock,
        new_id: NewId,
        admitted: int,
    ) -> None:
        self._admitted = admitted
        self._tables, self._tasks, self._events, self._tallies = tables, tasks, events, tallies
        self._audit, self._repository, self._files = audit, repository, files
        self._clock, self._new_id = clock, new_id

    async def get(self, caller: Principal, project_id: str) -> Project:
        project = await self._tables.of(caller).get(PROJECTS, project_id)
        if project.deleted_at:
            raise NotFound("There is no such project.")
        return project

    async def page(self, caller: Principal, window: Window, *, status: str | None = None) -> Page[Project]:
        """The tenant's projects; with a status, those that have it. Deleted ones leave gaps: a page may be short."""
        tables = self._tables.of(caller)
        if status:
            page = await tables.page(PROJECTS, caller.tenant_id, status, index="TenantStatusIndex", window=window)
        else:
            page = await tables.page(PROJECTS, caller.tenant_id, index="TenantIndex", window=window)
        return Page([project for project in page.items if not project.deleted_at], page.cursor)

    async def stages(self, caller: Principal, project_id: str) -> list[Stage]:
        await self.get(caller, project_id)
        rows = (await self._tables.of(caller).page(STAGES, project_id, window=Window(limit=100))).items
        return sorted(rows, key=lambda stage: stage.stage_number)

    async def build(self, caller: Principal, project_id: str) -> Build:
        """The current build."""
        project = await self.get(caller, project_id)
        return await self._tables.of(caller).get(BUILDS, project_id, project.build_no)

    async def task(self, caller: Principal, project_id: str) -> Task:
        project = await self.get(caller, project_id)
        return await self._tasks.get(caller, project.active_task_id)

    async def follow(self, caller: Principal, project_id: str, after: int = 0) -> AsyncIterator[Batch]:
        """The events of the current build."""
        project = await self.get(caller, project_id)
        return self._events.follow(topic(project_id, project.build_no), after)

    async def has_read_all(self, caller: Principal, project_id: str, after: int) -> bool:
        """Whether the build is over and a reader at this position has seen its end, or all that is still kept of it."""
        project = await self.get(caller, project_id)
        over = project.status in ("completed", "failed", "cancelled")
        return over and not await self._events.read(topic(project_id, project.build_no), after, limit=1)

    async def files(self, caller: Principal, project_id: str, *, at: str | None = None) -> Sequence[str]:
        await self.get(caller, project_id)
        return await self._repository.list(project_id, at=at)

    async def file(self, caller: Principal, project_id: str, path: str, *, at: str | None = None) -> bytes:
        await self.get(caller, project_id)
        return await self._repository.read(project_id, path, at=at)

    async def commits(self, caller: Principal, project_id: str) -> Sequence[Commit]:
        await self.get(caller, project_id)
        return await self._repository.history(project_id)

    async def command(self, caller: Principal, project_id: str, command: Command) -> Project:
        """Pause, resume or stop: idempotent in every state, or WrongState. Takes effect at the next step, or at once where nothing runs."""

        async def attempt() -> Project:
            project = await self.get(caller, project_id)
            task = await self._tasks.get(caller, project.active_task_id)
            if (verb := rules.verb_for(command, task)) is None:
                return project
            return await self._commanded(caller, verb, project, task)

        return await self._tables.settle(attempt)

    async def _commanded(self, caller: Principal, verb: str, project: Project, task: Task) -> Project:
        move, now = rules.MOVES[verb], instant(self._clock())
        wants = move.wants or project.control_status
        fields: dict[str, Any] = {"status": move.to, "control_status": wants, "updated_at": now}
        ended = {"completed_at": now} if move.to == "cancelled" else {}
        position = project.events + 1
        where = topic(project.project_id, project.build_no)
        on_task = rules.placed(task, move.task_to, due=now) | {"status": move.task_to, "control_status": wants} | ended
        writes = [
            patch(PROJECTS, project, move.of_project(project.events), events=position, **fields, **ended),
            self._tasks.moving(task, move.of_task(task), **on_task),
            self._events.telling(where, position, move.event or "control.changed", {"control": wants}),
            self._audit.noting(caller, f"project.{verb}", project.project_id),
        ]
        if move.counts:
            writes += self._tallies.counting(project.tenant_id, **{move.counts: 1})
            writes.append(self._tallies.leaving(project.tenant_id))
        hit("before:project.command")
        await self._tables.commit(*writes)
        hit("after:project.command")
        self._events.wake(where)
        return structs.replace(project, events=position, revision=project.revision + 1, **fields, **ended)

    async def opening(
        self, caller: Principal, wanted: Opening, plans: Sequence[StagePlan]
    ) -> tuple[Project, list[Write]]:
        """T1: a project, its first build, task and stages, and the event that tells it; the caller commits them. QuotaExceeded when
        the tenant has as many builds under way as it may."""
        now, project_id, task_id = instant(self._clock()), self._new_id("prj"), self._new_id("tsk")
        project = Project(
            project_id=project_id,
            project_name=wanted.name or wanted.requirement.strip().splitlines()[0][:60],
            requirement=wanted.requirement,
            tenant_id=caller.tenant_id,
            user_id=caller.user_id,
            user_name=wanted.user_name or caller.user_name,
            priority=wanted.priority,
            tags=wanted.tags,
            active_task_id=task_id,
            events=1,
            created_at=now,
            updated_at=now,
        )
        writes = [insert(PROJECTS, project), *self._build_rows(project, wanted, plans)]
        writes += self._tallies.counting(caller.tenant_id, projects=1, builds_started=1)
        writes.append(await self._tallies.admitting(caller.tenant_id, most=self._admitted))
        return project, [*writes, self._audit.noting(caller, "project.created", project_id)]

    def _build_rows(self, project: Project, wanted: Opening, plans: Sequence[StagePlan]) -> list[Write]:
        owned: dict[str, Any] = {"tenant_id": project.tenant_id, "user_id": project.user_id}
        build = Build(
            project_id=project.project_id,
            build_no=project.build_no,
            workflow=wanted.workflow,
            task_id=project.active_task_id,
            request={"requirement": wanted.requirement},
            created_at=project.created_at,
            **owned,
        )
        stages = [
            Stage(
                project_id=project.project_id,
                stage_name=plan.name,
                stage_number=number,
                display_name=plan.display_name,
                optional=plan.optional,
                **owned,
            )
            for number, plan in enumerate(plans, 1)
        ]
        queued = {
            "project_id": project.project_id,
            "build_no": project.build_no,
            "stages": [plan.name for plan in plans],
        }
        return [
            insert(BUILDS, build),
            self._tasks.queued(self._task(project, wanted.task_type)),
            *(insert(STAGES, stage) for stage in stages),
            self._events.telling(topic(project.project_id, project.build_no), project.events, "build.queued", queued),
        ]

    def _task(self, project: Project, task_type: TaskType) -> Task:
        return Task(
            task_id=project.active_task_id,
            task_type=task_type,
            tenant_id=project.tenant_id,
            user_id=project.user_id,
            project_id=project.project_id,
            priority=project.priority,
            build_no=project.build_no,
            payload={"project_id": project.project_id, "build_no": project.build_no},
            dispatch=shard(project.active_task_id),
            due_at=instant(self._clock() + HINT_SECONDS),
            created_at=project.updated_at,
        )

    async def again(
        self, caller: Principal, project_id: str, command: str, keep: Keep[Project], *, from_stage: str | None = None
    ) -> Project:
        """T21, T22: another build of the project with the next number. Completed stages before `from_stage` (default: before the
        first that is not completed; for a restart, none) are kept, the others begin anew."""

        async def attempt() -> Project:
            project = await self.get(caller, project_id)
            rules.must_be(command, project)
            stages = await self.stages(caller, project_id)
            begin = rules.first_anew(command, stages, from_stage)
            return await self._begun_again(caller, command, project, (stages, begin, keep))

        return await self._tables.settle(attempt)

    async def _begun_again(
        self, caller: Principal, command: str, project: Project, plan: tuple[list[Stage], int, Keep[Project]]
    ) -> Project:
        (stages, begin, keep), now = plan, instant(self._clock())
        fresh: dict[str, Any] = {
            "status": "queued",
            "control_status": "running",
            "build_no": project.build_no + 1,
            "active_task_id": self._new_id("tsk"),
            "events": project.events + 1,
            "progress": rules.progress_of(begin, len(stages)),
            "current_stage": None,
            "error_info": None,
            "completed_at": None,
            "updated_at": now,
        }
        new = structs.replace(project, revision=project.revision + 1, **fresh)
        old = await self._tables.get(BUILDS, project.project_id, project.build_no)
        build = Build(
            project_id=project.project_id,
            build_no=new.build_no,
            tenant_id=project.tenant_id,
            user_id=project.user_id,
            workflow=old.workflow,
            task_id=new.active_task_id,
            request=old.request | {"command": command},
            created_at=now,
        )
        kept = [patch(STAGES, stage, build_no=new.build_no) for stage in stages[:begin]]
        anew = [patch(STAGES, stage, **rules.anew(stage, new.build_no)) for stage in stages[begin:]]
        told = {
            "project_id": project.project_id,
            "build_no": new.build_no,
            "stages": [s.stage_name for s in stages[begin:]],
        }
        await self._tables.commit(
            patch(PROJECTS, project, when(status=project.status, events=project.events), **fresh),
            insert(BUILDS, build),
            self._tasks.queued(self._task(new, "build_agent")),
            *kept,
            *anew,
            self._events.telling(topic(project.project_id, new.build_no), new.events, "build.queued", told),
            self._audit.noting(caller, f"project.{command}", project.project_id, build_no=new.build_no),
            *self._tallies.counting(project.tenant_id, builds_started=1),
            await self._tallies.admitting(project.tenant_id, most=self._admitted),
            *keep(new),
        )
        return new

    async def delete(self, caller: Principal, project_id: str, *, stop_first: bool = False) -> Project:
        """T23: a tombstone; the project is gone for the API at once, a purge empties the rooms. WrongState while it is built, unless
        `stop_first`: then the build is told to stop, and the purge waits for its end."""
        project = await self.get(caller, project_id)
        if project.status in ("queued", "building") and not stop_first:
            raise WrongState(f"Cannot delete what is {project.status}: stop it first.", status=project.status)
        if project.status in rules.STOPPABLE:
            await self.command(caller, project_id, "stop")

        async def attempt() -> Project:
            project = await self.get(caller, project_id)
            now = instant(self._clock())
            task = self._task(structs.replace(project, active_task_id=self._new_id("tsk"), updated_at=now), "purge")
            await self._tables.commit(
                patch(PROJECTS, project, when(status=project.status, deleted_at=None), deleted_at=now),
                self._tasks.queued(task),
                self._audit.noting(caller, "project.deleted", project_id),
                *self._tallies.counting(project.tenant_id, projects=-1),
            )
            return structs.replace(project, active_task_id=task.task_id, deleted_at=now)

        return await self._tables.settle(attempt)

    async def to_purge(self, task_id: str) -> Project | None:
        """The deleted project of a purge; None while a build of it has not ended, or when it is gone already."""
        task = await self._tasks.find(task_id)
        if task is None or task.status != "queued":
            return None
        project = await self._tables.find(PROJECTS, task.project_id or "")
        if project is None:
            await self._ended(task)
            return None
        return project if project.deleted_at and project.status not in rules.STOPPABLE else None

    async def purge(self, task_id: str, project: Project) -> None:
        """Removes rows and files, the project's own row last: a purge that was cut goes on from there."""
        await self._files.remove(f"projects/{project.project_id}")
        await self._emptied(STAGES, project.project_id)
        await self._emptied(BUILDS, project.project_id)
        await self._tables.commit(delete(PROJECTS, project))
        await self._ended(await self._tasks.read(task_id))

    async def _emptied(self, table: Table[R], project_id: str) -> None:
        while rows := (await self._tables.page(table, project_id, window=Window(limit=100))).items:
            await self._tables.commit(*(delete(table, row) for row in rows))

    async def _ended(self, task: Task) -> None:
        now = instant(self._clock())
        gone = rules.placed(task, "completed", due=now)
        await self._tables.commit(
            self._tasks.moving(task, when(status="queued"), status="completed", completed_at=now, **gone)
        )
