"""Tasks: background work that users can see."""

from typing import Literal

from msgspec import Struct

from nexus.wire.values import JSON

TaskType = Literal["build_agent", "update_agent", "build_tool", "deploy_agent", "invoke_agent", "purge"]
TaskStatus = Literal["pending", "queued", "running", "completed", "failed", "cancelled"]


class TaskView(Struct, frozen=True, kw_only=True):
    """`status` is what is, `control_status` what is wanted."""

    task_id: str
    task_type: TaskType
    project_id: str | None
    build_no: int
    status: TaskStatus
    control_status: Literal["running", "paused", "stopped"]
    priority: int
    result: JSON | None
    error_message: str | None
    retry_count: int
    created_at: str
    started_at: str | None
    completed_at: str | None
