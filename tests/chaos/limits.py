"""What a process and its children may have of the machine: by a control group where there is one, and as the machine has it."""

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct

from tests.chaos.experiments import Skipped

CGROUPS = Path("/sys/fs/cgroup")
Kind = Literal["memory", "pids"]
_MOST = {
    ("memory", 1): "memory.limit_in_bytes",
    ("memory", 2): "memory.max",
    ("pids", 1): "pids.max",
    ("pids", 2): "pids.max",
}
_NONE = {("memory", 1): "-1", ("memory", 2): "max", ("pids", 1): "max", ("pids", 2): "max"}


class Group(Struct, frozen=True):
    """A control group of one kind, in version 1 or 2. `command` begins a process in it."""

    path: Path
    kind: Kind
    version: int

    @property
    def command(self) -> tuple[str, ...]:
        return "/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.path / "cgroup.procs")

    def allow(self, most: int | None) -> None:
        """From now on; None: any number."""
        text = _NONE[self.kind, self.version] if most is None else str(most)
        (self.path / _MOST[self.kind, self.version]).write_text(text)

    def now(self) -> int:
        """What is had and cannot be taken back."""
        if self.kind == "pids":
            return int((self.path / "pids.current").read_text())
        told = dict(line.split() for line in (self.path / "memory.stat").read_text().splitlines())
        return int(told["rss" if self.version == 1 else "anon"])

    def refused(self) -> int:
        """How often the limit was felt: forks that were refused, or memory that was asked for in vain."""
        if self.kind == "memory" and self.version == 1:
            return int((self.path / "memory.failcnt").read_text())
        told = dict(line.split() for line in (self.path / f"{self.kind}.events").read_text().splitlines())
        return int(told["max"])

    def __str__(self) -> str:
        return f"control group, version {self.version}"


@contextlib.contextmanager
def group(kind: Kind) -> Iterator[Group]:
    """One of its own, gone at the end, when all in it have ended. Skipped where the machine has none for us."""
    name = f"nexus-chaos-{secrets.token_hex(4)}"
    with contextlib.ExitStack() as stack:
        made = _made(name, kind)
        stack.callback(_removed, made)
        yield made


def _made(name: str, kind: Kind) -> Group:
    unified = CGROUPS / "cgroup.controllers"
    old = (CGROUPS / kind / "cgroup.procs").exists()
    if not old and not (unified.exists() and kind in unified.read_text().split()):
        raise Skipped(f"there is no control group for {kind}")
    path = (CGROUPS / kind if old else CGROUPS) / name
    try:
        path.mkdir()
    except OSError as error:
        raise Skipped(f"no control group can be made: {error.strerror}") from None
    return Group(path, kind, 1 if old else 2)


def _removed(made: Group) -> None:
    with contextlib.suppress(OSError):  # somebody is still in it
        made.path.rmdir()
