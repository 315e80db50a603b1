"""The joint life of a project, its task and its stages, as data. Every change of state is one commit whose condition is this table inverted."""

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct, structs

from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.notifications import Notification
from nexus.domain.ports.rows import When, when
from nexus.domain.projects.model import (
    DONE,
    ENDINGS,
    OVER,
    Command,
    Project,
    ProjectStatus,
    Stage,
    StageStatus,
    WrongState,
)
from nexus.domain.tasks.execution import ANY_CONTROL, Control
from nexus.domain.tasks.model import ENDED, Task, TaskStatus, TaskType

Actor = Literal["user", "executor", "sweeper"]
Actors = tuple[Actor, ...]
USER: Actors = ("user",)
EXECUTOR: Actors = ("executor",)
SWEEPER: Actors = ("executor", "sweeper")


class Move(Struct, frozen=True, kw_only=True):
    """From which joint states a verb leads where; `task=()`: to a new task.

    `control` is what must be wanted now, `wants` what is wanted afterwards; `fenced` moves hold only for the fence that was read;
    `stage_to` is what becomes of a running stage; `event` tells it. `may_be_held`: leads to `pending` (T2)
    while the tenant has as many builds under way as it may."""

    code: str
    who: Actors
    project: tuple[ProjectStatus, ...]
    to: ProjectStatus
    task: tuple[TaskStatus, ...]
    task_to: TaskStatus
    control: tuple[Control, ...] = ANY_CONTROL
    wants: Control | None = None
    fenced: bool = False
    stage_to: StageStatus | None = None
    event: str = "control.changed"
    may_be_held: bool = False

    def is_allowed_in_state(self, project: Project, task: Task) -> bool:
        return project.status in self.project and task.status in self.task and task.control_status in self.control

    @property
    def starts_build(self) -> bool:
        """Whether a worker takes the task by it, under a higher fence."""
        return self.task_to == "running" and self.who != USER

    def make_project_condition(self, position: int) -> When:
        return when(status=self.project, events=position)


class StageMove(Struct, frozen=True, kw_only=True):
    """What an executor makes of a stage of its run. Holds only for the fence of the run, of its build, and under the wishes of `control`."""

    code: str
    stage: tuple[StageStatus, ...]
    to: StageStatus
    event: str
    control: tuple[Control, ...] = ANY_CONTROL

    def make_stage_condition(self, task: Task) -> When:
        """A stage that runs is the one that was started under the same fence."""
        fence = {"fence": task.fence} if self.stage == ("running",) else {}
        return when(status=self.stage, build_no=task.build_no, **fence)


CREATE = Move(
    code="T1", who=USER, project=(), to="queued", task=(), task_to="queued", event="build.queued", may_be_held=True
)
"""A project and its first build."""

AGAIN: dict[str, Move] = {
    "retry": Move(code="T21", who=USER, project=("failed",), to="queued", task=(), task_to="queued", wants="running",
                  event="build.queued", may_be_held=True),
    "restart": Move(code="T22", who=USER, project=OVER, to="queued", task=(),
                    task_to="queued", wants="running", event="build.queued", may_be_held=True),
    "update": Move(code="T24", who=USER, project=OVER, to="queued", task=(),
                   task_to="queued", wants="running", event="build.queued", may_be_held=True),
}  # fmt: skip
"""A new build of the same project, with the next number."""

