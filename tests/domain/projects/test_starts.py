"""When a build started: told of that build itself, whatever became of the ones before it, and of its own executors."""

import pytest

from nexus.domain.projects.leases import BuildLeases
from nexus.domain.projects.model import Build, Command, Run
from tests.domain.builds.test_builds import WANTED
from tests.memory_app import ANN, MemoryApp, open_app


def runs_of(app: MemoryApp) -> BuildLeases:
    return app.services.build_runner._leases


async def starts(app: MemoryApp, project_id: str) -> tuple[str | None, ...]:
    """Of the project, of its build and of its task."""
    projects = app.services.projects
    project, build = await projects.get(ANN, project_id), await projects.get_current_build(ANN, project_id)
    return project.started_at, build.started_at, (await projects.get_active_task(ANN, project_id)).started_at


async def failed(app: MemoryApp) -> tuple[Run, Build]:
    started = await app.services.builds.start(ANN, WANTED)
    run = await runs_of(app).claim_build(started.task_id, "w1")
    await runs_of(app).fail_build(run, {"message": "It went wrong."})
    return run, await app.services.projects.get_current_build(ANN, started.project_id)


@pytest.mark.parametrize("command", ["retry", "restart"])
async def test_a_rebuilt_project_tells_its_own_start_from_its_first_claim_on(command: Command) -> None:
    async with open_app(serving=False) as app:
        run, first = await failed(app)
        project_id = run.project.project_id
        again = await app.services.builds.execute_build_command(ANN, project_id, command)
        assert await starts(app, project_id) == (None, None, None)
        await runs_of(app).claim_build(again.active_task_id, "w1")
        second = await app.services.projects.get_current_build(ANN, project_id)
        assert first.completed_at
        assert second.started_at
        assert first.completed_at < second.created_at < second.started_at
        assert await starts(app, project_id) == (second.started_at,) * 3


async def test_a_rebuilt_project_that_is_stopped_before_it_began_has_no_start() -> None:
    async with open_app(serving=False) as app:
        run, _ = await failed(app)
        await app.services.builds.execute_build_command(ANN, run.project.project_id, "restart")
        stopped = await app.services.builds.execute_build_command(ANN, run.project.project_id, "stop")
        assert (stopped.status, stopped.started_at) == ("cancelled", None)


async def test_a_build_keeps_its_start_through_a_takeover_a_pause_and_a_drain() -> None:
    async with open_app(serving=False) as app:
        run, _ = await failed(app)
        project_id, runs = run.project.project_id, runs_of(app)
        task_id = (await app.services.builds.execute_build_command(ANN, project_id, "retry")).active_task_id
        run = await runs.claim_build(task_id, "w1")
        began = await starts(app, project_id)
        app.clock.now += 60
        run = await runs.take_over(run.task, "w2")
        assert await starts(app, project_id) == began
        await app.services.builds.execute_build_command(ANN, project_id, "pause")
        await runs.mark_build_paused(run)
        assert await starts(app, project_id) == began
        await app.services.builds.execute_build_command(ANN, project_id, "resume")
        await runs.release_build(await runs.claim_build(task_id, "w1"))
        await runs.claim_build(task_id, "w2")
        assert await starts(app, project_id) == began
