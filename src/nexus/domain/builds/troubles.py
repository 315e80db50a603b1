"""What can go wrong in a stage, and whose trouble it is: the work's own, the house's, or that of a part of the world that is away."""

from typing import Any

from msgspec import Struct

from nexus.domain.core.errors import NexusError, Unavailable
from nexus.domain.runtime.steps import OutcomeUnknown, TookTooLong

OURS = ("storage_full", "database")
"""Reasons of Unavailable that are the house's own and pass: the run lies down as it is."""

STAGE_DEATHS = 5
"""So often may the host die in a stage while none of its steps is in flight, the last times with nothing else in flight."""

SUSPICIOUS_DEATHS = 2
"""From so many on the stage runs alone."""

HOUSE_SECONDS = 60.0
"""In all so long a stage waits for a part of the house that does not answer: git, the code runner. What does not come back then, will not."""

LONG_REST_SECONDS = 15.0
"""What rests longer keeps no executor busy meanwhile."""


class Failure(Struct, frozen=True):
    """Why a try gave nothing. `again`: another attempt may succeed. `away`: no attempt is spent, a part of the world does not answer:
    one `outside` the house, or one of its own."""

    code: str
    message: str
    again: bool = False
    away: bool = False
    outside: bool = False
    retry_after: float | None = None

    def told(self, stage: str) -> dict[str, Any]:
        """As the project says it; `retryable`: its user may have it tried again with some hope."""
        hopeful = self.again or self.away or self.code == OutcomeUnknown.code
        return {"code": self.code, "message": self.message, "retryable": hopeful, "stage": stage}


class Waits(Exception):
    """The run is to lie still for some seconds and go on by itself. `reason` is a word, `message` a sentence."""

    def __init__(self, reason: str, message: str, *, seconds: float) -> None:
        super().__init__(reason)
        self.reason, self.message, self.seconds = reason, message, seconds


def is_ours(error: NexusError) -> bool:
    return isinstance(error, Unavailable) and error.facts.get("reason") in OURS


def failure_of(error: NexusError) -> Failure:
    """What an error of a stage function comes to."""
    facts = error.facts
    if isinstance(error, TookTooLong):
        return Failure("timed_out", error.detail, again=True)
    if isinstance(error, Unavailable):
        code = str(facts.get("code") or facts.get("reason") or facts.get("part") or "unavailable")
        outside, told = facts.get("reason") == "provider", facts.get("retry_after")
        return Failure(
            code, error.detail, away=True, outside=outside, retry_after=None if told is None else float(told)
        )
    if isinstance(error, OutcomeUnknown):
        return Failure(OutcomeUnknown.code, f"{error.detail} You decide: a retry calls it again.")
    return Failure(str(facts.get("code", type(error).__name__)), error.detail)


def poisonous(stage: str, deaths: int) -> Failure:
    return Failure("poisonous", f"The server died {deaths} times in {stage}, outside its model and tool calls.")
