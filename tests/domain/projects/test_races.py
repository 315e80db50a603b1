"""Somebody is faster: between what a verb has read and its commit, something else happens."""

from collections.abc import Awaitable, Callable, Sequence

import pytest
from msgspec import structs

from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.core.errors import NexusError
from nexus.domain.ports.rows import Write
from nexus.domain.projects.leases import BuildLeases
from nexus.domain.projects.model import Command, Project, StageResult, WrongState
from nexus.domain.tasks.execution import LeaseLost
from tests.domain.builds.scripts import REQUIREMENTS, said, script
from tests.domain.builds.test_builds import WANTED
from tests.fakes.models import Gate, turn
from tests.fakes.repository import MemoryRepository
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app

RESULT = StageResult(output_data={"summary": "done"})
ANYTHING = "anything"


class Overtaken(MemoryTables):
    """A store in which something happens just before the first commit that sets a field to a value, or to anything."""

    def __init__(self) -> None:
        super().__init__()
        self._act: Callable[[], Awaitable[object]] | None = None
        self._field, self._value = "", ""

    def before(self, field: str, value: str, act: Callable[[], Awaitable[object]]) -> None:
        self._field, self._value, self._act = field, value, act

    async def write_rows(self, writes: Sequence[Write]) -> None:
        set_to = [write.fields[self._field] for write in writes if write.fields.get(self._field)]
        if self._act and set_to and self._value in (*set_to, ANYTHING):
            act, self._act = self._act, None
            await act()
        await super().write_rows(writes)

    @property
    def has_happened(self) -> bool:
        return self._act is None


def runs_of(app: MemoryApp) -> BuildLeases:
    return app.services.build_runner._leases


async def command(app: MemoryApp, project_id: str, given: Command) -> Project:
    return await app.services.builds.execute_build_command(ANN, project_id, given)


async def test_a_claim_that_a_stop_overtakes_is_lost_and_nothing_runs() -> None:
    store = Overtaken()
    async with open_app(structs.replace(make_adapters(), tables=store), serving=False) as app:
        started = await app.services.builds.start(ANN, WANTED)
        store.before("status", "building", lambda: command(app, started.project_id, "stop"))
        with pytest.raises(LeaseLost):
            await runs_of(app).claim_build(started.task_id, "w1")
        project = await app.services.projects.get(ANN, started.project_id)
        assert store.has_happened
        assert (project.status, project.started_at) == ("cancelled", None)


@pytest.mark.parametrize(("given", "field"), [("pause", "paused"), ("stop", "stopped")])
async def test_a_wish_that_the_end_overtakes_is_refused_with_the_end(given: Command, field: str) -> None:
    store = Overtaken()
    async with open_app(structs.replace(make_adapters(), tables=store), serving=False) as app:
        started = await app.services.builds.start(ANN, WANTED)
        run = await runs_of(app).claim_build(started.task_id, "w1")
        store.before("control_status", field, lambda: runs_of(app).fail_build(run, {"message": "It went wrong."}))
        with pytest.raises(WrongState) as refused:
            await command(app, started.project_id, given)
        assert store.has_happened
        assert refused.value.facts["status"] == "failed"


async def test_a_pause_that_the_claim_overtakes_becomes_a_wish() -> None:
    store = Overtaken()
    async with open_app(structs.replace(make_adapters(), tables=store), serving=False) as app:
        started = await app.services.builds.start(ANN, WANTED)
        store.before("status", "paused", lambda: runs_of(app).claim_build(started.task_id, "w1"))
        project = await command(app, started.project_id, "pause")
        assert (project.status, project.control_status) == ("building", "paused")


async def test_a_stage_whose_commit_a_takeover_overtakes_is_not_committed() -> None:
    store = Overtaken()
    async with open_app(structs.replace(make_adapters(), tables=store), serving=False) as app:
        started = await app.services.builds.start(ANN, WANTED)
        runs = runs_of(app)
        run = await runs.claim_build(started.task_id, "w1")
        stage = await runs.start_stage(run, (await runs.list_stages(run))[0])
        store.before("status", "completed", lambda: runs.take_over(run.task, "w2"))
        with pytest.raises(LeaseLost):
            await runs.complete_stage(run, stage, RESULT, progress=11.1)
        [intake, *_] = await runs.list_stages(run)
        assert (intake.status, intake.attempt, intake.output_data) == ("pending", 1, None)


async def test_of_two_restarts_at_one_moment_one_begins_a_build() -> None:
    store = Overtaken()
    async with open_app(structs.replace(make_adapters(), tables=store), serving=False) as app:
        started = await app.services.builds.start(ANN, WANTED)
        await command(app, started.project_id, "stop")
        store.before("status", "queued", lambda: command(app, started.project_id, "restart"))
        with pytest.raises(WrongState) as refused:
            await command(app, started.project_id, "restart")
        assert refused.value.facts["status"] == "queued"
        assert (await app.services.projects.get(ANN, started.project_id)).build_no == 2


async def test_a_deletion_that_a_restart_overtakes_is_refused() -> None:
    store = Overtaken()
    async with open_app(structs.replace(make_adapters(), tables=store), serving=False) as app:
        started = await app.services.builds.start(ANN, WANTED)
        await command(app, started.project_id, "stop")
        store.before("deleted_at", ANYTHING, lambda: command(app, started.project_id, "restart"))
        with pytest.raises(WrongState) as refused:
            await app.services.deletions.delete_project(ANN, started.project_id)
        assert refused.value.facts["status"] == "queued"


async def test_a_build_that_is_resumed_while_it_halts_goes_on_at_once() -> None:
    gate, store = Gate(), Overtaken()
    model = script(requirements=[turn(gate, *said(REQUIREMENTS).pieces), said(REQUIREMENTS)])
    async with open_app(structs.replace(make_adapters(model), tables=store)) as app:
        started = await app.services.builds.start(ANN, WANTED)
        await gate.reached.wait()
        await command(app, started.project_id, "pause")
        store.before("status", "paused", lambda: command(app, started.project_id, "resume"))
        gate.opened.set()
        await app.queue.drain_jobs(5)
        assert store.has_happened
        assert (await app.services.projects.get(ANN, started.project_id)).status != "building"


async def test_a_build_whose_finished_files_are_gone_fails_and_says_so() -> None:
    async with open_app(make_adapters(script(requirements=[])), serving=False) as first:
        started = await first.services.builds.start(ANN, WANTED)
        await first.services.build_runner.run_build_job(started.task_id)
        assert (await first.services.projects.get(ANN, started.project_id)).status == "failed"
        await command(first, started.project_id, "retry")
        emptied = structs.replace(
            make_adapters(like=first.adapters, clock=first.clock, worker_id="w2"), repository=MemoryRepository()
        )
        async with open_app(emptied, serving=False) as app:
            task = await app.services.projects.get_active_task(ANN, started.project_id)
            try:
                await app.services.build_runner.run_build_job(task.task_id)
            except NexusError as error:
                assert error.facts["code"] == "files_lost"
            project = await app.services.projects.get(ANN, started.project_id)
            assert (project.status, (project.error_info or {}).get("code")) == ("failed", "files_lost")
