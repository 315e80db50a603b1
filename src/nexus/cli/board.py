"""What a build's events say about its stages, as a board that can be drawn at any moment."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nexus.client import Event
from nexus.wire.projects import StageView

StageStatus = Literal["pending", "running", "completed", "failed", "skipped"]
MARKS = {"pending": "·", "running": "▶", "completed": "✔", "partial": "◐", "failed": "✘", "skipped": "–"}


@dataclass
class Stage:
    """`began` is by this machine's clock; `line` is the last thing that the stage said, `verdict` what it found of what was built."""

    name: str
    number: int
    title: str
    status: StageStatus = "pending"
    attempt: int = 0
    seconds: float | None = None
    began: float | None = None
    line: str = ""
    verdict: str | None = None

    @property
    def status_or_verdict(self) -> str:
        """Its state, or the verdict where that is less than `passed`."""
        return self.verdict if self.verdict in ("partial", "failed") else self.status


@dataclass
class Board:
    """`before`: how many builds are before one that is held; `ending` is the event that ended the build, `error` what it said went wrong."""

    stages: dict[str, Stage]
    timer: Callable[[], float] = time.monotonic
    progress: float = 0.0
    state: str = "queued"
    before: int | None = None
    ending: str | None = None
    error: dict[str, Any] = field(default_factory=dict)
    verdict: str | None = None

    def apply_event(self, event: Event) -> Stage | None:
        """Takes an event in; answers the stage that it is about."""
        data = event.data
        if event.tag.startswith("build."):
            self.before = data.get("position") if event.tag == "build.queued" else None
            self._apply_build_event(event.tag.removeprefix("build.") if self.before is None else "pending", data)
            return None
        if event.tag == "control.changed":
            self.state = {"paused": "pausing", "stopped": "stopping"}.get(data.get("control", ""), "building")
            return None
        if (stage := self.stages.get(str(data.get("stage")))) is None:
            return None
        self.progress = data.get("progress") or self.progress
        self._apply_stage_event(stage, event.tag.removeprefix("stage."), data)
        return stage

    def _apply_build_event(self, state: str, data: dict[str, Any]) -> None:
        self.state = "building" if state == "started" else state
        if state in ("completed", "failed", "cancelled"):
            self.ending = state
            self.error, self.verdict = data.get("error") or {}, data.get("verdict")
        if state == "completed":
            self.progress = 100.0
        for stage in self.stages.values():
            if stage.status == "running" and state != "started":
                stage.status, stage.began = "failed" if state == "failed" else "pending", None

    def _apply_stage_event(self, stage: Stage, happened: str, data: dict[str, Any]) -> None:
        match happened:
            case "started":
                stage.status, stage.attempt = "running", data.get("attempt", 1)
                stage.began = self.timer()
            case "log":
                stage.line = str(data.get("line", ""))
            case "progress":
                stage.line = f"{data.get('done', 0)} of {data.get('of', 0)}"
            case "retried":
                stage.attempt, stage.line = data.get("attempt", stage.attempt + 1), f"again: {data.get('reason', '')}"
            case "completed":
                stage.status, stage.seconds = "completed", data.get("seconds")
                stage.line, stage.verdict = data.get("summary") or stage.line, data.get("verdict")
            case "skipped" | "failed":
                stage.status, stage.line = happened, str(data.get("reason", ""))

    @property
    def state_text(self) -> str:
        state = f"{self.state}, {self.verdict}" if self.verdict else self.state
        return state if self.before is None else f"{state}, {format_queue_position(self.before)}"

    def compute_stage_seconds(self, stage: Stage) -> float | None:
        """How long a stage took, or has been running."""
        if stage.status == "running" and stage.began is not None:
            return self.timer() - stage.began
        return stage.seconds


def format_queue_position(before: int) -> str:
    return f"{before} of your builds {'is' if before == 1 else 'are'} before it"


def make_build_board(views: Sequence[StageView], timer: Callable[[], float] = time.monotonic) -> Board:
    """The stages by name, before the first event is heard: events from the beginning tell their states."""
    named = {
        view.stage_name: Stage(name=view.stage_name, number=view.stage_number, title=view.display_name)
        for view in views
    }
    return Board(stages=named, timer=timer)
