"""Projects, their builds, stages and files."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from nexus.wire.agents import Verdict
from nexus.wire.tasks import TaskView
from nexus.wire.values import JSON

ProjectStatus = Literal["pending", "queued", "building", "completed", "failed", "paused", "cancelled"]
StageStatus = Literal["pending", "running", "completed", "failed", "skipped"]
Control = Literal["running", "paused", "stopped"]

Requirement = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=10_000,
        description="What the agent is to do: at least ten characters, of which a Chinese one counts two.",
        examples=["An agent that answers questions about Chinese income tax and computes it"],
    ),
]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
Tag = Annotated[str, Meta(min_length=1, max_length=50)]
AcceptPartial = Annotated[
    bool, Meta(description="Deploy the agent also when it does not meet all requirements; else only when it passed.")
]
Priority = Annotated[int, Meta(ge=1, le=5, description="5 is built first.")]


class NewProject(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    requirement: Requirement
    project_name: Name | None = None
    priority: Priority = 3
    tags: Annotated[list[Tag], Meta(max_length=20)] = []
    accept_partial: AcceptPartial = False
    user_name: Annotated[str, Meta(max_length=100)] = ""


class ProjectStarted(Struct, frozen=True, kw_only=True):
    """A build goes on behind this answer: its task, and where its events are. `position`, of one that is `pending` because there is no
    place for it yet: how many of your tenant's builds were before it when it was asked for."""

    project_id: str
    task_id: str
    project_name: str
    status: ProjectStatus
    position: int | None = None
    created_at: str
    events_url: str


class ControlCommand(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`from_stage` goes with `restart` alone: the first stage that is done again."""

    action: Literal["pause", "resume", "stop", "retry", "restart"]
    from_stage: Annotated[str, Meta(min_length=1, max_length=100)] | None = None


class ProjectDeleted(Struct, frozen=True, kw_only=True):
    """The project is gone; the task deletes what it kept."""

    project_id: str
    task_id: str


class ProjectView(Struct, frozen=True, kw_only=True):
    """`status` is what is, `control_status` what is wanted; `active_task_id` is the task of the current build. `position`, of one that is
    `pending` because there is no place for it yet: how many of your tenant's builds are before it now (those that are queued or run, and those
    that wait and will be let in sooner). It is told where one project is read; in lists and after commands it is null. `verdict`: what
    verification said of the build, once it is completed; `metrics` has its numbers and the requirements that are `unmet`."""

    project_id: str
    project_name: str
    kind: Literal["agent", "tool"]
    status: ProjectStatus
    position: int | None = None
    control_status: Control
    requirement: str
    user_id: str
    user_name: str
    priority: int
    tags: list[str]
    accept_partial: bool
    progress: float
    current_stage: str | None
    active_task_id: str
    build_no: int
    agent_ids: list[str]
    error_info: JSON | None
    verdict: Verdict | None
    metrics: JSON | None
    created_at: str
    updated_at: str
    started_at: str | None
    completed_at: str | None


class PartView(Struct, frozen=True, kw_only=True):
    """What a stage did for one agent."""

    agent: str
    status: StageStatus
    attempt: int
    input_tokens: int
    output_tokens: int
    usage_unknown: bool
    tool_calls: int
    duration_seconds: float


class StageView(Struct, frozen=True, kw_only=True):
    project_id: str
    stage_name: str
    stage_number: int
    display_name: str
    optional: bool
    status: StageStatus
    build_no: int
    attempt: int
    agent_name: str | None
    started_at: str | None
    completed_at: str | None
    duration_seconds: float | None
    input_tokens: int
    output_tokens: int
    usage_unknown: bool
    tool_calls: int
    parts: list[PartView]
    output_data: JSON | None
    error_message: str | None
    logs: list[str]


class BuildView(Struct, frozen=True, kw_only=True):
    """One staged making of a project; its sums are there once it is over."""

    build_no: int
    workflow: str
    task_id: str
    status: ProjectStatus
    input_tokens: int
    output_tokens: int
    tool_calls: int
    created_at: str
    started_at: str | None
    completed_at: str | None


class Dashboard(Struct, frozen=True, kw_only=True):
    """Everything about the current build of a project."""

    project: ProjectView
    build: BuildView
    task: TaskView
    stages: list[StageView]
    completed_stages: int
    total_stages: int
    events_url: str


class FileEntry(Struct, frozen=True, kw_only=True):
    path: str
    url: str


class CommitView(Struct, frozen=True, kw_only=True):
    """One entry of the history of a project's files. `key` names what made it (`1/intake`: build, stage)."""

    commit_id: str
    message: str
    key: str
    created_at: str
