"""An executor that stood still at its commit of a stage and goes on when others have gone on: none of its files come in."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec import structs

from nexus.adapters.directory.files import DirectoryFiles
from nexus.adapters.git.repository import GitRepository
from nexus.composition.adapters import Adapters
from nexus.domain.builds.model import Started
from nexus.domain.core.errors import Conflict
from nexus.domain.ports.files import FileStore
from nexus.domain.ports.repository import ANYONE, Overtaken, Repository, Writer
from nexus.domain.projects.model import Command
from nexus.domain.tasks.execution import LeaseLost, LeaseTimes
from tests.domain.builds.scripts import BRIEF, REQUIREMENTS, said, script
from tests.domain.builds.test_builds import STAGES, WANTED, over
from tests.fakes.files import MemoryFiles
from tests.fakes.models import Gate, ScriptedModel, turn
from tests.fakes.repository import MemoryRepository
from tests.memory_app import ANN, make_adapters, open_app

STALE = "stale.txt"


class Stalling:
    """The repository of an executor that stands still at its commit of one stage: before it looks whether it holds its run, or after."""

    def __init__(self, repository: Repository) -> None:
        self.list_commits, self.list, self.read = (
            repository.list_commits,
            repository.list,
            repository.read,
        )
        self.repository, self.at, self.after_its_look = repository, Gate(), False
        self.key, self.refused = "", list[type[Conflict]]()

    async def commit(
        self, project_id: str, files: Mapping[str, bytes | None], *, message: str, key: str, writer: Writer = ANYONE
    ) -> str:
        if key != self.key:
            return await self.repository.commit(project_id, files, message=message, key=key, writer=writer)
        if self.after_its_look:
            await writer.held()
            writer = Writer(fence=writer.fence)
        await self.at.passed()
        files = {**files, STALE: b"stale"}
        try:
            return await self.repository.commit(project_id, files, message=message, key=key, writer=writer)
        except Conflict as refused:
            self.refused.append(type(refused))
            raise


class Stalled(NamedTuple):
    stalling: Stalling
    build: Started
    going: asyncio.Task[None]
    next_one: Adapters

    async def goes_on(self) -> list[type[Conflict]]:
        """Lets the executor go on to its end, and says how its commit was refused."""
        self.stalling.at.opened.set()
        await self.going
        return self.stalling.refused


class Ground:
    """Two executors over one store: the first one stalls, the second one goes on."""

    def __init__(self, files: FileStore, first: Repository, second: Repository) -> None:
        self.files, self.second, self.stalling = files, second, Stalling(first)

    @asynccontextmanager
    async def stalled(
        self, key: str, model: ScriptedModel | None = None, *, after_its_look: bool = False
    ) -> AsyncIterator["Stalled"]:
        """A build whose executor stands still at the commit of this key."""
        self.stalling.key, self.stalling.after_its_look = key, after_its_look
        on = structs.replace(make_adapters(model or script()), files=self.files, repository=self.stalling)
        async with open_app(on, serving=False) as app, asyncio.TaskGroup() as group:
            started = await app.services.builds.start(ANN, WANTED)
            going = group.create_task(app.services.build_runner.run_build_job(started.task_id))
            await self.stalling.at.reached.wait()
            next_one = make_adapters(like=on, clock=app.clock, worker_id="w2")
            next_one = structs.replace(next_one, repository=self.second, leases=LeaseTimes(answer=0.0))
            yield Stalled(self.stalling, started, going, next_one)

    async def history(self, project_id: str) -> list[str]:
        """The keys, oldest first; nothing stale is in the commits or among the files."""
        assert STALE not in await self.second.list(project_id)
        assert f"projects/{project_id}/{STALE}" not in await self.files.list(f"projects/{project_id}")
        return [commit.key for commit in reversed(await self.second.list_commits(project_id))]


@pytest.fixture(params=["memory", "git"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Ground:
    if request.param == "memory":
        shared = MemoryRepository(files=(files := MemoryFiles()))
        return Ground(files, shared, shared)
    directory = DirectoryFiles(tmp_path)
    first, second = (GitRepository(root=tmp_path, files=directory) for _ in range(2))
    return Ground(directory, first, second)


LOOKS = pytest.mark.parametrize("after_its_look", [False, True], ids=["before its look", "after its look"])


@LOOKS
@pytest.mark.parametrize("stage", ["intake", "prompt", "deployment"])
async def test_nothing_of_a_stalled_executor_comes_after_what_its_successor_built(
    ground: Ground, stage: str, after_its_look: bool
) -> None:
    async with ground.stalled(f"1/{stage}", after_its_look=after_its_look) as stalled:
        project_id = stalled.build.project_id
        async with open_app(stalled.next_one) as app:
            await app.sweeper.recover_jobs_at_start(alone=True)
            project = await over(app, project_id)
            commits = await app.services.projects.list_commits(ANN, project_id)
            assert await stalled.goes_on() == [Overtaken]
            assert await ground.history(project_id) == [f"1/{name}" for name in STAGES]
            assert await app.services.projects.list_commits(ANN, project_id) == commits
            assert (project.status, project.error_info) == ("completed", None)
            assert await app.services.projects.get(ANN, project_id) == project


@LOOKS
async def test_nothing_of_a_stalled_executor_comes_after_the_first_commit_of_the_next_build(
    ground: Ground, after_its_look: bool
) -> None:
    gate = Gate()
    model = script(intake=[said(BRIEF)] * 2, requirements=[turn(gate, *said(REQUIREMENTS).pieces)])
    async with ground.stalled("1/intake", model, after_its_look=after_its_look) as stalled:
        project_id = stalled.build.project_id
        async with open_app(stalled.next_one) as app:
            await app.services.builds.execute_build_command(ANN, project_id, "stop")
            await app.sweeper.apply_unanswered_controls()
            await app.services.builds.execute_build_command(ANN, project_id, "restart")
            await gate.reached.wait()
            assert await stalled.goes_on() == [Overtaken]
            assert await ground.history(project_id) == ["2/intake"]
            gate.opened.set()
            assert (await over(app, project_id)).status == "completed"
            assert await ground.history(project_id) == [f"2/{name}" for name in STAGES]


@pytest.mark.parametrize(("command", "status"), [("stop", "cancelled"), ("pause", "paused")])
async def test_nothing_of_a_stalled_executor_comes_in_when_its_build_was_halted_and_nobody_went_on(
    ground: Ground, command: Command, status: str
) -> None:
    async with ground.stalled("1/requirements") as stalled:
        project_id = stalled.build.project_id
        async with open_app(stalled.next_one, serving=False) as app:
            await app.services.builds.execute_build_command(ANN, project_id, command)
            await app.sweeper.apply_unanswered_controls()
            halted = await app.services.projects.get(ANN, project_id)
            assert halted.status == status
            assert await stalled.goes_on() == [LeaseLost]
            assert await ground.history(project_id) == ["1/intake"]
            assert await app.services.projects.get(ANN, project_id) == halted


async def test_what_a_stalled_executor_leaves_before_its_successor_comes_to_the_stage_is_replaced(
    ground: Ground,
) -> None:
    async with ground.stalled("1/requirements", after_its_look=True) as stalled:
        project_id = stalled.build.project_id
        async with open_app(stalled.next_one, serving=False) as app:
            await app.sweeper.recover_jobs_at_start(alone=True)
            assert await stalled.goes_on() == []
            assert STALE in await ground.second.list(project_id)
            await app.services.build_runner.run_build_job(stalled.build.task_id)
            assert (await app.services.projects.get(ANN, project_id)).status == "completed"
            assert await ground.history(project_id) == [f"1/{name}" for name in STAGES]
