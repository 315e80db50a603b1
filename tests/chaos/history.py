"""What was asked and answered, held against what the log says: each answer must be right for some moment between question and answer."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from nexus.domain.core.instants import parse_instant
from tests.chaos.evidence import Evidence
from tests.chaos.harness import TERMINAL, must

JSON = dict[str, Any]
LAG_SECONDS = 0.5
"""An event says when it was written; it counts once it is committed."""
WISHES = {"pause": "paused", "resume": "running", "stop": "stopped"}
_BECOMES = {
    "build.queued": "queued", "build.started": "building", "build.paused": "paused", "build.completed": "completed",
    "build.failed": "failed", "build.cancelled": "cancelled",
}  # fmt: skip


class Asked(Struct, frozen=True, kw_only=True):
    """A command and its answer. `sent` is when it was tried first. `repeats`: the same was asked just before, and had this answer."""

    project_id: str
    action: str
    key: str
    sent: float
    answered: float
    status: int
    told: JSON
    repeats: "Asked | None" = None

    def __str__(self) -> str:
        told = {name: self.told.get(name) for name in ("build_no", "status", "current_status", "control_status")}
        return f"{self.action} of {self.project_id} at {self.sent:.3f}–{self.answered:.3f}: {self.status} {told}"


class State(Struct, frozen=True):
    """How a build stood, and from when until when that may have been seen."""

    since: float
    until: float
    build_no: int
    status: str
    control: str


def states(evidence: Evidence, project_id: str) -> list[State]:
    """All states of a project, in order."""
    found = list[tuple[float, int, str, str]]()
    builds = [(build["build_no"], events) for build, events in evidence.builds if build["project_id"] == project_id]
    for build_no, events in sorted(builds, key=lambda each: each[0]):
        status, control = "", "running"
        for event in events:
            control = event["data"].get("control") or control
            status = _BECOMES.get(event["tag"], status)
            found.append((parse_instant(event["created_at"]), build_no, status, control))
    ends = [since + LAG_SECONDS for since, *_ in found[1:]] + [float("inf")]
    return [State(since, until, *rest) for (since, *rest), until in zip(found, ends, strict=True)]  # type: ignore[arg-type]  # mixed row


def answers_hold(evidence: Evidence, asked: Sequence[Asked]) -> int:
    """How many answers were looked at."""
    known = {project_id: states(evidence, project_id) for project_id in {one.project_id for one in asked}}
    for one in asked:
        then = [state for state in known[one.project_id] if state.since <= one.answered and state.until >= one.sent]
        must(_is_right(one, then), f"This answer is wrong for every moment of its time: {one}. Then it was: {then}")
        if one.repeats is not None:
            must(_is_same(one, one.repeats, known[one.project_id]), f"Asked twice: {one.repeats}, and then {one}.")
    return len(asked)


def _is_right(one: Asked, then: Sequence[State]) -> bool:
    if one.status == 409:
        told = one.told.get("current_status")
        return any(state.status == told and not _may(one.action, state) for state in then)
    if one.action in WISHES:
        told_ = (one.told["build_no"], one.told["status"], WISHES[one.action])
        met = one.told["control_status"] == WISHES[one.action]
        return met and any((state.build_no, state.status, state.control) == told_ for state in then)
    if one.key and one.repeats is not None and one.repeats.status == 202:
        return True  # the kept answer: held against the first one
    return any((state.build_no, state.status) == (one.told["build_no"], "queued") for state in then)


def _may(action: str, state: State) -> bool:
    """Whether a command is legal."""
    if action == "retry":
        return state.status == "failed"
    if action == "restart":
        return state.status in TERMINAL
    if action == "stop":
        return state.status not in ("completed", "failed")
    return state.status not in TERMINAL and state.control != "stopped"


def _is_same(one: Asked, first: Asked, known: Sequence[State]) -> bool:
    """The same answer, or another one because the build itself came to an end in between, or because the first command began a build."""
    between = [state for state in known if first.sent <= state.since + LAG_SECONDS and state.since <= one.answered]
    ended = any(state.status in TERMINAL for state in between)
    if one.key and first.status == one.status == 202:
        return one.told == first.told
    if first.action in WISHES:
        build = one.told.get("build_no") == first.told.get("build_no")
        return ended or (one.status == first.status and build and _wants(one) == _wants(first))
    if first.status == 202:
        return one.status == 409 or ended
    return one.status == 409 or ended


def _wants(one: Asked) -> object:
    return one.told.get("control_status")
