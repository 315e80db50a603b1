"""Projects as users see and command them."""

import re
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from typing import Any

from msgspec import structs

from nexus.domain.audit.service import Audit
from nexus.domain.core.errors import NotFound
from nexus.domain.core.failpoints import hit_failpoint
from nexus.domain.core.instants import Clock, format_instant
from nexus.domain.core.principal import Principal
from nexus.domain.events.service import Events
from nexus.domain.ports.database import Page, Tables, Window, retry_stale
from nexus.domain.ports.log import Batch, Beyond
from nexus.domain.ports.repository import Commit, Repository
from nexus.domain.ports.rows import Write, patch
from nexus.domain.projects import rules
from nexus.domain.projects.admission import Admission, make_admission_sort_key
from nexus.domain.projects.model import ENDINGS, OVER, Build, Command, Project, Stage, WrongState, make_feed_topic
from nexus.domain.projects.tables import BUILDS, PROJECTS, STAGES
from nexus.domain.projects.transitions import list_stages, make_build_update_writes
from nexus.domain.tallies.service import Tallies
from nexus.domain.tasks.model import Task
from nexus.domain.tasks.service import Tasks

REPORT = re.compile(r"agents/[^/]+/docs/report\.md")


class Projects:
    def __init__(
        self,
        *,
        tables: Tables,
        tasks: Tasks,
        events: Events,
        tallies: Tallies,
        admission: Admission,
        audit: Audit,
        repository: Repository,
        clock: Clock,
    ) -> None:
        self._tables, self._tasks, self._events, self._tallies = tables, tasks, events, tallies
        self._admission, self._audit, self._repository, self._clock = admission, audit, repository, clock

    async def get(self, caller: Principal, project_id: str) -> Project:
        project = await self._tables.for_caller(caller).get(PROJECTS, project_id)
        if project.deleted_at:
            raise NotFound("There is no such project.")
        return project

    async def list_projects(self, caller: Principal, window: Window, *, status: str | None = None) -> Page[Project]:
        """The tenant's projects; with a status, those that have it. Deleted ones leave gaps: a page may be short."""
        tables = self._tables.for_caller(caller)
        if status:
            page = await tables.read_page(PROJECTS, caller.tenant_id, status, index="TenantStatusIndex", window=window)
        else:
            page = await tables.read_page(PROJECTS, caller.tenant_id, index="TenantIndex", window=window)
        return Page([project for project in page.items if not project.deleted_at], page.cursor)

    async def list_current_stages(self, caller: Principal, project_id: str) -> list[Stage]:
        await self.get(caller, project_id)
        return await list_stages(self._tables.for_caller(caller), project_id)

    async def get_current_build(self, caller: Principal, project_id: str) -> Build:
        """The current build."""
        project = await self.get(caller, project_id)
        return await self._tables.for_caller(caller).get(BUILDS, project_id, project.build_no)

    async def get_active_task(self, caller: Principal, project_id: str) -> Task:
        project = await self.get(caller, project_id)
        return await self._tasks.get(caller, project.active_task_id)

    async def get_stoppable_task(self, caller: Principal, task_id: str) -> Task:
        """A task whose build can be stopped, or was. WrongState for one that is over, or of another kind."""
        task = await self._tasks.get(caller, task_id)
        if task.status == "cancelled":
            return task
        if task.project_id is None or task.task_type == "purge":
            raise WrongState("This task cannot be stopped.", status=task.status)
        if (await self.get(caller, task.project_id)).active_task_id != task_id:
            raise WrongState(f"The task is over: it is {task.status}.", status=task.status)
        return task

    async def stream_build_events(self, caller: Principal, project_id: str, after: int = 0) -> AsyncIterator[Batch]:
        """The events of the current build, up to its end. Beyond when the position is of another build: this one is not as far."""
        project = await self._get_project_at_position(caller, project_id, after)
        return self._events.follow_events(make_feed_topic(project_id, project.build_no), after, ends=ENDINGS)

    async def delete_build_events(self, build: Build) -> None:
        await self._events.delete_feed(make_feed_topic(build.project_id, build.build_no))

    async def has_read_all_events(self, caller: Principal, project_id: str, after: int) -> bool:
        """Whether the build is over and a reader at this position has seen its end, or all that is still kept of it.
        Beyond as in `stream_build_events`."""
        project = await self._get_project_at_position(caller, project_id, after)
        over = project.status in OVER
        return over and not await self._events.read_events(
            make_feed_topic(project_id, project.build_no), after, limit=1
        )

    async def _get_project_at_position(self, caller: Principal, project_id: str, after: int) -> Project:
        project = await self.get(caller, project_id)
        if after > project.events:
            message = (
                f"The build has {project.events} events: it is not at position {after}, which is of another build."
            )
            raise Beyond(message, after=after, end=project.events)
        return project

    async def list_pending_projects(self, tenant_id: str) -> list[Project]:
        """Those of a tenant that wait for a place, in the order in which they are let in."""
        pending = self._tables.each(PROJECTS, tenant_id, "pending", index="TenantStatusIndex")
        return sorted([project async for project in pending], key=make_admission_sort_key)

    async def find_queue_position(self, caller: Principal, project: Project) -> int | None:
        """How many builds of the tenant are before one that is held: those under way, and those held that are let in sooner. None
        for one that is not held."""
        if project.status != "pending":
            return None
        held, now = (
            await self.list_pending_projects(caller.tenant_id),
            await self._tallies.read_active_tally(caller.tenant_id),
        )
        return now.builds_active + bisect_left(held, make_admission_sort_key(project), key=make_admission_sort_key)

    async def list_files(self, caller: Principal, project_id: str, *, at: str | None = None) -> Sequence[str]:
        await self.get(caller, project_id)
        return await self._repository.list(project_id, at=at)

    async def read_file(self, caller: Principal, project_id: str, path: str, *, at: str | None = None) -> bytes:
        await self.get(caller, project_id)
        return await self._repository.read(project_id, path, at=at)

    async def read_verification_report(self, caller: Principal, project_id: str, *, at: str | None = None) -> bytes:
        """What verification found, as Markdown: one report after the other where there are several agents. NotFound before."""
        paths = [path for path in await self.list_files(caller, project_id, at=at) if REPORT.fullmatch(path)]
        if not paths:
            raise NotFound("There is no report yet.")
        return b"\n".join([await self._repository.read(project_id, path, at=at) for path in paths])

    async def list_commits(self, caller: Principal, project_id: str) -> Sequence[Commit]:
        await self.get(caller, project_id)
        return await self._repository.list_commits(project_id)

    @retry_stale
    async def execute_command(self, caller: Principal, project_id: str, command: Command) -> Project:
        """Pause, resume or stop: idempotent in every state, or WrongState. Takes effect at the next step, or at once where nothing runs."""
        project = await self.get(caller, project_id)
        task = await self._tasks.get(caller, project.active_task_id)
        try:
            verb = rules.find_move_for_command(command, task)
        except WrongState as wrong:
            now = "being stopped" if project.status == "building" else project.status
            told = {"status": project.status, "control_status": project.control_status}
            raise WrongState(f"Cannot {command} what is {now}.", **told) from wrong
        if verb is None:
            return project
        return await self._commit_command(caller, verb, project, task)

    async def _commit_command(self, caller: Principal, verb: str, project: Project, task: Task) -> Project:
        move = await self._admission.admit_or_defer_move(project.tenant_id, rules.MOVES[verb])
        now, position = format_instant(self._clock()), project.events + 1
        wants = move.wants or project.control_status
        fields: dict[str, Any] = {"status": move.to, "control_status": wants, "updated_at": now}
        if move.to != "building":  # why it waited until now tells nothing any more
            fields["error_info"] = None
        ended = {"completed_at": now} if move.to == "cancelled" else {}
        on_task = {"not_before": None} if verb == "resume" else {}  # its user wants it now
        where = make_feed_topic(project.project_id, project.build_no)
        fields |= {"events": position} | ended
        new = structs.replace(project, revision=project.revision + 1, **fields)
        before = await self.find_queue_position(caller, new)
        told = {"control": wants} if before is None else {"control": wants, "position": before}
        moved = self._tasks.executions.make_status_write(task, move.task_to, control_status=wants, **on_task)
        writes = [
            patch(PROJECTS, project, move.make_project_condition(project.events), **fields),
            moved,
            self._events.make_event_write(where, position, move.event, told),
            self._audit.make_audit_write(caller, f"project.{verb}", project.project_id),
            *self._admission.make_quota_writes(project.tenant_id, project.status, move.to),
        ]
        if move.to != "building":  # no executor will write it
            writes += await make_build_update_writes(self._tables.for_caller(caller), self._tallies, project, fields)
        if verb == "resume":
            writes += await self._make_wait_reset_writes(caller, project)
        hit_failpoint("before:project.command")
        await self._tables.commit(*writes)
        hit_failpoint("after:project.command")
        self._tasks.executions.track_control_request(self._tasks.executions.apply_write_to_row(task, moved))
        self._events.notify_feed_readers(where, position)
        self._events.notify_other_systems(*rules.list_build_notifications(new, move.event))
        return new

    async def _make_wait_reset_writes(self, caller: Principal, project: Project) -> list[Write]:
        """Who resumes a build has it wait anew for what was away."""
        if not project.current_stage:
            return []
        stage = await self._tables.for_caller(caller).get(STAGES, project.project_id, project.current_stage)
        return [patch(STAGES, stage, waited=0.0, stalled=0.0)] if stage.waited or stage.stalled else []
