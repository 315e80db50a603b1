"""Steps: one model or tool call of a piece of work, as it is remembered."""

from typing import Literal

from msgspec import Struct

from nexus.domain.core.errors import Conflict, Unavailable
from nexus.domain.ports.models import StopReason, ToolCall, Usage
from nexus.domain.ports.rows import Entity

ALONE_DEATHS = 3
"""So often may the process die while it runs a step with nothing else in flight; then the step is given up."""


StepKind = Literal["model", "tool"]


class Step(Entity, frozen=True, kw_only=True):
    """The call at place `ordinal` of a scope (`build:<project>/<build_no>/<stage>`, `reply:<id>`).

    `digest` is that of what was asked; `result` is JSON, present once it is finished. `deaths` counts the processes that died under it; one that
    was `cut` on purpose is no death. `lost`: what some call at this place cost is not known."""

    scope: str
    ordinal: int
    kind: StepKind
    name: str
    digest: str
    result: str | None = None
    deaths: int = 0
    cut: bool = False
    lost: bool = False
    created_at: str
    expires_at: int


class ModelResult(Struct, frozen=True, kw_only=True):
    """The result of a model call."""

    text: str
    reasoning: str = ""
    stop: StopReason
    calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None


class ToolResult(Struct, frozen=True, kw_only=True):
    """The result of a tool call: JSON text; where `ok` is false, what went wrong."""

    ok: bool
    result: str
    seconds: float


class OutcomeUnknown(Conflict):
    """The process died while a tool was changing the world: whether it did is not known, and it is not done again."""

    title = "The outcome of a tool call is unknown"
    code = "outcome_unknown"


class TookTooLong(Unavailable):
    """The agent did not come to an end within its own limits."""

    title = "The answer took too long"


class Poisonous(Conflict):
    """Every process that runs this step dies."""

    title = "The step was given up"
