"""Events of the stream of a build. Those of a reply are told as `nexus.domain` keeps them."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType, defstruct

from nexus.wire.agents import Verdict
from nexus.wire.projects import Control
from nexus.wire.values import JSON

_OF_ALL = {"at": str}
_OF_BUILD = _OF_ALL | {"project_id?": str, "build_no?": int, "control?": Control}
_OF_STAGE = _OF_ALL | {"stage": str}
_VERDICT = {"verdict?": Verdict, "unmet?": list[str]}
_EVENTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "build.queued",
        "It waits for a process, for a place of its tenant (`position`), or for what is away (`reason`).",
        _OF_BUILD | {"stages?": list[str], "position?": int, "reason?": str, "message?": str},
    ),
    ("build.started", "A process has it; again after it was taken over.", _OF_BUILD),
    ("build.paused", "It waits until it is resumed; the stream stays open.", _OF_BUILD),
    ("build.completed", "The end: all stages are done.", _OF_BUILD | _VERDICT),
    ("build.failed", "The end: a stage could not be done.", _OF_BUILD | {"error": JSON}),
    ("build.cancelled", "The end: it was stopped.", _OF_BUILD),
    ("control.changed", "Something else is wanted now.", _OF_BUILD),
    ("stage.started", "A stage begins, or an attempt of it.", _OF_STAGE | {"number": int, "attempt": int}),
    ("stage.progress", "How many of its parts are done.", _OF_STAGE | {"done": int, "of": int}),
    ("stage.log", "A line for people.", _OF_STAGE | {"line": str}),
    ("stage.retried", "An attempt failed, another begins.", _OF_STAGE | {"number": int, "attempt": int, "reason": str}),
    (
        "stage.completed",
        "A stage is done; `verification` tells its verdict.",
        _OF_STAGE | {"number": int, "progress": float, "seconds": float, "summary": str | None} | _VERDICT,
    ),
    ("stage.skipped", "An optional stage was left out.", _OF_STAGE | {"number": int, "progress": float, "reason": str}),
)
"""The tag of each, what it says, and the types of its fields; a `?` marks those that may be missing."""


class Reconnect(Struct, frozen=True, kw_only=True, tag_field="type", tag="reconnect"):
    """The server asks the reader to come again; it has no position."""


def _make_event_class(tag: str, text: str, fields: dict[str, Any]) -> type[Struct]:
    declared = [
        (name[:-1], kind | UnsetType, UNSET) if name.endswith("?") else (name, kind) for name, kind in fields.items()
    ]
    name = "".join(map(str.capitalize, tag.split(".")))
    options: Any = {"tag_field": "type", "tag": tag, "frozen": True, "kw_only": True}
    return defstruct(name, declared, module=__name__, namespace={"__doc__": text}, **options)


OF_BUILDS = tuple(_make_event_class(*event) for event in _EVENTS)
