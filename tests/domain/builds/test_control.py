"""Pause, resume, stop, retry and restart, while a scripted model is held in mid-answer."""

import pytest

from nexus.domain.builds.rules import compute_retry_delay
from nexus.domain.core.errors import NotFound, Unavailable
from nexus.domain.projects.model import WrongState
from nexus.domain.projects.starts import Opening
from tests.domain.builds.scripts import BRIEF, DESIGN, PROMPT, REQUIREMENTS, said, script
from tests.domain.builds.test_builds import WANTED, over
from tests.fakes.models import Gate, turn
from tests.memory_app import ANN, EVE, MemoryApp, make_adapters, open_app


async def until(app: MemoryApp, project_id: str, status: str) -> None:
    async for _ in await app.services.projects.stream_build_events(ANN, project_id):
        if (await app.services.projects.get(ANN, project_id)).status == status:
            return


async def test_stop_cuts_the_model_call_and_ends_cancelled() -> None:
    gate = Gate()
    async with open_app(make_adapters(script(requirements=[turn(gate, "late")]))) as app:
        started = await app.services.builds.start(ANN, WANTED)
        await gate.reached.wait()
        await app.services.builds.execute_build_command(ANN, started.project_id, "stop")
        project = await over(app, started.project_id)
        stages = await app.services.projects.list_current_stages(ANN, started.project_id)
        assert (project.status, project.control_status) == ("cancelled", "stopped")
        assert [stage.status for stage in stages][:3] == ["completed", "pending", "pending"]
        assert app.adapters.default_model.open == 0
        again = await app.services.builds.execute_build_command(ANN, started.project_id, "stop")
        assert again.status == "cancelled"
        with pytest.raises(WrongState) as refused:
            await app.services.builds.execute_build_command(ANN, started.project_id, "resume")
        assert refused.value.facts["status"] == "cancelled"


async def test_what_is_paused_while_queued_does_not_run_until_it_is_resumed() -> None:
    async with open_app(make_adapters(script()), serving=False) as app:
        started = await app.services.builds.start(ANN, WANTED)
        paused = await app.services.builds.execute_build_command(ANN, started.project_id, "pause")
        assert paused.status == "paused"
        await app.services.build_runner.run_build_job(started.task_id)
        assert app.adapters.default_model.requests == []
        resumed = await app.services.builds.execute_build_command(ANN, started.project_id, "resume")
        assert resumed.status == "queued"
        await app.services.build_runner.run_build_job(started.task_id)
        assert (await app.services.projects.get(ANN, started.project_id)).status == "completed"


async def test_what_is_stopped_while_queued_never_runs() -> None:
    async with open_app(make_adapters(script()), serving=False) as app:
        started = await app.services.builds.start(ANN, WANTED)
        stopped = await app.services.builds.execute_build_command(ANN, started.project_id, "stop")
        await app.services.build_runner.run_build_job(started.task_id)
        assert stopped.status == "cancelled"
        assert app.adapters.default_model.requests == []


async def test_pause_acts_at_the_next_step_and_resume_goes_on_from_the_same_stage() -> None:
    gate = Gate()
    model = script(intake=[turn(gate, said(BRIEF).pieces[0])], requirements=[said(REQUIREMENTS)])
    async with open_app(make_adapters(model)) as app:
        started = await app.services.builds.start(ANN, WANTED)
        await gate.reached.wait()
        asked = await app.services.builds.execute_build_command(ANN, started.project_id, "pause")
        assert (asked.status, asked.control_status) == ("building", "paused")
        gate.opened.set()
        await until(app, started.project_id, "paused")
        model.add(said(BRIEF), purpose="build.intake")
        await app.services.builds.execute_build_command(ANN, started.project_id, "resume")
        project = await over(app, started.project_id)
        assert project.status == "completed"
        commits = await app.services.projects.list_commits(ANN, started.project_id)
        assert len({commit.key for commit in commits}) == len(commits) == 9


async def test_a_failed_build_is_retried_from_the_stage_that_failed() -> None:
    model = script(design=[turn("nonsense")] * 4)
    async with open_app(make_adapters(model)) as app:
        started = await app.services.builds.start(ANN, WANTED)
        failed = await over(app, started.project_id)
        assert failed.status == "failed"
        assert failed.error_info and failed.error_info["stage"] == "design"
        assert "4 tries" in failed.error_info["message"]
        model.add(said(DESIGN), purpose="build.design")
        again = await app.services.builds.execute_build_command(ANN, started.project_id, "retry")
        assert (again.build_no, again.status) == (2, "queued")
        project = await over(app, started.project_id)
        assert project.status == "completed"
        keys = [commit.key for commit in await app.services.projects.list_commits(ANN, started.project_id)]
        assert keys[-3:] == ["1/architecture", "1/requirements", "1/intake"]
        assert keys[0] == "2/deployment"


