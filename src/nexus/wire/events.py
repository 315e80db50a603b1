"""Events of the stream of a build. Those of a reply are told as `nexus.domain` keeps them."""

from msgspec import UNSET, Struct, UnsetType

from nexus.wire.agents import Verdict
from nexus.wire.projects import Control
from nexus.wire.values import JSON


class BuildEvent(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every event of a build has."""

    at: str


class _OfBuild(BuildEvent, frozen=True, kw_only=True):
    project_id: str | UnsetType = UNSET
    build_no: int | UnsetType = UNSET
    control: Control | UnsetType = UNSET


class BuildQueued(_OfBuild, frozen=True, kw_only=True, tag="build.queued"):
    """It waits for a process, for a place of its tenant (`position`), or for what is away (`reason`)."""

    stages: list[str] | UnsetType = UNSET
    position: int | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    message: str | UnsetType = UNSET


class BuildStarted(_OfBuild, frozen=True, kw_only=True, tag="build.started"):
    """A process has it; again after it was taken over."""


class BuildPaused(_OfBuild, frozen=True, kw_only=True, tag="build.paused"):
    """It waits until it is resumed; the stream stays open."""


class BuildCompleted(_OfBuild, frozen=True, kw_only=True, tag="build.completed"):
    """The end: all stages are done."""

    verdict: Verdict | UnsetType = UNSET
    unmet: list[str] | UnsetType = UNSET


class BuildFailed(_OfBuild, frozen=True, kw_only=True, tag="build.failed"):
    """The end: a stage could not be done."""

    error: JSON


class BuildCancelled(_OfBuild, frozen=True, kw_only=True, tag="build.cancelled"):
    """The end: it was stopped."""


class ControlChanged(_OfBuild, frozen=True, kw_only=True, tag="control.changed"):
    """Something else is wanted now."""


class _OfStage(BuildEvent, frozen=True, kw_only=True):
    stage: str


class StageStarted(_OfStage, frozen=True, kw_only=True, tag="stage.started"):
    """A stage begins, or an attempt of it."""

    number: int
    attempt: int


class StageProgress(_OfStage, frozen=True, kw_only=True, tag="stage.progress"):
    """How many of its parts are done."""

    done: int
    of: int


class StageLog(_OfStage, frozen=True, kw_only=True, tag="stage.log"):
    """A line for people."""

    line: str


class StageRetried(_OfStage, frozen=True, kw_only=True, tag="stage.retried"):
    """An attempt failed, another begins."""

    number: int
    attempt: int
    reason: str


class StageCompleted(_OfStage, frozen=True, kw_only=True, tag="stage.completed"):
    """A stage is done; `verification` tells its verdict."""

    number: int
    progress: float
    seconds: float
    summary: str | None
    verdict: Verdict | UnsetType = UNSET
    unmet: list[str] | UnsetType = UNSET


class StageSkipped(_OfStage, frozen=True, kw_only=True, tag="stage.skipped"):
    """An optional stage was left out."""

    number: int
    progress: float
    reason: str


class Reconnect(Struct, frozen=True, kw_only=True, tag_field="type", tag="reconnect"):
    """The server asks the reader to come again; it has no position."""


OF_BUILDS = (
    BuildQueued, BuildStarted, BuildPaused, BuildCompleted, BuildFailed, BuildCancelled, ControlChanged,
    StageStarted, StageProgress, StageLog, StageRetried, StageCompleted, StageSkipped,
)  # fmt: skip
