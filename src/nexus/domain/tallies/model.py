"""Counters."""

from msgspec import structs

from nexus.domain.ports.rows import Row

TOTAL = "total"
NOW = "now"


class Tally(Row, frozen=True, kw_only=True):
    """What a tenant has (`day="total"`), did on a day (`2026-01-31`), or has under way (`day="now"`: `builds_active`, `builds_held`).
    The tokens without `build` are those of invocations. As stored, a shard of that: `total#07`, `2026-01-31#07`; only `now`, which is
    changed under a condition on its sum, is one row."""

    tenant_id: str
    day: str
    projects: int = 0
    agents: int = 0
    sessions: int = 0
    messages: int = 0
    builds_started: int = 0
    builds_completed: int = 0
    builds_failed: int = 0
    builds_cancelled: int = 0
    builds_active: int = 0
    builds_held: int = 0
    build_seconds: int = 0
    build_input_tokens: int = 0
    build_output_tokens: int = 0
    invocations: int = 0
    invocations_failed: int = 0
    invocation_ms: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


COUNTERS = tuple(field.name for field in structs.fields(Tally) if field.type is int)
