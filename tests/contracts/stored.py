"""What the contract suites store."""

from typing import Any

from msgspec import field

from nexus.domain.ports.rows import Entity, Index, Row, Table


class Job(Entity, frozen=True, kw_only=True):
    job_id: str
    tenant_id: str = "t1"
    user_id: str = "u1"
    status: str = "queued"
    priority: int = 3
    score: float = 0.5
    worker: str | None = None
    fence: int = 0
    not_before: str | None = None
    shard: str | None = None
    due_at: str | None = None
    created_at: str = "2025-01-01T00:00:00.000Z"
    tags: list[str] = field(default_factory=list)
    payload: dict[str, Any] | None = None


class Line(Row, frozen=True, kw_only=True):
    topic: str
    position: int
    text: str = ""


class Tally(Row, frozen=True, kw_only=True):
    scope: str
    day: str
    calls: int = 0
    tokens: int = 0


class Promise(Row, frozen=True, kw_only=True):
    key: str
    answer: str
    expires_at: int


JOBS = Table(
    "jobs",
    Job,
    ("job_id",),
    owner="tenant_id",
    indexes=(
        Index("UserIndex", "user_id", "created_at"),
        Index("UserStatusIndex", "user_id+status", "created_at"),
        Index("PriorityIndex", "tenant_id", "priority"),
        Index("DispatchIndex", "shard", "due_at", keys_only=True),
    ),
)
LINES = Table("lines", Line, ("topic", "position"))
TALLIES = Table("tallies", Tally, ("scope", "day"))
PROMISES = Table("promises", Promise, ("key",), expires="expires_at")
STORED: list[Table[Any]] = [JOBS, LINES, TALLIES, PROMISES]


class Clock:
    """Stands still until moved."""

    def __init__(self) -> None:
        self.now = 4_000_000_000.0

    def __call__(self) -> float:
        return self.now
