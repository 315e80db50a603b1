"""Tasks: the ledger of background work that users can see."""

from typing import Literal

from nexus.domain.core.values import JSON
from nexus.domain.tasks.execution import Control as Control
from nexus.domain.tasks.execution import LeaseRow

TaskType = Literal["build_agent", "update_agent", "build_tool", "deploy_agent", "invoke_agent", "purge"]
TaskStatus = Literal["pending", "queued", "running", "completed", "failed", "cancelled"]


class Task(LeaseRow, frozen=True, kw_only=True):
    """Work in the background, as its user sees it."""

    task_id: str
    task_type: TaskType
    user_id: str
    project_id: str | None = None
    status: TaskStatus = "queued"
    payload: JSON = {}
    result: JSON | None = None
    build_no: int = 1
    started_at: str | None = None

    @property
    def retry_count(self) -> int:
        return self.deaths


ENDED: frozenset[TaskStatus] = frozenset({"completed", "failed", "cancelled"})
