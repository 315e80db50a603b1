"""Generated code in a process of its own, behind as many walls as the machine allows."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

import msgspec

from nexus.adapters.confined import probe
from nexus.adapters.confined.process import Plan, Run, carry_out
from nexus.domain.core.errors import InvalidInput, Unavailable
from nexus.domain.ports.code import JSON, Limits, Outcome, Program, TestResult, Tier

_FIRST_USER = 61_184  # systemd keeps this range for users that exist only while something runs
_OWN = "nexus-code-"
_MOST_FILES, _MOST_BYTES = 500, 5_000_000
_SETTLED_SECONDS = 60.0  # a younger directory may not be locked yet
_UNPROBED = Tier(level=0, name="none", detail="The boundary has not been tested yet")


class ConfinedRunner:
    """`async with ConfinedRunner(data=…) as runner`: entering tests the boundary; leaving removes every trace.

    `data` is the server's directory, which a program must not see; `workspaces` is where the (usually empty) directories
    of the runs are made, and lies outside of it.
    """

    def __init__(self, *, data: Path, workspaces: Path | None = None, at_once: int = 8) -> None:
        self._data = data.resolve()
        self._workspaces = (workspaces or Path(tempfile.gettempdir())).resolve()
        if self._workspaces.is_relative_to(self._data):
            raise ValueError(f"the directories of runs must lie outside of {self._data}")
        self._room: Path | None = None
        self._lock: int | None = None
        self._plan: Plan | None = None
        self._tier = _UNPROBED
        self._free = asyncio.Queue[int]()
        for number in range(at_once):
            self._free.put_nowait(_FIRST_USER + number)

    def tier(self) -> Tier:
        return self._tier

    async def __aenter__(self) -> "ConfinedRunner":
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Finds the strongest plan whose walls hold against real attempts; none is level 0, and nothing is ever run."""
        await self.close()
        room, self._lock = await asyncio.to_thread(_make_room, self._workspaces)
        self._room = room
        found = await probe.strongest(data=self._data, room=room, user=_FIRST_USER)
        self._plan, self._tier = found.plan, found.tier

    async def close(self) -> None:
        self._plan, self._tier = None, _UNPROBED
        if self._room is not None and self._lock is not None:
            room, lock = self._room, self._lock
            self._room = self._lock = None
            await asyncio.to_thread(shutil.rmtree, room, ignore_errors=True)
            os.close(lock)

    async def call(self, program: Program, function: str, arguments: JSON, *, limits: Limits = Limits()) -> Outcome:
        outcome, _ = await self._run(program, limits, function=function, arguments=arguments)
        return outcome

    async def test(self, program: Program, *, limits: Limits = Limits()) -> tuple[Outcome, list[TestResult]]:
        """`Outcome.value` counts: `{"passed": 3, "failed": 1}`; it is `ok` when the tests ran to their end."""
        return await self._run(program, limits, function=None, arguments={})

    async def _run(
        self, program: Program, limits: Limits, *, function: str | None, arguments: JSON
    ) -> tuple[Outcome, list[TestResult]]:
        _check(program)
        async with self._user() as user:
            if self._plan is None or self._room is None:
                raise Unavailable(self._tier.detail)
            plan = self._plan if self._plan.user is None else msgspec.structs.replace(self._plan, user=user)
            run = Run(program=program, limits=limits, plan=plan, function=function, arguments=arguments)
            return await carry_out(run, self._room)

    @contextlib.asynccontextmanager
    async def _user(self) -> AsyncIterator[int]:
        """A uid for one run at a time: what is counted per user is then counted per run."""
        user = await self._free.get()
        try:
            yield user
        finally:
            self._free.put_nowait(user)


def _check(program: Program) -> None:
    if len(program.files) > _MOST_FILES or sum(map(len, program.files.values())) > _MOST_BYTES:
        raise InvalidInput(f"A program has at most {_MOST_FILES} files and {_MOST_BYTES} characters")
    for path in program.files:
        plain = PurePosixPath(path)
        usual = path.isprintable() and "\\" not in path and len(path.encode(errors="replace")) <= 200
        if not usual or plain.is_absolute() or ".." in plain.parts or str(plain) != path or plain.suffix != ".py":
            raise InvalidInput(f"Not a relative path of a Python file: {path!r}")


def _make_room(workspaces: Path) -> tuple[Path, int]:
    """A directory of this runner, locked while it lives; those whose runner died are removed."""
    workspaces.mkdir(parents=True, exist_ok=True)
    for old in workspaces.glob(f"{_OWN}*"):
        with contextlib.suppress(OSError):  # in use, or another user's
            if time.time() - old.stat().st_mtime > _SETTLED_SECONDS:
                os.close(_locked(old))
                shutil.rmtree(old)
    room = Path(tempfile.mkdtemp(prefix=_OWN, dir=workspaces))
    room.chmod(0o711)
    return room, _locked(room)


def _locked(directory: Path) -> int:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle
