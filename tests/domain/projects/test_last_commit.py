"""The last stage is one commit and the end of the build the next one: whatever happens between them, the build ends once, and nothing is
done again."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from msgspec import structs

from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.ports.rows import Write
from nexus.domain.projects.model import Command, make_feed_topic
from tests.domain.builds.scripts import doubling, script
from tests.domain.builds.test_builds import WANTED, over
from tests.fakes.models import ScriptedModel, turn
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app


class Dying(MemoryTables):
    """A store whose first writer of a build's end is never seen again: it is held `before` the commit, or after it."""

    def __init__(self, *, before: bool) -> None:
        super().__init__()
        self.reached, self.opened, self._before = asyncio.Event(), asyncio.Event(), before

    async def write_rows(self, writes: Sequence[Write]) -> None:
        ends = any(write.table.name == "projects" and write.fields.get("status") == "completed" for write in writes)
        dies = ends and not self.reached.is_set()
        if dies and not self._before:
            await super().write_rows(writes)
        if dies:
            self.reached.set()
            await self.opened.wait()
        if not dies or self._before:
            await super().write_rows(writes)


def skipping() -> ScriptedModel:
    """A model whose agent says nothing in deployment, which is optional."""
    return script(reply=[*doubling(1), turn("")])


def calls(app: MemoryApp) -> int:
    """How many calls of the model were paid for."""
    assert isinstance(app.adapters.default_model, ScriptedModel)
    return len(app.adapters.default_model.requests)


async def tags(app: MemoryApp, project_id: str) -> Sequence[str]:
    events = await app.services.projects._events.read_events(make_feed_topic(project_id, 1), limit=100)
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    return [event.tag for event in events]


@pytest.mark.parametrize(("model", "last"), [(script, "completed"), (skipping, "skipped")])
@pytest.mark.parametrize("before", [True, False])
async def test_a_build_whose_process_died_around_its_end_ends_once_and_does_nothing_again(
    model: Callable[[], ScriptedModel], last: str, before: bool
) -> None:
    store = Dying(before=before)
    async with open_app(structs.replace(make_adapters(model()), tables=store)) as dead:
        project_id = (await dead.services.builds.start(ANN, WANTED)).project_id
        await store.reached.wait()
        between, paid = await dead.services.projects.get(ANN, project_id), calls(dead)
        stages = await dead.services.projects.list_current_stages(ANN, project_id)
        assert (between.status, between.progress) == ("building" if before else "completed", 100.0)
        assert [stage.status for stage in stages] == ["completed"] * 8 + [last]
        async with open_app(make_adapters(like=dead.adapters, clock=dead.clock, worker_id="w2")) as app:
            await app.sweeper.recover_jobs_at_start(alone=True)
            project = await over(app, project_id)
            assert (project.status, project.error_info) == ("completed", None)
            taken_over = ["build.started"] if before else []
            assert (await tags(app, project_id))[-2 - before :] == [f"stage.{last}", *taken_over, "build.completed"]
            assert await app.services.projects.list_current_stages(ANN, project_id) == stages
            assert calls(app) == paid
            store.opened.set()
            await dead.queue.drain_jobs(5)
            assert await app.services.projects.get(ANN, project_id) == project
            assert (await tags(app, project_id)).count("build.completed") == 1
            assert (await app.services.statistics.read_overview(ANN)).builds_completed == 1


@pytest.mark.parametrize(("command", "status"), [("pause", "paused"), ("stop", "cancelled")])
async def test_a_wish_that_comes_between_the_last_stage_and_the_end_is_met_by_the_next_process(
    command: Command, status: str
) -> None:
    store = Dying(before=True)
    async with open_app(structs.replace(make_adapters(script()), tables=store)) as dead:
        project_id = (await dead.services.builds.start(ANN, WANTED)).project_id
        await store.reached.wait()
        stages, paid = await dead.services.projects.list_current_stages(ANN, project_id), calls(dead)
        await dead.services.projects.execute_command(ANN, project_id, command)
        async with open_app(make_adapters(like=dead.adapters, clock=dead.clock, worker_id="w2")) as app:
            await app.sweeper.recover_jobs_at_start(alone=True)
            ended = await app.services.projects.get(ANN, project_id)
            assert (ended.status, ended.progress) == (status, 100.0)
            store.opened.set()
            await dead.queue.drain_jobs(5)
            assert await app.services.projects.get(ANN, project_id) == ended
            if status == "paused":
                await app.services.builds.execute_build_command(ANN, project_id, "resume")
                assert (await over(app, project_id)).status == "completed"
            assert await app.services.projects.list_current_stages(ANN, project_id) == stages
            assert calls(app) == paid
