"""Where tasks are kept."""

from nexus.domain.ports.rows import Index, Table
from nexus.domain.tasks.execution import LeaseTable
from nexus.domain.tasks.model import Task

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
TASK_LEASES = LeaseTable(
    TASKS,
    places={
        "running": [f"running#{number}" for number in range(8)],
        "queued": [f"queued#{number}" for number in range(8)],
        "pending": [f"held#{number}" for number in range(4)],
    },
)
"""Each state has partitions of its own, so that the many that are queued do not stand before the few whose worker died. Builds are far
fewer than replies, and every partition costs each idle process a query a round: so half as many. Places are only ever added."""
