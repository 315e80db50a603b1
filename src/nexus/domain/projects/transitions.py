"""The one place where a run's changes are committed: beside their event, under the fence, at the next position."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from nexus.domain.core.failpoints import hit_failpoint
from nexus.domain.core.instants import Clock, compute_seconds_between, format_instant
from nexus.domain.core.values import JSON
from nexus.domain.events.service import Events
from nexus.domain.ports.database import Tables, Window
from nexus.domain.ports.notifications import Notification
from nexus.domain.ports.rows import When, Write, patch, when
from nexus.domain.projects import rules
from nexus.domain.projects.model import OVER, Project, Run, Stage
from nexus.domain.projects.tables import BUILDS, PROJECTS, STAGES
from nexus.domain.tallies.service import Tallies
from nexus.domain.tasks.execution import LeaseLost
from nexus.domain.tasks.model import Task
from nexus.domain.tasks.service import Tasks


class Change(Struct, frozen=True, kw_only=True):
    """One commit of a run: fields of the project, what becomes of its task (a guard where nothing does), other writes, and the event
    (`tag`) that tells it; once it is committed, what is told outside beside the end of a build."""

    project: Mapping[str, Any] = {}
    task: Write | None = None
    writes: Sequence[Write] = ()
    tag: str = ""
    told: JSON = {}
    on_project: When | None = None
    notifications: Sequence[Notification] = ()


async def list_stages(tables: Tables, project_id: str) -> list[Stage]:
    """Those of the current build, in their order."""
    rows = (await tables.read_page(STAGES, project_id, window=Window(limit=100))).items
    return sorted(rows, key=lambda stage: stage.stage_number)


async def make_build_update_writes(
    tables: Tables, tallies: Tallies, project: Project, fields: Mapping[str, Any], left: Mapping[str, Stage] = {}
) -> list[Write]:
    """What the row of the current build keeps of new fields of its project; once it is over, what it keeps of its stages, and what its
    tenant's tallies count. `left` are the stages that change in the same commit."""
    build = await tables.get(BUILDS, project.project_id, project.build_no)
    kept = {name: fields[name] for name in ("status", "started_at", "completed_at") if name in fields}
    if fields["status"] not in OVER:
        return [patch(BUILDS, build, **kept)]
    stages = [left.get(stage.stage_name, stage) for stage in await list_stages(tables, project.project_id)]
    took = compute_seconds_between(build.started_at, fields["completed_at"]) if build.started_at else 0
    counts = {f"builds_{fields['status']}": 1, "build_seconds": round(took)}
    counts |= rules.sum_build_tokens(stages, build.created_at)
    writes = tallies.make_tally_writes(project.tenant_id, **counts)
    return [patch(BUILDS, build, **kept, **rules.summarize_stages(stages)), *writes]


class BuildTransitions:
    def __init__(self, *, tables: Tables, tasks: Tasks, events: Events, clock: Clock) -> None:
        self._tables, self._tasks, self._events, self._clock = tables, tasks, events, clock

    async def read_build_run(self, task: Task) -> Run:
        return Run(project=await self._tables.get(PROJECTS, task.project_id or ""), task=task)

    async def reload_build_run(self, run: Run) -> Run:
        """The run as it stands in the store. LeaseLost when its fence has fallen."""
        task, project = await self._tables.find_rows(
            self._tasks.make_task_row_key(run.task.task_id), (PROJECTS, (run.project.project_id,))
        )
        if task is None or project is None:
            raise LeaseLost("The build is no longer there.")
        if task.fence != run.task.fence or task.status != "running":
            raise LeaseLost(f"Task {task.task_id} is {task.status} under fence {task.fence}.", status=task.status)
        return Run(project=project, task=task)

    async def commit_change(self, at: Run, change: Change) -> Run:
        """Stale when anything has moved since `at` was read."""
        position = at.project.events + 1
        fields = {**change.project, "events": position, "updated_at": format_instant(self._clock())}
        on_project = change.on_project or when(status="building", events=at.project.events)
        task = change.task or self._tasks.executions.make_guard_write(at.task)
        hit_failpoint(f"before:{change.tag}")
        await self._tables.commit(
            patch(PROJECTS, at.project, on_project, **fields),
            task,
            *change.writes,
            self._events.make_event_write(at.topic, position, change.tag, change.told),
        )
        hit_failpoint(f"after:{change.tag}")
        self._events.notify_feed_readers(at.topic, position)
        project = structs.replace(at.project, revision=at.project.revision + 1, **fields)
        self._events.notify_other_systems(*change.notifications, *rules.list_build_notifications(project, change.tag))
        return Run(project=project, task=self._tasks.executions.apply_write_to_row(at.task, task))
