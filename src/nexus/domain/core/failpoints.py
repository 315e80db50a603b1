"""Points at which a test may have the process die. Inert unless armed at start: `hit` is then one look at a global."""

import os
import re
from collections.abc import Callable

from nexus.domain.core.errors import InvalidInput

_TOLD = (
    "build.queued", "build.started", "build.paused", "build.cancelled", "build.completed", "build.failed",
    "stage.started", "stage.progress", "stage.log", "stage.retried", "stage.completed", "stage.skipped",
)  # fmt: skip
_DONE = (
    "project.create", "project.command", "stage.call", "stage.commit", "step.start", "step.call", "step.finish",
    "step.tool", "task.beat", "reply.send", "reply.start", "reply.delta", "reply.keep", "reply.end", "reply.leave",
    "reply.take_over", "git.objects", "git.branch", "git.files",
)  # fmt: skip

FAILPOINTS: tuple[str, ...] = tuple(f"{side}:{name}" for name in (*_TOLD, *_DONE) for side in ("before", "after"))
"""`before:` and `after:` each write, file, message and call that a crash could part from the next one."""

KILLED = 137
_FORM = re.compile(r"((?:before|after):[a-z_.]+)(?:@(\d+))?")
_armed: dict[str, int] = {}


def arm(text: str, *, die: Callable[[int], object] = os._exit) -> None:
    """`after:stage.commit@3`: the process dies at the third time; several are parted by commas. InvalidInput for an unknown one."""
    global _die
    _armed.clear()
    _die = die
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _FORM.fullmatch(part)
        if not found or found[1] not in FAILPOINTS:
            raise InvalidInput(f"{part!r} is no failpoint.")
        _armed[found[1]] = int(found[2] or 1)


_die: Callable[[int], object] = os._exit


def hit(name: str) -> None:
    """Here a test may have the process die."""
    if _armed and name in _armed:
        _armed[name] -= 1
        if _armed[name] == 0:
            _die(KILLED)
