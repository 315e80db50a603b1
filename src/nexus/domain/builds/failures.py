"""What can go wrong in a stage, and whose trouble it is: its own, the server's, or that of a part of the world that is away."""

from typing import Any

from msgspec import Struct

from nexus.domain.core.errors import NexusError, Stale, Unavailable
from nexus.domain.projects.model import Lasting
from nexus.domain.runtime.steps import OutcomeUnknown, TookTooLong

OURS = ("storage_full", "database")
"""Reasons of Unavailable that are the server's own and pass: the run is released as it is."""

STAGE_DEATHS = 10
"""So often may the process die in a stage while none of its steps is in flight, the last times with nothing else in flight."""

SUSPICIOUS_DEATHS = 3
"""From so many on the stage runs alone; every so many, the answer that no process outlived is asked anew."""

INTERNAL_SECONDS = 60.0
"""In all so long a stage waits for a part of the server that does not answer: git, the code runner. What does not come back then, will not."""

LONG_REST_SECONDS = 15.0
"""What rests longer keeps no process busy meanwhile."""


class Failure(Struct, frozen=True, kw_only=True):
    """Why a try gave nothing. `again`: another attempt may succeed. `away`: no attempt is spent, a part of the world does not answer:
    one `outside` the server, or one of its own. `progressed`: something was paid for before. `lasting` stays in the stage's row."""

    code: str
    message: str
    again: bool = False
    away: bool = False
    outside: bool = False
    retry_after: float | None = None
    progressed: bool = False
    lasting: Lasting = Lasting()

    def make_error_info(self, stage: str) -> dict[str, Any]:
        """As the project says it; `retryable`: its user may have it tried again with some hope."""
        hopeful = self.again or self.away or self.code == OutcomeUnknown.code
        return {"code": self.code, "message": self.message, "retryable": hopeful, "stage": stage}


class Snooze(Exception):
    """The run is to lie still for some seconds and go on by itself. `reason` is a word, `message` a sentence."""

    def __init__(self, reason: str, message: str, *, seconds: float) -> None:
        super().__init__(reason)
        self.reason, self.message, self.seconds = reason, message, seconds


def is_storage_fault(error: NexusError) -> bool:
    return isinstance(error, Unavailable) and error.facts.get("reason") in OURS


def classify_error(error: NexusError) -> Failure:
    """What an error of a stage comes to."""
    facts = error.facts
    if isinstance(error, TookTooLong):
        return Failure(code="timed_out", message=error.detail, again=True)
    if isinstance(error, Unavailable):
        away, told = bool(facts.get("reason") or facts.get("part")), facts.get("retry_after")
        return Failure(
            code=str(facts.get("code") or facts.get("reason") or facts.get("part") or "unavailable"),
            message=error.detail,
            again=not away,
            away=away,
            outside=facts.get("reason") == "provider",
            retry_after=None if told is None else float(told),
        )
    if isinstance(error, OutcomeUnknown):
        return Failure(code=OutcomeUnknown.code, message=f"{error.detail} You decide: a retry calls it again.")
    code = str(facts.get("code", type(error).__name__))
    return Failure(code=code, message=error.detail, again=isinstance(error, Stale))


def make_crash_failure(stage: str, deaths: int) -> Failure:
    told = f"The server died {deaths} times in {stage}, outside its model and tool calls."
    return Failure(code="poisonous", message=told)
