"""Generated code in a process of its own, behind as many walls as the machine allows."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

from nexus.adapters.confined import probe
from nexus.adapters.confined.inside.walls import Plan
from nexus.adapters.confined.process import Run, run_isolated_program
from nexus.adapters.confined.reading import SourceReader
from nexus.adapters.confined.workspaces import Workspace, WorkspacePool
from nexus.domain.core.errors import InvalidInput, Unavailable
from nexus.domain.core.values import JSON
from nexus.domain.ports.code import Limits, Outcome, Program, TestResult, Tier
from nexus.domain.ports.models import ToolSpec

_FIRST_USER = 61_184  # systemd keeps this range for users that exist only while something runs
_MOST_FILES, _MOST_BYTES = 500, 5_000_000
_UNPROBED = Tier(level=0, name="none", detail="The boundary has not been tested yet")


class ConfinedRunner:
    """`async with ConfinedRunner(data=…) as runner`: entering tests the boundary; leaving removes every trace.

    `data` is the server's directory, which a program must not see; `workspaces` is where the (usually empty) directories
    of the runs are made, and lies outside of it. Below `min_tier` nothing is run."""

    def __init__(self, *, data: Path, workspaces: Path | None = None, at_once: int = 8, min_tier: int = 0) -> None:
        self._data, self._min_tier = data.resolve(), min_tier
        own = (workspaces or Path(tempfile.gettempdir())).resolve()
        if own.is_relative_to(self._data):
            raise ValueError(f"the directories of runs must lie outside of {self._data}")
        self._pool = WorkspacePool(own, probe.WORKSPACE)
        self._workspace: Workspace | None = None
        self._plan: Plan | None = None
        self._tier = _UNPROBED
        self._reader = SourceReader()
        self._free = asyncio.Queue[int]()
        for number in range(at_once):
            self._free.put_nowait(_FIRST_USER + number)

    def get_isolation_tier(self) -> Tier:
        return self._tier

    async def __aenter__(self) -> "ConfinedRunner":
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Finds the strongest plan whose walls hold against real attempts; none is level 0, and nothing is ever run."""
        await self.close()
        await self.delete_stale_workspaces()
        self._workspace = self._pool.make_workspace()
        try:
            self._workspace.path.chmod(0o711)
            found = await probe.find_strongest_isolation(
                data=self._data, workspace=self._workspace.path, user=_FIRST_USER
            )
        except BaseException:
            await self.close()
            raise
        if 0 < found.tier.level < self._min_tier:
            found = probe.refuse_low_tier(self._min_tier, found.tier)
        self._plan, self._tier = found.plan, found.tier

    async def close(self) -> None:
        self._plan, self._tier = None, _UNPROBED
        if self._workspace is not None:
            workspace, self._workspace = self._workspace, None
            await asyncio.to_thread(workspace.remove)

    async def delete_stale_workspaces(self) -> int:
        """Removes the directories that runners left whose process is gone; how many. Any process may, at any time."""
        kinds = (self._pool, *probe.make_attack_target_pools(self._data))
        return await asyncio.to_thread(lambda: sum(pool.delete_stale_workspaces() for pool in kinds))

    async def parse_tool_spec(self, source: str, function: str) -> ToolSpec:
        return await self._reader.parse_tool_spec(source, function)

    async def call_function(
        self, program: Program, function: str, arguments: JSON, *, limits: Limits = Limits()
    ) -> Outcome:
        outcome, _ = await self._run_program(program, limits, function=function, arguments=arguments)
        return outcome

    async def run_tests(self, program: Program, *, limits: Limits = Limits()) -> tuple[Outcome, list[TestResult]]:
        """`Outcome.value` counts: `{"passed": 3, "failed": 1}`; it is `ok` when the tests ran to their end."""
        return await self._run_program(program, limits, function=None, arguments={})

    async def _run_program(
        self, program: Program, limits: Limits, *, function: str | None, arguments: JSON
    ) -> tuple[Outcome, list[TestResult]]:
        _check_program_files(program)
        async with self._reserve_uid() as user:
            if self._plan is None or self._workspace is None:
                raise Unavailable(self._tier.detail, part="code")
            plan = self._plan if self._plan.user is None else self._plan._replace(user=user)
            run = Run(program=program, limits=limits, plan=plan, function=function, arguments=arguments)
            return await run_isolated_program(run, self._workspace.path)

    @contextlib.asynccontextmanager
    async def _reserve_uid(self) -> AsyncIterator[int]:
        """A uid for one run at a time: what is counted per user is then counted per run."""
        user = await self._free.get()
        try:
            yield user
        finally:
            self._free.put_nowait(user)


def _check_program_files(program: Program) -> None:
    if len(program.files) > _MOST_FILES or sum(map(len, program.files.values())) > _MOST_BYTES:
        raise InvalidInput(f"A program has at most {_MOST_FILES} files and {_MOST_BYTES} characters")
    for path in program.files:
        plain = PurePosixPath(path)
        usual = path.isprintable() and "\\" not in path and len(path.encode(errors="replace")) <= 200
        if not usual or plain.is_absolute() or ".." in plain.parts or str(plain) != path or plain.suffix != ".py":
            raise InvalidInput(f"Not a relative path of a Python file: {path!r}")
