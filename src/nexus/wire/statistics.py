"""Overviews."""

from msgspec import Struct


class InvocationCounts(Struct, frozen=True, kw_only=True):
    invocations: int
    invocations_failed: int
    invocation_ms: int
    input_tokens: int
    output_tokens: int


class BuildCounts(Struct, frozen=True, kw_only=True):
    builds_started: int
    builds_completed: int
    builds_failed: int
    builds_cancelled: int
    build_seconds: int
    build_input_tokens: int
    build_output_tokens: int


class Counts(InvocationCounts, frozen=True, kw_only=True):
    projects: int
    agents: int
    sessions: int
    messages: int
    builds_completed: int
    builds_failed: int
    build_seconds: int
    build_input_tokens: int
    build_output_tokens: int


class DayView(Counts, frozen=True, kw_only=True):
    """What was done on a day (UTC); `projects`, `agents` and `sessions` are what was added."""

    day: str
    builds_started: int
    builds_cancelled: int


class OverviewView(Counts, frozen=True, kw_only=True):
    """What there is, and what was done in all and today."""

    builds_running: int
    today: DayView


class BuildsOfDay(BuildCounts, frozen=True, kw_only=True):
    day: str


class InvocationsOfDay(InvocationCounts, frozen=True, kw_only=True):
    day: str


class BuildStatistics(BuildCounts, frozen=True, kw_only=True):
    """The days oldest first, and their sums."""

    days: list[BuildsOfDay]


class InvocationStatistics(InvocationCounts, frozen=True, kw_only=True):
    """The days oldest first, and their sums."""

    days: list[InvocationsOfDay]