async def test_one_malformed_answer_is_repaired() -> None:
    model = script(prompt=[turn("{"), said(PROMPT)])
    async with open_app(make_adapters(model)) as app:
        started = await app.services.builds.start(ANN, WANTED)
        assert (await over(app, started.project_id)).status == "completed"


async def test_a_completed_build_restarts_from_a_stage_under_the_next_number() -> None:
    model = script(prompt=[said(PROMPT), said(PROMPT)])
    async with open_app(make_adapters(model)) as app:
        started = await app.services.builds.start(ANN, WANTED)
        await over(app, started.project_id)
        with pytest.raises(WrongState):
            await app.services.builds.execute_build_command(ANN, started.project_id, "retry")
        model.add(*script()._by_purpose["reply"], purpose="reply")
        await app.services.builds.execute_build_command(ANN, started.project_id, "restart", from_stage="prompt")
        project = await over(app, started.project_id)
        assert (project.status, project.build_no) == ("completed", 2)
        [agent] = await app.services.agents.list_project_agents(ANN, started.project_id)
        assert (agent.versions, agent.active_version) == (2, 2)
        assert sum(request.purpose == "build.intake" for request in model.requests) == 1


async def test_a_model_that_asks_for_minutes_is_given_them_without_keeping_a_place() -> None:
    busy = turn(Unavailable("Too many requests.", reason="provider", code="rate_limited", retry_after=120.0))
    async with open_app(make_adapters(script(intake=[busy, said(BRIEF)]))) as app:
        started = await app.services.builds.start(ANN, WANTED)
        await app.queue.wait_until_idle()
        waiting = await app.services.projects.get(ANN, started.project_id)
        assert waiting.status == "queued"
        assert waiting.error_info
        assert waiting.error_info["code"] == "rate_limited"
        for seconds, status in ((100, "queued"), (22, "completed")):
            app.clock.now += seconds
            await app.sweeper.recover_lost_jobs()
            await app.queue.wait_until_idle()
            assert (await app.services.projects.get(ANN, started.project_id)).status == status
        [intake, *_] = await app.services.projects.list_current_stages(ANN, started.project_id)
        assert intake.attempt == 1


def test_a_rest_grows_is_spread_and_is_never_shorter_than_was_asked_for() -> None:
    assert [compute_retry_delay(failed, told=None, jitter=1.0) for failed in (1, 2, 3, 6, 20)] == [2, 4, 8, 60, 60]
    assert compute_retry_delay(2, told=None, jitter=0.0) == 2
    assert compute_retry_delay(1, told=30.0, jitter=0.5) == 30.5
    assert compute_retry_delay(5, told=1.0, jitter=1.0) == 32
    assert compute_retry_delay(1, told=1e9, jitter=0.0) == 600


async def test_an_unclear_requirement_ends_in_an_honest_failure_without_files() -> None:
    unclear = said(
        {"intent": "unclear", "problem": "There is no task in this.", "name": "x", "slug": "xxx", "language": "en"}
    )
    async with open_app(make_adapters(script(intake=[unclear]))) as app:
        started = await app.services.builds.start(ANN, Opening(requirement="hello there, how are you?"))
        project = await over(app, started.project_id)
        assert project.status == "failed"
        assert project.error_info and project.error_info["code"] == "requirement_unclear"
        assert await app.services.projects.list_commits(ANN, started.project_id) == []
        assert await app.services.agents.list_project_agents(ANN, started.project_id) == []


async def test_others_projects_do_not_exist() -> None:
    async with open_app(make_adapters(script()), serving=False) as app:
        started = await app.services.builds.start(ANN, WANTED)
        for verb in (
            app.services.projects.get(EVE, started.project_id),
            app.services.builds.execute_build_command(EVE, started.project_id, "stop"),
            app.services.projects.list_current_stages(EVE, started.project_id),
            app.services.projects.list_files(EVE, started.project_id),
            app.services.deletions.delete_project(EVE, started.project_id),
            app.services.tasks.get(EVE, started.task_id),
        ):
            with pytest.raises(NotFound):
                await verb