MOVES: dict[str, Move] = {
    "admit": Move(code="T2", who=SWEEPER, project=("pending",), to="queued", task=("pending",), task_to="queued",
                  control=("running",), event="build.queued"),
    "claim": Move(code="T4", who=EXECUTOR, project=("queued",), to="building", task=("queued",), task_to="running",
                  control=("running",), event="build.started"),
    "take_over": Move(code="T5", who=SWEEPER, project=("building",), to="building", task=("running",), task_to="running",
                      control=("running",), fenced=True, stage_to="pending", event="build.started"),
    "finish": Move(code="T8", who=EXECUTOR, project=("building",), to="completed", task=("running",), task_to="completed",
                   fenced=True, event="build.completed"),
    "fail": Move(code="T11", who=SWEEPER, project=("building",), to="failed", task=("running",), task_to="failed",
                 fenced=True, stage_to="failed", event="build.failed"),
    "release": Move(code="T12", who=EXECUTOR, project=("building",), to="queued", task=("running",), task_to="queued",
                    control=("running",), fenced=True, stage_to="pending", event="build.queued"),
    "pause_now": Move(code="T13", who=USER, project=("pending", "queued"), to="paused", task=("pending", "queued"),
                      task_to="pending", wants="paused", event="build.paused"),
    "ask_pause": Move(code="T14", who=USER, project=("building",), to="building", task=("running",), task_to="running",
                      control=("running",), wants="paused"),
    "pause_done": Move(code="T15", who=SWEEPER, project=("building",), to="paused", task=("running",), task_to="pending",
                       control=("paused",), fenced=True, stage_to="pending", event="build.paused"),
    "resume": Move(code="T16", who=USER, project=("paused",), to="queued", task=("pending",), task_to="queued",
                   control=("paused",), wants="running", event="build.queued", may_be_held=True),
    "unpause": Move(code="T17", who=USER, project=("building",), to="building", task=("running",), task_to="running",
                    control=("paused",), wants="running"),
    "stop_now": Move(code="T18", who=USER, project=("pending", "queued", "paused"), to="cancelled",
                     task=("pending", "queued"), task_to="cancelled", wants="stopped", event="build.cancelled"),
    "ask_stop": Move(code="T19", who=USER, project=("building",), to="building", task=("running",), task_to="running",
                     control=("running", "paused"), wants="stopped"),
    "stop_done": Move(code="T20", who=SWEEPER, project=("building",), to="cancelled", task=("running",), task_to="cancelled",
                      control=("stopped",), fenced=True, stage_to="pending", event="build.cancelled"),
}  # fmt: skip
"""Of one build. T3, the hint to an executor that something is queued, changes no row."""

STAGE_MOVES: dict[str, StageMove] = {
    "start_stage": StageMove(code="T6", stage=("pending",), to="running", control=("running",), event="stage.started"),
    "complete_stage": StageMove(code="T7", stage=("running",), to="completed", event="stage.completed"),
    "skip_stage": StageMove(code="T9", stage=("running",), to="skipped", event="stage.skipped"),
    "retry_stage": StageMove(code="T10", stage=("running",), to="pending", event="stage.retried"),
}

ACTIVE: tuple[ProjectStatus, ...] = ("queued", "building")
"""Under way: what a tenant may have so many of. T23: such a project is deleted only when it is told to stop first."""

STOPPABLE: tuple[ProjectStatus, ...] = ("pending", *ACTIVE, "paused")


def make_pending_move(move: Move) -> Move:
    """T2: what a move does instead where the tenant has no place for one more."""
    return structs.replace(move, to="pending", task_to="pending")


def count_active_builds_change(before: ProjectStatus | None, after: ProjectStatus) -> dict[str, int]:
    """What a change of state adds to how many builds a tenant has under way, and how many are held."""
    added = {
        "builds_active": (after in ACTIVE) - (before in ACTIVE),
        "builds_held": (after == "pending") - (before == "pending"),
    }
    return {name: number for name, number in added.items() if number}


_WISHES: dict[Command, Control] = {"pause": "paused", "resume": "running", "stop": "stopped"}
_VERBS: dict[Command, tuple[str, ...]] = {
    "pause": ("pause_now", "ask_pause"),
    "resume": ("resume", "unpause"),
    "stop": ("stop_now", "ask_stop"),
}


def find_move_for_command(command: Command, task: Task) -> str | None:
    """The move that a command means now; None when its wish is met already. Raises WrongState."""
    wish = _WISHES[command]
    if task.control_status == wish and (task.status not in ENDED or (wish, task.status) == ("stopped", "cancelled")):
        return None
    for verb in _VERBS[command]:
        move = MOVES[verb]
        if task.status in move.task and task.control_status in move.control:
            return verb
    raise WrongState(f"Cannot {command} what is {task.status}.", status=task.status, control_status=task.control_status)


def compute_progress_percent(completed: int, of: int) -> float:
    return round(100 * completed / of, 1) if of else 100.0


def check_command_allowed(command: str, project: Project) -> None:
    """Raises WrongState where a new build may not begin."""
    if project.status not in AGAIN[command].project:
        raise WrongState(f"Cannot {command} what is {project.status}.", status=project.status)


def find_first_stage_to_rerun(command: str, stages: Sequence[Stage], from_stage: str | None) -> int:
    """The index of the first stage that a new build runs anew. InvalidInput for a stage that is not there, or not yet reachable."""
    done = next((n for n, stage in enumerate(stages) if stage.status not in DONE), len(stages))
    if from_stage is None:
        return min(done, len(stages) - 1) if command == "retry" else 0
    names = [stage.stage_name for stage in stages]
    if from_stage not in names:
        raise InvalidInput(
            f"There is no stage {from_stage!r}.", errors=[{"pointer": "/from_stage", "message": "unknown stage"}]
        )
    if (wanted := names.index(from_stage)) > done:
        raise InvalidInput(
            f"Stage {from_stage!r} cannot be the first: {names[done]!r} has not been completed.",
            errors=[{"pointer": "/from_stage", "message": "an earlier stage has not been completed"}],
        )
    return wanted


def reset_stage(stage: Stage, build_no: int, *, command: str) -> dict[str, Any]:
    """The fields of a stage that begins again in a new build. A retry goes on with the steps that are done."""
    return {
        "status": "pending",
        "build_no": build_no,
        "journal_no": stage.journal_no if command == "retry" else build_no,
        "journal_from": stage.journal_from if command == "retry" else {},
        "attempt": 0,
        "waited": 0.0,
        "stalled": 0.0,
        "fallen": False,
        "deaths": 0,
        "started_at": None,
        "completed_at": None,
        "duration_seconds": None,
        "input_tokens": 0,
        "output_tokens": 0,
        "usage_unknown": False,
        "tool_calls": 0,
        "parts": [],
        "output_data": None,
        "error_message": None,
        "logs": [],
    }


def make_project_changes(move: Move, project: Project, *, now: str) -> dict[str, Any]:
    """The state and the instants that a move sets in the project."""
    fields: dict[str, Any] = {"status": move.to}
    if move.starts_build:
        fields |= {"started_at": project.started_at or now, "error_info": None}
    if move.task_to in ENDED:
        fields["completed_at"] = now
    return fields


def summarize_stages(stages: Sequence[Stage]) -> dict[str, Any]:
    """What a build's row keeps of its stages once it is over."""
    return {
        "stages": [
            {
                "stage": stage.stage_name,
                "status": stage.status,
                "attempt": stage.attempt,
                "seconds": stage.duration_seconds,
                "input_tokens": stage.input_tokens,
                "output_tokens": stage.output_tokens,
                "tool_calls": stage.tool_calls,
            }
            for stage in stages
        ],
        "input_tokens": sum(stage.input_tokens for stage in stages),
        "output_tokens": sum(stage.output_tokens for stage in stages),
        "tool_calls": sum(stage.tool_calls for stage in stages),
    }


def sum_build_tokens(stages: Sequence[Stage], since: str) -> dict[str, int]:
    """The tokens of those stages that a build ran itself; those of an earlier one that it kept were completed before it was asked for."""
    own = [stage for stage in stages if not stage.completed_at or stage.completed_at >= since]
    return {
        "build_input_tokens": sum(stage.input_tokens for stage in own),
        "build_output_tokens": sum(stage.output_tokens for stage in own),
    }


def make_restart_changes(project: Project, move: Move, task_id: str, *, progress: float, now: str) -> dict[str, Any]:
    """The fields of a project whose next build begins; when it starts is told by its first claim."""
    return {
        "status": move.to,
        "control_status": "running",
        "build_no": project.build_no + 1,
        "active_task_id": task_id,
        "events": project.events + 1,
        "progress": progress,
        "current_stage": None,
        "error_info": None,
        "started_at": None,
        "completed_at": None,
        "updated_at": now,
    }


def make_build_task(project: Project, task_type: TaskType, *, status: TaskStatus) -> Task:
    """The task of the project's current build."""
    return Task(
        task_id=project.active_task_id,
        task_type=task_type,
        tenant_id=project.tenant_id,
        user_id=project.user_id,
        project_id=project.project_id,
        priority=project.priority,
        build_no=project.build_no,
        payload={"project_id": project.project_id, "build_no": project.build_no},
        status=status,
        created_at=project.updated_at,
    )


def list_build_notifications(project: Project, tag: str) -> Sequence[Notification]:
    """What is told outside of an event of the current build: its end, and nothing else."""
    if tag not in ENDINGS:
        return ()
    end = Notification(
        type=tag,
        tenant_id=project.tenant_id,
        user_id=project.user_id,
        project_id=project.project_id,
        build_no=project.build_no,
        task_id=project.active_task_id,
        agent_ids=project.agent_ids,
        status=project.status,
        at=project.completed_at or project.updated_at,
    )
    return [end]
