"""What an executor does with a build: every write is guarded by the fence it holds."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from nexus.domain.core.errors import QuotaExceeded
from nexus.domain.core.instants import Clock, compute_seconds_between, format_instant
from nexus.domain.core.values import JSON
from nexus.domain.ports.database import Tables, retry_stale
from nexus.domain.ports.rows import Write, patch, when
from nexus.domain.projects import rules
from nexus.domain.projects.admission import Admission
from nexus.domain.projects.model import (
    Build,
    BuildInterrupted,
    Lasting,
    Run,
    Stage,
    StageEffects,
    StageResult,
    WrongState,
)
from nexus.domain.projects.tables import BUILDS, STAGES
from nexus.domain.projects.transitions import BuildTransitions, Change, list_stages, make_build_update_writes
from nexus.domain.tallies.service import Tallies
from nexus.domain.tasks.execution import LeaseLost
from nexus.domain.tasks.model import Task
from nexus.domain.tasks.service import Tasks

LOG_LINES = 20


Left = list[tuple[Stage, dict[str, Any]]]


class TransitionExtras(Struct, frozen=True, kw_only=True):
    """What a move writes besides what the table says: fields by row, and facts of its event; `lease` where the task changes hands."""

    lease: Callable[[Task, str], Write] | None = None
    task: Mapping[str, Any] = {}
    project: Mapping[str, Any] = {}
    stage: Mapping[str, Any] = {}
    told: Mapping[str, Any] = {}


class BuildLeases:
    def __init__(
        self,
        *,
        tables: Tables,
        tasks: Tasks,
        transitions: BuildTransitions,
        admission: Admission,
        tallies: Tallies,
        clock: Clock,
    ) -> None:
        self._tables, self._tasks, self._transitions = tables, tasks, transitions
        self._admission, self._tallies, self._clock = admission, tallies, clock

    async def admit_build(self, task_id: str) -> Run:
        """T2: what was held may be claimed. QuotaExceeded while there is no room; LeaseLost when it is not held any more."""

        async def read_task_and_project() -> Run:
            run = await self._transitions.read_build_run(await self._tasks.read(task_id))
            if not await self._admission.has_room(run.project.tenant_id):
                raise QuotaExceeded("There is no room yet.")
            return run

        return await self._commit_build_transition("admit", read_task_and_project)

    async def claim_build(self, task_id: str, worker_id: str) -> Run:
        """T4: of many who try, one has it. LeaseLost when it is not to be had."""

        async def read_task_and_project() -> Run:
            return await self._transitions.read_build_run(await self._tasks.read(task_id))

        def claim(task: Task, now: str) -> Write:
            return self._tasks.executions.make_claim_write(task, worker_id, started_at=task.started_at or now)

        return await self._commit_build_transition("claim", read_task_and_project, TransitionExtras(lease=claim))

    async def take_over(self, seen: Task, worker_id: str) -> Run:
        """T5: from a worker whose heartbeat did not move while it was watched. LeaseLost when it moved after all."""
        fallen = {"fallen": True} if seen.worker_id != worker_id else {}  # what we dropped ourselves did not die
        extras = TransitionExtras(
            lease=lambda _, now: self._tasks.executions.make_takeover_write(seen, worker_id), stage=fallen
        )
        return await self._commit_build_transition("take_over", lambda: self._read_unchanged_run(seen), extras)

    async def resume_build(self, task_id: str, worker_id: str) -> Run:
        """The run of a task that this worker took over already, or claims now."""
        task = await self._tasks.read(task_id)
        if task.status == "running" and task.worker_id == worker_id:
            return await self._transitions.read_build_run(task)
        return await self.claim_build(task_id, worker_id)

    async def end_build_for_lost_process(self, seen: Task) -> None:
        """T15 or T20 in place of a worker that did not answer to a request: it can write no more."""
        verb = "pause_done" if seen.control_status == "paused" else "stop_done"
        await self._commit_build_transition(verb, lambda: self._read_unchanged_run(seen, beating=True))

    async def _read_unchanged_run(self, seen: Task, *, beating: bool = False) -> Run:
        task = await self._tasks.read(seen.task_id)
        if task.fence != seen.fence or task.status != "running" or (task.heartbeat != seen.heartbeat and not beating):
            raise LeaseLost(f"Task {task.task_id} moved meanwhile.", status=task.status)
        return await self._transitions.read_build_run(task)

    async def reload_run(self, run: Run) -> Run:
        """The run as it stands in the store. LeaseLost when its fence has fallen."""
        return await self._transitions.reload_build_run(run)

    async def build(self, run: Run) -> Build:
        return await self._tables.get(BUILDS, run.project.project_id, run.project.build_no)

    def make_lease_guard(self, run: Run) -> Write:
        """What holds while the run is ours: beside it, other modules may write for the run."""
        return self._tasks.executions.make_guard_write(run.task)

    async def list_stages(self, run: Run) -> list[Stage]:
        return await list_stages(self._tables, run.project.project_id)

    async def start_stage(self, run: Run, stage: Stage) -> Stage:
        """T6. The attempt grows only when one failed, so a restart of the host costs none. BuildInterrupted when that is what is wanted."""
        now, attempt = format_instant(self._clock()), max(1, stage.attempt)
        fields = {"fence": run.task.fence, "attempt": attempt, "started_at": stage.started_at or now}
        fields |= {"fallen": False, "deaths": stage.deaths, "journal_from": {}}
        change = Change(project={"current_stage": stage.stage_name}, told={"attempt": attempt})
        return await self._commit_stage_transition("start_stage", run, stage, change, **fields)

    async def complete_stage(
        self, run: Run, stage: Stage, result: StageResult, *, progress: float, effects: StageEffects = StageEffects()
    ) -> None:
        """T7: the stage, the project's progress, what the stage makes of other modules' rows, and the event: once, or not at all."""
        now = format_instant(self._clock())
        seconds = compute_seconds_between(stage.started_at or now, now)
        fields = {"completed_at": now, "duration_seconds": seconds, "error_message": None}
        told = {"progress": progress, "seconds": seconds, "summary": result.output_data.get("summary"), **effects.told}
        change = Change(
            project={"progress": progress, **effects.project},
            writes=effects.writes,
            told=told,
            notifications=effects.notifications,
        )
        await self._commit_stage_transition("complete_stage", run, stage, change, **structs.asdict(result), **fields)

    async def skip_stage(
        self, run: Run, stage: Stage, reason: str, *, progress: float, lasting: Lasting = Lasting()
    ) -> None:
        """T9: only what is optional."""
        if not stage.optional:
            raise WrongState(f"Stage {stage.stage_name} is not optional.", status=stage.status)
        fields = structs.asdict(lasting) | {
            "completed_at": format_instant(self._clock()),
            "output_data": {"summary": reason},
        }
        change = Change(project={"progress": progress}, told={"reason": reason, "progress": progress})
        await self._commit_stage_transition("skip_stage", run, stage, change, **fields)

    async def retry_stage(self, run: Run, stage: Stage, reason: str, *, journal_from: Mapping[str, int] = {}) -> Stage:
        """T10: the stage's work failed and may be tried again; this is what an attempt is spent on."""
        attempt = stage.attempt + 1
        change = Change(told={"attempt": attempt, "reason": reason})
        fields = {"attempt": attempt, "error_message": reason, "journal_from": dict(journal_from)}
        return await self._commit_stage_transition("retry_stage", run, stage, change, **fields)

    async def record_stage_wait(self, run: Run, stage: Stage, line: str, **seconds: float) -> Stage:
        """That the stage lies still because a part of the world is away, and how long that makes in all: it costs no attempt."""
        await self._write_event(run, stage, "stage.log", {"line": line}, error_message=line, **seconds)
        return structs.replace(stage, **seconds)

    async def report_progress(
        self, run: Run, stage: Stage, tag: str, told: JSON, *, logs: Sequence[str] | None = None
    ) -> None:
        """`stage.progress` or `stage.log`; the row keeps the last lines."""
        await self._write_event(run, stage, tag, told, **({} if logs is None else {"logs": list(logs[-LOG_LINES:])}))

    @retry_stale
    async def _write_event(self, run: Run, stage: Stage, tag: str, told: JSON, **fields: Any) -> None:
        running = rules.STAGE_MOVES["complete_stage"].make_stage_condition(run.task)
        writes = [patch(STAGES, stage, running, **fields)] if fields else []
        change = Change(writes=writes, tag=tag, told={"stage": stage.stage_name, **told})
        await self._transitions.commit_change(await self.reload_run(run), change)

    async def finish_build(self, run: Run) -> None:
        """T8. The event tells the verdict, and the requirements that are not met."""
        metrics = (await self.reload_run(run)).project.metrics or {}
        told: JSON = {name: metrics[name] for name in ("verdict", "unmet") if name in metrics}
        await self._commit_build_transition(
            "finish",
            lambda: self.reload_run(run),
            TransitionExtras(project={"progress": 100.0}, task={"result": told or None}, told=told),
        )

    async def fail_build(self, run: Run, error: JSON, *, lasting: Lasting = Lasting()) -> None:
        """T11: `error` holds code, message, stage and whether a retry may help."""
        extras = TransitionExtras(
            task={"error_message": error.get("message")},
            project={"error_info": error},
            stage=structs.asdict(lasting),
            told={"error": error},
        )
        await self._commit_build_transition("fail", lambda: self.reload_run(run), extras)

    async def release_build(
        self, run: Run, *, reason: str | None = None, message: str = "", seconds: float = 0.0
    ) -> None:
        """T12: back into the queue, the attempt unchanged; with a `reason`, not before so many seconds have gone by."""
        executions = self._tasks.executions
        extras = TransitionExtras(
            lease=lambda task, now: executions.make_release_write(task), project={"error_info": None}
        )
        if reason:
            waiting = f"{_add_full_stop(message)}It waits and goes on by itself."
            extras = TransitionExtras(
                lease=lambda task, now: executions.make_snooze_write(task, seconds),
                project={"error_info": {"code": reason, "message": waiting, "retryable": True}},
                told={"reason": reason, "message": message},
            )
        await self._commit_build_transition("release", lambda: self.reload_run(run), extras)

    async def mark_build_paused(self, run: Run) -> None:
        """T15."""
        await self._commit_build_transition("pause_done", lambda: self.reload_run(run))

    async def mark_build_stopped(self, run: Run) -> None:
        """T20."""
        await self._commit_build_transition("stop_done", lambda: self.reload_run(run))

    @retry_stale
    async def _commit_stage_transition(self, verb: str, run: Run, stage: Stage, change: Change, **fields: Any) -> Stage:
        """One transition of a stage out of the table. BuildInterrupted when it is another state that is wanted of the run."""
        move = rules.STAGE_MOVES[verb]
        fields["status"] = move.to
        change = structs.replace(
            change,
            writes=[patch(STAGES, stage, move.make_stage_condition(run.task), **fields), *change.writes],
            tag=move.event,
            told={"stage": stage.stage_name, "number": stage.stage_number, **change.told},
            task=self._tasks.executions.make_guard_write(run.task, move.control),
        )
        held = await self.reload_run(run)
        if (control := held.task.control_status) not in move.control:
            raise BuildInterrupted("The run is to halt.", control=control)
        await self._transitions.commit_change(held, change)
        return structs.replace(stage, revision=stage.revision + 1, **fields)

    @retry_stale
    async def _commit_build_transition(
        self, verb: str, read: Callable[[], Awaitable[Run]], extras: TransitionExtras = TransitionExtras()
    ) -> Run:
        """One joint transition out of the table: project, task, running stage, build, tally and event."""
        move = rules.MOVES[verb]
        at, now = await read(), format_instant(self._clock())
        if not move.is_allowed_in_state(at.project, at.task):
            raise LeaseLost(f"Cannot {verb}: the project is {at.project.status}.", status=at.project.status)
        on_project = {**rules.make_project_changes(move, at.project, now=now), **extras.project}
        left = await self._end_running_stage(at, move, extras)
        after = {stage.stage_name: structs.replace(stage, **fields) for stage, fields in left}
        change = Change(
            project=on_project,
            task=extras.lease(at.task, now)
            if extras.lease
            else self._tasks.executions.make_status_write(at.task, move.task_to, **extras.task),
            writes=[
                *(patch(STAGES, was, when(status="running", fence=was.fence), **fields) for was, fields in left),
                *await make_build_update_writes(self._tables, self._tallies, at.project, on_project, after),
                *self._admission.make_quota_writes(at.project.tenant_id, at.project.status, move.to),
            ],
            tag=move.event,
            told={"project_id": at.project.project_id, "build_no": at.project.build_no, **extras.told},
            on_project=move.make_project_condition(at.project.events),
        )
        return await self._transitions.commit_change(at, change)

    async def _end_running_stage(self, run: Run, move: rules.Move, extras: TransitionExtras) -> Left:
        """The stage that runs, and what becomes of it."""
        if not move.stage_to or not run.project.current_stage:
            return []
        stage = await self._tables.get(STAGES, run.project.project_id, run.project.current_stage)
        if stage.status != "running":
            return []
        error = (extras.project.get("error_info") or {}).get("message")
        return [(stage, {"status": move.stage_to, "error_message": error, **extras.stage})]


def _add_full_stop(text: str) -> str:
    return f"{text.rstrip('.')}. " if text else ""
