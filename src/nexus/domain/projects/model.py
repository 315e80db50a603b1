"""Projects: what a user asked for, its builds and their stages."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from nexus.domain.agents.model import Verdict
from nexus.domain.core.errors import Conflict
from nexus.domain.core.values import JSON
from nexus.domain.ports.jobs import Job
from nexus.domain.ports.notifications import Notification
from nexus.domain.ports.rows import Entity, Write
from nexus.domain.tasks.model import Control, Task, TaskType

ProjectKind = Literal["agent", "tool"]
ProjectStatus = Literal["pending", "queued", "building", "completed", "failed", "paused", "cancelled"]
StageStatus = Literal["pending", "running", "completed", "failed", "skipped"]
DONE: tuple[StageStatus, ...] = ("completed", "skipped")
OVER: tuple[ProjectStatus, ...] = ("completed", "failed", "cancelled")
ENDINGS = tuple(f"build.{status}" for status in OVER)
"""Tags of the events behind which nothing comes of a build."""
Command = Literal["pause", "resume", "stop", "retry", "restart"]


class Project(Entity, frozen=True, kw_only=True):
    """`events` is the position of its last event; `active_task_id` the task of its current build; `accept_partial`: an agent is deployed
    also when it does not meet all requirements; `metrics` are those of the newest verification."""

    project_id: str
    project_name: str
    kind: ProjectKind = "agent"
    status: ProjectStatus = "queued"
    control_status: Control = "running"
    requirement: str
    tenant_id: str
    user_id: str
    user_name: str = ""
    priority: int = 3
    tags: list[str] = []
    accept_partial: bool = False
    progress: float = 0.0
    current_stage: str | None = None
    active_task_id: str
    build_no: int = 1
    events: int = 0
    agent_ids: list[str] = []
    error_info: JSON | None = None
    metrics: JSON | None = None
    created_at: str
    updated_at: str
    started_at: str | None = None
    completed_at: str | None = None
    deleted_at: str | None = None

    @property
    def verdict(self) -> Verdict | None:
        """What verification said of the build that was completed."""
        return self.metrics.get("verdict") if self.metrics and self.status == "completed" else None


class Part(Struct, frozen=True, kw_only=True):
    """What a stage did for one agent."""

    agent: str
    status: StageStatus = "pending"
    attempt: int = 1
    input_tokens: int = 0
    output_tokens: int = 0
    usage_unknown: bool = False
    tool_calls: int = 0
    duration_seconds: float = 0.0


class Stage(Entity, frozen=True, kw_only=True):
    """A stage of the current build. `output_data` is a summary and pointers, never the output itself.

    `journal_no`: the build under whose number its steps are kept, which is that of the build that is retried; `journal_from`: by part,
    the step from which they are asked anew. The seconds it lay still because a part of the world was away: `waited` for one outside the
    system, `stalled` for one of its own. `fallen`: it ran when its executor died; `deaths`: how often, while none of its steps was in flight.
    """

    project_id: str
    stage_name: str
    tenant_id: str
    user_id: str
    stage_number: int
    display_name: str
    optional: bool = False
    status: StageStatus = "pending"
    build_no: int = 1
    journal_no: int = 1
    fence: int = 0
    attempt: int = 0
    journal_from: dict[str, int] = {}
    waited: float = 0.0
    stalled: float = 0.0
    fallen: bool = False
    deaths: int = 0
    agent_name: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    duration_seconds: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    usage_unknown: bool = False
    tool_calls: int = 0
    parts: list[Part] = []
    output_data: JSON | None = None
    error_message: str | None = None
    logs: list[str] = []


class Build(Entity, frozen=True, kw_only=True):
    """One staged run of making a project; `stages` is a summary once it is over."""

    project_id: str
    build_no: int
    tenant_id: str
    user_id: str
    workflow: str
    task_id: str
    status: ProjectStatus = "queued"
    request: JSON = {}
    stages: list[JSON] = []
    input_tokens: int = 0
    output_tokens: int = 0
    tool_calls: int = 0
    created_at: str
    started_at: str | None = None
    completed_at: str | None = None


class StagePlan(Struct, frozen=True, kw_only=True):
    """A stage as a workflow declares it, as far as the project's rows need to know."""

    name: str
    display_name: str
    optional: bool = False


class WorkflowPlan(NamedTuple):
    """A workflow, as far as rows need to know it."""

    name: str
    task_type: TaskType
    stages: Sequence[StagePlan]


class Run(Struct, frozen=True, kw_only=True):
    """What an executor holds of a build while its fence stands."""

    project: Project
    task: Task

    @property
    def topic(self) -> str:
        return make_feed_topic(self.project.project_id, self.project.build_no)


class StageResult(Struct, frozen=True, kw_only=True):
    """What a finished stage leaves in its row."""

    output_data: JSON
    input_tokens: int = 0
    output_tokens: int = 0
    usage_unknown: bool = False
    tool_calls: int = 0
    parts: list[Part] = []


class Lasting(Struct, frozen=True, kw_only=True):
    """What a try that came to nothing leaves in the row of its stage."""

    input_tokens: int = 0
    output_tokens: int = 0
    usage_unknown: bool = False
    journal_from: dict[str, int] = {}


class StageEffects(Struct, frozen=True, kw_only=True):
    """What a finished stage changes besides its own row, in the same commit: other rows, and fields of the project; and what its event
    tells besides, and what is told outside."""

    writes: Sequence[Write] = ()
    project: Mapping[str, Any] = {}
    told: Mapping[str, Any] = {}
    notifications: Sequence[Notification] = ()


class WrongState(Conflict):
    """A command that the present state does not allow. `facts["status"]` is that state."""

    title = "The project's state does not allow this"


class BuildInterrupted(Conflict):
    """It is no longer wanted that the run goes on. `facts["control"]` is what is wanted instead."""

    title = "Another state is wanted"
    problem_type = "halted"


def make_feed_topic(project_id: str, build_no: int) -> str:
    return f"build:{project_id}/{build_no}"


class FinishDeletion(Job, frozen=True, kw_only=True, tag="projects.purge"):
    task_id: str
