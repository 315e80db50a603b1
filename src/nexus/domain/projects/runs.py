"""What an executor does with a build: every write is guarded by the fence it holds."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from nexus.domain.core.failpoints import hit
from nexus.domain.core.instants import Clock, instant, seconds_between
from nexus.domain.events.service import Events
from nexus.domain.ports.database import Tables, Window
from nexus.domain.ports.rows import When, Write, patch, when
from nexus.domain.projects import rules
from nexus.domain.projects.model import JSON, Halted, Lost, Project, Run, Settled, Stage, StageResult, WrongState
from nexus.domain.projects.tables import BUILDS, PROJECTS, STAGES
from nexus.domain.tallies.service import Tallies
from nexus.domain.tasks.model import Task
from nexus.domain.tasks.rules import LEASE_SECONDS
from nexus.domain.tasks.service import Tasks

LOG_LINES = 20


class Change(Struct, frozen=True, kw_only=True):
    """One commit of a run: fields of the project and the task, other writes, and the event that tells it."""

    project: Mapping[str, Any] = {}
    task: Mapping[str, Any] = {}
    writes: Sequence[Write] = ()
    tag: str
    told: JSON = {}
    on_project: When | None = None
    on_task: When | None = None


class Runs:
    def __init__(self, *, tables: Tables, tasks: Tasks, events: Events, tallies: Tallies, clock: Clock) -> None:
        self._tables, self._tasks, self._events, self._tallies, self._clock = tables, tasks, events, tallies, clock

    async def claim(self, task_id: str, worker_id: str) -> Run:
        """T4: of many who try, one has it. Lost when it is not to be had."""

        async def look() -> Run:
            task = await self._tasks.read(task_id)
            if task.not_before and task.not_before > instant(self._clock()):
                raise Lost("It is not due yet.", status=task.status, not_before=task.not_before)
            return Run(project=await self._project(task), task=task)

        return await self._moved("claim", look, task={"worker_id": worker_id})

    async def take_over(self, seen: Task, worker_id: str) -> Run:
        """T5: from an executor whose heartbeat did not move while it was watched. Lost when it moved after all."""
        return await self._moved("take_over", lambda: self._unmoved(seen), task={"worker_id": worker_id})

    async def resume(self, task_id: str, worker_id: str) -> Run:
        """The run of a task that this executor took over already, or claims now."""
        task = await self._tasks.read(task_id)
        if task.status == "running" and task.worker_id == worker_id:
            return Run(project=await self._project(task), task=task)
        return await self.claim(task_id, worker_id)

    async def end_for(self, seen: Task) -> None:
        """T15 or T20 in place of an executor that did not answer to a wish: the fence rises, so that it can write no more."""
        verb = "pause_done" if seen.control_status == "paused" else "stop_done"
        fallen: JSON = {"fence": seen.fence + 1, "worker_id": None}
        await self._moved(verb, lambda: self._unmoved(seen, beating=True), task=fallen)

    async def _unmoved(self, seen: Task, *, beating: bool = False) -> Run:
        task = await self._tasks.read(seen.task_id)
        if task.fence != seen.fence or task.status != "running" or (task.heartbeat != seen.heartbeat and not beating):
            raise Lost(f"Task {task.task_id} moved meanwhile.", status=task.status)
        return Run(project=await self._project(task), task=task)

    async def held(self, run: Run) -> Run:
        """The run as it stands in the store. Lost when its fence has fallen."""
        task = await self._tasks.read(run.task.task_id)
        if task.fence != run.task.fence or task.status != "running":
            raise Lost(f"Task {task.task_id} is {task.status} under fence {task.fence}.", status=task.status)
        return Run(project=await self._project(task), task=task)

    async def workflow(self, run: Run) -> str:
        """The name of the workflow that the build follows."""
        return (await self._tables.get(BUILDS, run.project.project_id, run.project.build_no)).workflow

    def guard(self, run: Run) -> Write:
        """What holds while the run is ours: beside it, other modules may write for the run."""
        return self._tasks.holding(run.task, when(fence=run.task.fence, status="running"))

    async def stages(self, run: Run) -> list[Stage]:
        rows = (await self._tables.page(STAGES, run.project.project_id, window=Window(limit=100))).items
        return sorted(rows, key=lambda stage: stage.stage_number)

    async def start_stage(self, run: Run, stage: Stage) -> Stage:
        """T6. The attempt grows only when one failed, so a restart of the host costs none. Halted when that is what is wanted."""
        now, attempt = instant(self._clock()), max(1, stage.attempt)
        fields = {
            "status": "running",
            "fence": run.task.fence,
            "attempt": attempt,
            "started_at": stage.started_at or now,
        }
        pending = when(status="pending", build_no=run.project.build_no)
        told = {"stage": stage.stage_name, "number": stage.stage_number, "attempt": attempt}
        change = Change(
            project={"current_stage": stage.stage_name},
            writes=[patch(STAGES, stage, pending, **fields)],
            on_task=when(fence=run.task.fence, status="running", control_status="running"),
            tag="stage.started",
            told=told,
        )

        async def begun() -> Run:
            held = await self.held(run)
            if (control := held.task.control_status) != "running":
                raise Halted("The run is to halt.", control=control)
            return await self._written(held, change)

        await self._tables.settle(begun)
        return structs.replace(stage, revision=stage.revision + 1, **fields)

    async def complete_stage(
        self, run: Run, stage: Stage, result: StageResult, *, progress: float, settled: Settled = Settled()
    ) -> None:
        """T7: the stage, the project's progress, what the stage makes of other modules' rows, and the event: once, or not at all."""
        now = instant(self._clock())
        fields = structs.asdict(result) | {
            "status": "completed",
            "completed_at": now,
            "duration_seconds": seconds_between(stage.started_at or now, now),
            "error_message": None,
        }
        told = {"stage": stage.stage_name, "number": stage.stage_number, "progress": progress}
        told |= {"seconds": fields["duration_seconds"], "summary": result.output_data.get("summary")}
        change = Change(
            project={"progress": progress, **settled.project},
            writes=[patch(STAGES, stage, self._running(run), **fields), *settled.writes],
            tag="stage.completed",
            told=told,
        )
        await self._commit(run, change)

    async def skip_stage(self, run: Run, stage: Stage, reason: str, *, progress: float) -> None:
        """T9: only what is optional."""
        if not stage.optional:
            raise WrongState(f"Stage {stage.stage_name} is not optional.", status=stage.status)
        fields = {"status": "skipped", "completed_at": instant(self._clock()), "output_data": {"summary": reason}}
        change = Change(
            project={"progress": progress, "current_stage": stage.stage_name},
            writes=[patch(STAGES, stage, when(status=("pending", "running"), build_no=run.project.build_no), **fields)],
            tag="stage.skipped",
            told={"stage": stage.stage_name, "number": stage.stage_number, "reason": reason, "progress": progress},
        )
        await self._commit(run, change)

    async def retry_stage(self, run: Run, stage: Stage, reason: str) -> Stage:
        """T10: the stage's work failed and may be tried again; this is what an attempt is spent on."""
        fields = {"status": "pending", "attempt": stage.attempt + 1, "error_message": reason}
        told = {"stage": stage.stage_name, "attempt": stage.attempt + 1, "reason": reason}
        change = Change(writes=[patch(STAGES, stage, self._running(run), **fields)], tag="stage.retried", told=told)
        await self._commit(run, change)
        return structs.replace(stage, revision=stage.revision + 1, **fields)

    async def tell(self, run: Run, stage: Stage, tag: str, told: JSON, *, logs: Sequence[str] | None = None) -> None:
        """`stage.progress` or `stage.log`; the row keeps the last lines."""
        writes = [] if logs is None else [patch(STAGES, stage, self._running(run), logs=list(logs[-LOG_LINES:]))]
        await self._commit(run, Change(writes=writes, tag=tag, told={"stage": stage.stage_name, **told}))

    async def finish(self, run: Run) -> None:
        """T8."""
        await self._moved("finish", lambda: self.held(run), project={"progress": 100.0})

    async def fail(self, run: Run, error: JSON) -> None:
        """T11: `error` holds code, message, stage and whether a retry may help."""
        on_task = {"error_message": error.get("message")}
        await self._moved(
            "fail", lambda: self.held(run), task=on_task, project={"error_info": error}, told={"error": error}
        )

    async def release(self, run: Run, *, reason: str | None = None, seconds: float = 0.0) -> None:
        """T12: back into the queue, the attempt unchanged; with a `reason`, not before so many seconds have gone by."""
        waits = {"not_before": self._in(seconds), "due_at": self._in(seconds)} if reason else {}
        error = (
            {"code": reason, "message": f"It waits and goes on by itself: {reason}.", "retryable": True}
            if reason
            else None
        )
        await self._moved(
            "release",
            lambda: self.held(run),
            task={"worker_id": None, **waits},
            project={"error_info": error},
            told={"reason": reason} if reason else None,
        )

    async def pause_done(self, run: Run) -> None:
        """T15."""
        await self._moved("pause_done", lambda: self.held(run), task={"worker_id": None})

    async def stop_done(self, run: Run) -> None:
        """T20."""
        await self._moved("stop_done", lambda: self.held(run), task={"worker_id": None})

    async def _moved(
        self,
        verb: str,
        look: Callable[[], Awaitable[Run]],
        *,
        task: Mapping[str, Any] | None = None,
        project: Mapping[str, Any] | None = None,
        told: Mapping[str, Any] | None = None,
    ) -> Run:
        """One joint transition out of the table: project, task, running stage, build, tally and event."""
        move = rules.MOVES[verb]

        async def attempt() -> Run:
            at, now = await look(), instant(self._clock())
            if not move.fits(at.project, at.task):
                raise Lost(f"Cannot {verb}: the project is {at.project.status}.", status=at.project.status)
            on_project, on_task = rules.times(move, at.project, at.task, now=now, lease_until=self._in(LEASE_SECONDS))
            on_project |= project or {}
            change = Change(
                project=on_project,
                task={**on_task, **(task or {})},
                writes=[
                    *await self._stage_writes(at, move.stage_to, on_project),
                    await self._build_write(at, on_project),
                    *self._counted(move, at.project.tenant_id),
                ],
                tag=move.event or "control.changed",
                told={"project_id": at.project.project_id, "build_no": at.project.build_no, **(told or {})},
                on_project=move.of_project(at.project.events),
                on_task=move.of_task(at.task),
            )
            return await self._written(at, change)

        return await self._tables.settle(attempt)

    def _counted(self, move: rules.Move, tenant_id: str) -> list[Write]:
        if not move.counts:
            return []
        return [*self._tallies.counting(tenant_id, **{move.counts: 1}), self._tallies.leaving(tenant_id)]

    async def _stage_writes(self, run: Run, to: str | None, project: Mapping[str, Any]) -> list[Write]:
        if not to or not run.project.current_stage:
            return []
        stage = await self._tables.get(STAGES, run.project.project_id, run.project.current_stage)
        if stage.status != "running":
            return []
        error = (project.get("error_info") or {}).get("message")
        return [patch(STAGES, stage, when(status="running", fence=stage.fence), status=to, error_message=error)]

    async def _build_write(self, run: Run, project: Mapping[str, Any]) -> Write:
        build = await self._tables.get(BUILDS, run.project.project_id, run.project.build_no)
        fields = {name: project[name] for name in ("status", "started_at", "completed_at") if name in project}
        if project["status"] in ("completed", "failed", "cancelled"):
            fields |= rules.summary(await self.stages(run))
        return patch(BUILDS, build, **fields)

    async def _commit(self, run: Run, change: Change) -> Run:
        async def attempt() -> Run:
            return await self._written(await self.held(run), change)

        return await self._tables.settle(attempt)

    async def _written(self, at: Run, change: Change) -> Run:
        """The one place where a run's changes are committed: beside its event, under its fence, at its position."""
        position = at.project.events + 1
        fields = {**change.project, "events": position, "updated_at": instant(self._clock())}
        on_project = change.on_project or when(status="building", events=at.project.events)
        on_task = change.on_task or when(fence=at.task.fence, status="running")
        hit(f"before:{change.tag}")
        await self._tables.commit(
            patch(PROJECTS, at.project, on_project, **fields),
            self._tasks.moving(at.task, on_task, **change.task)
            if change.task
            else self._tasks.holding(at.task, on_task),
            *change.writes,
            self._events.telling(at.topic, position, change.tag, change.told),
        )
        hit(f"after:{change.tag}")
        self._events.wake(at.topic)
        project = structs.replace(at.project, revision=at.project.revision + 1, **fields)
        return Run(project=project, task=structs.replace(at.task, **change.task))

    async def _project(self, task: Task) -> Project:
        return await self._tables.get(PROJECTS, task.project_id or "")

    def _running(self, run: Run) -> When:
        return when(status="running", fence=run.task.fence, build_no=run.project.build_no)

    def _in(self, seconds: float) -> str:
        return instant(self._clock() + seconds)
