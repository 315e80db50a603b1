"""Where tasks are kept."""

from nexus.domain.ports.rows import Index, Table
from nexus.domain.tasks.execution import LeaseTable
from nexus.domain.tasks.model import Task
from nexus.domain.tasks.rules import SHARDS

TASKS = Table(
    "tasks",
    Task,
    ("task_id",),
    owner="tenant_id",
    indexes=(
        Index("StatusIndex", "status", "created_at", keys_only=True),
        Index("ProjectIndex", "project_id", "created_at"),
        Index("UserIndex", "user_id", "created_at"),
        Index("DispatchIndex", "dispatch", "due_at", keys_only=True),
    ),
)
TASK_LEASES = LeaseTable(TASKS, places=SHARDS)
