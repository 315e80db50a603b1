"""Overviews."""

from msgspec import Struct


class DayView(Struct, frozen=True, kw_only=True):
    """What was done on a day (UTC); `projects`, `agents` and `sessions` are what was added."""

    day: str
    projects: int
    agents: int
    sessions: int
    messages: int
    builds_started: int
    builds_completed: int
    builds_failed: int
    builds_cancelled: int
    invocations: int
    invocations_failed: int
    input_tokens: int
    output_tokens: int


class OverviewView(Struct, frozen=True, kw_only=True):
    """What there is, and what was done in all and today."""

    projects: int
    agents: int
    sessions: int
    messages: int
    builds_running: int
    builds_completed: int
    builds_failed: int
    invocations: int
    invocations_failed: int
    input_tokens: int
    output_tokens: int
    today: DayView


class BuildsOfDay(Struct, frozen=True, kw_only=True):
    day: str
    builds_started: int
    builds_completed: int
    builds_failed: int
    builds_cancelled: int
    build_seconds: int


class InvocationsOfDay(Struct, frozen=True, kw_only=True):
    day: str
    invocations: int
    invocations_failed: int
    invocation_ms: int
    input_tokens: int
    output_tokens: int


class BuildStatistics(Struct, frozen=True, kw_only=True):
    """The days oldest first, and their sums."""

    days: list[BuildsOfDay]
    builds_started: int
    builds_completed: int
    builds_failed: int
    builds_cancelled: int
    build_seconds: int


class InvocationStatistics(Struct, frozen=True, kw_only=True):
    """The days oldest first, and their sums."""

    days: list[InvocationsOfDay]
    invocations: int
    invocations_failed: int
    invocation_ms: int
    input_tokens: int
    output_tokens: int
