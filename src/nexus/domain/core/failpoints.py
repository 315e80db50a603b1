"""Points at which a test may have the process die, stand still or fail. Inert unless armed at start: `hit_failpoint` is then one look at a global."""

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
    "project.create", "project.command", "project.retry", "project.restart", "project.delete", "agent.deploy", "purge.files", "purge.rows",
    "job.end", "stage.call", "stage.commit", "step.start", "step.call", "step.finish", "step.tool", "task.beat", "reply.send",
    "reply.start", "reply.delta", "reply.keep", "reply.end", "reply.leave", "reply.take_over", "git.objects", "git.branch",
    "git.files",
)  # fmt: skip

_COPIED = tuple(f"promotion.{step}" for step in ("mark", "file", "files", "page", "cursor", "compare", "end"))

FAILPOINTS: tuple[str, ...] = tuple(f"{side}:{name}" for name in (*_TOLD, *_DONE) for side in ("before", "after"))
"""`before:` and `after:` each write, file, message and call of a server that a crash could part from the next one."""

PROMOTION_FAILPOINTS: tuple[str, ...] = tuple(f"{side}:{name}" for name in _COPIED for side in ("before", "after"))
"""The same of `nexus promote`."""

KILLED = 137
_FORM = re.compile(r"((?:before|after):[a-z_.]+)(?:@(\d+|\*))?(?:~(\w+))?(?:=(?:(fail)|block:(\d+(?:\.\d+)?)))?")


class _Charge:
    """What happens at one of so many times that a failpoint is passed; None: at each. With a `word` only those count that are about it: so
    that one build of many is meant."""

    def __init__(self, time: int | None, word: str | None, act: Callable[[], object]) -> None:
        self._time, self._word, self._act, self._passed = time, word, act, 0

    def count_hit_and_trigger(self, about: str) -> None:
        if self._word and self._word not in about:
            return
        self._passed += 1
        if self._time in (None, self._passed):
            self._act()


_armed: dict[str, list[_Charge]] = {}


def arm_failpoint(
    text: str, *, die: Callable[[int], object] = os._exit, stand_still: Callable[[float], object] = time.sleep
) -> None:
    """`after:stage.commit@3`: the process dies at the third time, with `@*` at each; `@*~word`: at each that is about
    that word. `…=block:2.5`: it stands still for so many seconds instead; `…=fail`: what goes on there fails. Several are parted by commas.
    InvalidInput for an unknown one."""
    _armed.clear()
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _FORM.fullmatch(part)
        if not found or found[1] not in (*FAILPOINTS, *PROMOTION_FAILPOINTS):
            raise InvalidInput(f"{part!r} is no failpoint.")
        name, at, word, fails, seconds = found.groups()
        act = partial(stand_still, float(seconds)) if seconds else _raise_or_exit if fails else partial(die, KILLED)
        _armed.setdefault(name, []).append(_Charge(None if at == "*" else int(at or 1), word, act))


def _raise_or_exit() -> None:
    raise RuntimeError("A failpoint is armed to fail here.")


def hit_failpoint(name: str, *, about: str = "") -> None:
    """Here a test may have the process die, stand still or fail."""
    if _armed and name in _armed:
        for charge in _armed[name]:
            charge.count_hit_and_trigger(about)
