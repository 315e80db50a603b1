"""What a run of a job may come to."""

from typing import Literal

from msgspec import Struct


class Outcome(Struct, frozen=True, kw_only=True):
    """`complete`; `snooze`, for so many seconds; `retry`, soon, as it failed by what may pass; `discard`, as it failed for good or is not
    to be had."""

    verb: Literal["complete", "snooze", "retry", "discard"]
    seconds: float = 0.0
    reason: str = ""


COMPLETE = Outcome(verb="complete")
