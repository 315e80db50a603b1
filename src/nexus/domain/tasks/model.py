"""Tasks: the ledger of background work that users can see."""

from typing import Literal

from nexus.domain.core.values import JSON
from nexus.domain.ports.rows import Entity

TaskType = Literal["build_agent", "update_agent", "build_tool", "deploy_agent", "invoke_agent", "purge"]
TaskStatus = Literal["pending", "queued", "running", "completed", "failed", "cancelled"]
Control = Literal["running", "paused", "stopped"]


class Task(Entity, frozen=True, kw_only=True):
    """Work in the background. `status` is what is, `control_status` what is wanted.

    `fence` grows with every claim and guards every write of the run; `heartbeat` grows while the run lives, so that an observer can judge
    by its own clock; `dispatch` and `due_at` place it before the sweeper while it has not ended.
    """

    task_id: str
    task_type: TaskType
    tenant_id: str
    user_id: str
    project_id: str | None = None
    status: TaskStatus = "queued"
    control_status: Control = "running"
    priority: int = 3
    payload: JSON = {}
    result: JSON | None = None
    error_message: str | None = None
    retry_count: int = 0
    build_no: int = 1
    fence: int = 0
    heartbeat: int = 0
    not_before: str | None = None
    dispatch: str | None = None
    due_at: str | None = None
    worker_id: str | None = None
    created_at: str
    started_at: str | None = None
    completed_at: str | None = None


ENDED: frozenset[TaskStatus] = frozenset({"completed", "failed", "cancelled"})
