"""How builds begin: the first one of a new project, and those that come after."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, structs

from nexus.domain.audit.service import Audit
from nexus.domain.core.ids import NewId
from nexus.domain.core.instants import Clock, format_instant
from nexus.domain.core.principal import Principal
from nexus.domain.core.values import JSON
from nexus.domain.events.service import Events
from nexus.domain.ports.rows import Write, insert, patch, when
from nexus.domain.projects import rules
from nexus.domain.projects.admission import Admission
from nexus.domain.projects.model import Build, Project, Stage, WorkflowPlan, make_feed_topic
from nexus.domain.projects.service import Projects
from nexus.domain.projects.tables import BUILDS, PROJECTS, STAGES
from nexus.domain.tallies.service import Tallies
from nexus.domain.tasks.model import TaskStatus, TaskType
from nexus.domain.tasks.service import Tasks

HINT_SECONDS = 30.0
"""When the sweeper looks at a queued task whose hint may have been lost."""


class Opening(Struct, frozen=True, kw_only=True):
    """What a first build of a new project is opened with."""

    requirement: str
    name: str | None = None
    priority: int = 3
    tags: list[str] = []
    accept_partial: bool = False
    user_name: str = ""


class OpenedBuild(Struct, frozen=True, kw_only=True):
    """A build that begins once these writes are committed: its project as it is then. `position`: how many builds are before one that is
    held."""

    project: Project
    position: int | None
    writes: Sequence[Write]


class BuildStarter:
    def __init__(
        self,
        *,
        projects: Projects,
        tasks: Tasks,
        events: Events,
        tallies: Tallies,
        admission: Admission,
        audit: Audit,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._projects, self._tasks, self._events, self._tallies = projects, tasks, events, tallies
        self._admission, self._audit, self._clock, self._new_id = admission, audit, clock, new_id

    async def make_first_build(self, caller: Principal, wanted: Opening, plan: WorkflowPlan) -> OpenedBuild:
        """T1: a project, its first build, task and stages, and the event that tells it. T2: it is held where
        the tenant has as many builds under way as it may, behind so many others; QuotaExceeded when too many are."""
        move = await self._admission.admit_or_defer_move(caller.tenant_id, rules.CREATE)
        now, project_id, task_id = format_instant(self._clock()), self._new_id("prj"), self._new_id("tsk")
        project = Project(
            project_id=project_id,
            project_name=wanted.name or wanted.requirement.strip().splitlines()[0][:60],
            requirement=wanted.requirement,
            tenant_id=caller.tenant_id,
            user_id=caller.user_id,
            user_name=wanted.user_name or caller.user_name,
            priority=wanted.priority,
            tags=wanted.tags,
            accept_partial=wanted.accept_partial,
            status=move.to,
            active_task_id=task_id,
            events=1,
            created_at=now,
            updated_at=now,
        )
        before = await self._projects.find_queue_position(caller, project)
        writes = [insert(PROJECTS, project), *self._make_build_writes(project, wanted, plan, before)]
        writes += self._tallies.make_tally_writes(caller.tenant_id, projects=1, builds_started=1)
        writes += self._admission.make_quota_writes(caller.tenant_id, None, move.to)
        writes.append(self._audit.make_audit_write(caller, "project.created", project_id))
        return OpenedBuild(project=project, position=before, writes=writes)

    def _make_build_writes(
        self, project: Project, wanted: Opening, plan: WorkflowPlan, before: int | None
    ) -> list[Write]:
        owned: dict[str, Any] = {"tenant_id": project.tenant_id, "user_id": project.user_id}
        build = Build(
            project_id=project.project_id,
            build_no=project.build_no,
            workflow=plan.name,
            task_id=project.active_task_id,
            status=project.status,
            request={"requirement": wanted.requirement},
            created_at=project.created_at,
            **owned,
        )
        stages = [
            Stage(
                project_id=project.project_id,
                stage_name=stage.name,
                stage_number=number,
                display_name=stage.display_name,
                optional=stage.optional,
                **owned,
            )
            for number, stage in enumerate(plan.stages, 1)
        ]
        queued = _make_queued_event_data(project, [stage.name for stage in plan.stages], before)
        return [
            insert(BUILDS, build),
            self._make_task_write(project, plan.task_type),
            *(insert(STAGES, stage) for stage in stages),
            self._events.make_event_write(
                make_feed_topic(project.project_id, project.build_no), project.events, "build.queued", queued
            ),
        ]

    async def make_next_build(
        self, caller: Principal, project_id: str, command: str, from_stage: str | None
    ) -> OpenedBuild:
        """T21, T22: another build of the project with the next number. Completed stages before `from_stage` (default: before the
        first that is not completed; for a restart, none) are kept, the others begin anew."""
        project, now = await self._projects.get(caller, project_id), format_instant(self._clock())
        rules.check_command_allowed(command, project)
        stages = await self._projects.list_current_stages(caller, project_id)
        begin = rules.find_first_stage_to_rerun(command, stages, from_stage)
        move = await self._admission.admit_or_defer_move(project.tenant_id, rules.AGAIN[command])
        progress, task_id = rules.compute_progress_percent(begin, len(stages)), self._new_id("tsk")
        fresh = rules.make_restart_changes(project, move, task_id, progress=progress, now=now)
        new = structs.replace(project, revision=project.revision + 1, **fresh)
        before = await self._projects.find_queue_position(caller, new)
        told = _make_queued_event_data(new, [stage.stage_name for stage in stages[begin:]], before)
        old = await self._projects.get_current_build(caller, project_id)
        writes = [
            patch(PROJECTS, project, when(status=project.status, events=project.events), **fresh),
            insert(BUILDS, _make_next_build_row(old, new, command)),
            self._make_task_write(new, (await self._tasks.read(project.active_task_id)).task_type),
            *(patch(STAGES, stage, build_no=new.build_no) for stage in stages[:begin]),
            *(patch(STAGES, one, **rules.reset_stage(one, new.build_no, command=command)) for one in stages[begin:]),
            self._events.make_event_write(
                make_feed_topic(new.project_id, new.build_no), new.events, "build.queued", told
            ),
            self._audit.make_audit_write(caller, f"project.{command}", project.project_id, build_no=new.build_no),
            *self._tallies.make_tally_writes(project.tenant_id, builds_started=1),
            *self._admission.make_quota_writes(project.tenant_id, project.status, move.to),
        ]
        return OpenedBuild(project=new, position=before, writes=writes)

    def _make_task_write(self, project: Project, task_type: TaskType) -> Write:
        """The sweeper looks at it once its hint should have been heard."""
        status: TaskStatus = "pending" if project.status == "pending" else "queued"
        return self._tasks.make_insert_write(
            rules.make_build_task(project, task_type, status=status), seconds=HINT_SECONDS
        )


def _make_next_build_row(old: Build, project: Project, command: str) -> Build:
    return Build(
        project_id=project.project_id,
        build_no=project.build_no,
        tenant_id=project.tenant_id,
        user_id=project.user_id,
        status=project.status,
        workflow=old.workflow,
        task_id=project.active_task_id,
        request=old.request | {"command": command},
        created_at=project.updated_at,
    )


def _make_queued_event_data(project: Project, stages: Sequence[str], before: int | None) -> JSON:
    """`position`: how many builds are before one that is held."""
    held = {} if before is None else {"position": before}
    return {"project_id": project.project_id, "build_no": project.build_no, "stages": stages, **held}
