"""Points at which a test may have the process die, or stand still. Inert unless armed at start: `hit` is then one look at a global."""

import os
import re
import time
from collections.abc import Callable
from functools import partial

from nexus.domain.core.errors import InvalidInput

_TOLD = (
    "build.queued", "build.started", "build.paused", "build.cancelled", "build.completed", "build.failed",
    "stage.started", "stage.progress", "stage.log", "stage.retried", "stage.completed", "stage.skipped",
)  # fmt: skip
_DONE = (
    "project.create", "project.command", "project.retry", "project.restart", "project.delete", "purge.files", "purge.rows",
    "purge.end", "stage.call", "stage.commit", "step.start", "step.call", "step.finish", "step.tool", "task.beat", "reply.send",
    "reply.start", "reply.delta", "reply.keep", "reply.end", "reply.leave", "reply.take_over", "git.objects", "git.branch",
    "git.files",
)  # fmt: skip

FAILPOINTS: tuple[str, ...] = tuple(f"{side}:{name}" for name in (*_TOLD, *_DONE) for side in ("before", "after"))
"""`before:` and `after:` each write, file, message and call that a crash could part from the next one."""

KILLED = 137
_FORM = re.compile(r"((?:before|after):[a-z_.]+)(?:@(\d+|\*))?(?:=block:(\d+(?:\.\d+)?))?")


class _Charge:
    """What happens at one of so many times that a failpoint is passed; None: at each."""

    def __init__(self, time: int | None, act: Callable[[], object]) -> None:
        self._time, self._act, self._passed = time, act, 0

    def passed(self) -> None:
        self._passed += 1
        if self._time in (None, self._passed):
            self._act()


_armed: dict[str, list[_Charge]] = {}


def arm(
    text: str, *, die: Callable[[int], object] = os._exit, stand_still: Callable[[float], object] = time.sleep
) -> None:
    """`after:stage.commit@3`: the process dies at the third time, with `@*` at each; `after:stage.commit=block:2.5`: it stands still for
    so many seconds instead. Several are parted by commas. InvalidInput for an unknown one."""
    _armed.clear()
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _FORM.fullmatch(part)
        if not found or found[1] not in FAILPOINTS:
            raise InvalidInput(f"{part!r} is no failpoint.")
        act = partial(stand_still, float(found[3])) if found[3] else partial(die, KILLED)
        _armed.setdefault(found[1], []).append(_Charge(None if found[2] == "*" else int(found[2] or 1), act))


def hit(name: str) -> None:
    """Here a test may have the process die, or stand still."""
    if _armed and name in _armed:
        for charge in _armed[name]:
            charge.passed()
