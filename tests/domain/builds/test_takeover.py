"""An executor that died, or only seemed to: the next one goes on, and nothing the first one writes later counts."""

import pytest
from msgspec import structs

from nexus.domain.ports.database import Tables, Window
from nexus.domain.projects.model import Command
from nexus.domain.tasks.execution import LeaseTimes
from tests.domain.builds.scripts import (
    ARCHITECTURE,
    BRIEF,
    DESIGN,
    PROMPT,
    REQUIREMENTS,
    WRITTEN,
    doubling,
    said,
    script,
)
from tests.domain.builds.test_builds import STAGES, WANTED, over
from tests.fakes.models import Gate, Turn, turn
from tests.memory_app import ANN, make_adapters, open_app

ANSWERS = {
    "intake": BRIEF,
    "requirements": REQUIREMENTS,
    "architecture": ARCHITECTURE,
    "design": DESIGN,
    "tools": WRITTEN,
    "prompt": PROMPT,
}


def held(stage: str, gate: Gate) -> dict[str, list[Turn]]:
    """A script in which the first answer for a stage is held, and the second one comes."""
    if stage in ("verification", "deployment"):
        early = [] if stage == "verification" else doubling(1)
        return {"reply": [*early, turn(gate, "late"), *doubling(2), *doubling(3)]}
    answer = said(ANSWERS[stage])
    return {stage: [turn(gate, *answer.pieces), answer]}


@pytest.mark.parametrize("stage", [*ANSWERS, "verification", "deployment"])
async def test_a_build_goes_on_after_its_process_died_in(stage: str) -> None:
    gate = Gate()
    async with open_app(make_adapters(script(**held(stage, gate)))) as dead:
        started = await dead.services.builds.start(ANN, WANTED)
        await gate.reached.wait()
        async with open_app(make_adapters(like=dead.adapters, clock=dead.clock, worker_id="w2")) as app:
            await app.sweeper.recover_jobs_at_start(alone=True)
            project = await over(app, started.project_id)
            assert (project.status, project.error_info) == ("completed", None)
            before = STAGES[: STAGES.index(stage)]
            asked = [request.purpose for request in app.adapters.default_model.requests]
            assert all(asked.count(f"build.{name}") == 1 for name in before if name in ANSWERS)
            keys = [commit.key for commit in await app.services.projects.list_commits(ANN, started.project_id)]
            assert sorted(keys) == sorted(f"1/{name}" for name in STAGES)
            stages = await app.services.projects.list_current_stages(ANN, started.project_id)
            assert {row.attempt for row in stages} == {1}
            gate.opened.set()
            await dead.queue.drain_jobs(5)
            after = await app.services.projects.get(ANN, started.project_id)
            assert (after.events, after.revision) == (project.events, project.revision)
            [agent] = (await app.services.agents.list_agents(ANN, Window())).items
            assert agent.versions == 1


async def test_what_was_queued_when_the_process_died_starts_by_itself() -> None:
    async with open_app(make_adapters(script()), serving=False) as dead:
        started = await dead.services.builds.start(ANN, WANTED)
        async with open_app(make_adapters(like=dead.adapters, clock=dead.clock, worker_id="w2")) as app:
            await app.sweeper.recover_jobs_at_start(alone=True)
            assert (await over(app, started.project_id)).status == "completed"


async def test_a_dead_run_is_seen_behind_two_thousand_that_are_queued() -> None:
    gate = Gate()
    async with open_app(make_adapters(script(design=[turn(gate, "late"), said(DESIGN)]))) as dead:
        started = await dead.services.builds.start(ANN, WANTED)
        await gate.reached.wait()
        queued = structs.replace(await dead.services.tasks.read(started.task_id), status="queued")
        tables = Tables(dead.adapters.tables, secret=dead.adapters.secret, clock=dead.clock)
        for number in range(2000):
            task_id = f"tsk_{number}"
            await tables.commit(dead.services.tasks.make_insert_write(structs.replace(queued, task_id=task_id)))
        dead.clock.now += 60
        assert started.task_id in {task.task_id for task in await dead.services.tasks.executions.list_due_rows()}


@pytest.mark.parametrize(("command", "status"), [("pause", "paused"), ("stop", "cancelled")])
async def test_a_wish_that_nobody_alive_heard_is_met_by_the_next_process(command: Command, status: str) -> None:
    gate = Gate()
    async with open_app(make_adapters(script(design=[turn(gate, "late")]))) as dead:
        started = await dead.services.builds.start(ANN, WANTED)
        await gate.reached.wait()
        project = await dead.services.projects.get(ANN, started.project_id)
        await dead.services.projects.execute_command(ANN, project.project_id, command)
        async with open_app(make_adapters(like=dead.adapters, clock=dead.clock, worker_id="w2")) as app:
            await app.sweeper.recover_jobs_at_start(alone=True)
            assert (await app.services.projects.get(ANN, started.project_id)).status == status


async def test_a_sweeper_takes_over_only_what_did_not_beat_for_a_lease() -> None:
    gate, now = Gate(), 100.0
    async with open_app(make_adapters(script(design=[turn(gate, "late"), said(DESIGN)]))) as dead:
        started = await dead.services.builds.start(ANN, WANTED)
        await gate.reached.wait()
        dead.clock.now += 60
        async with open_app(make_adapters(like=dead.adapters, clock=dead.clock, worker_id="w2")) as app:
            app.sweeper._still._timer = lambda: now
            await app.sweeper.recover_lost_jobs()
            assert (await app.services.projects.get_active_task(ANN, started.project_id)).worker_id == "w1"
            now += 29
            await app.sweeper.recover_lost_jobs()
            task = await app.services.projects.get_active_task(ANN, started.project_id)
            assert (task.worker_id, task.retry_count) == ("w1", 0)
            now += 2
            await app.sweeper.recover_lost_jobs()
            assert (await over(app, started.project_id)).status == "completed"
            task = await app.services.projects.get_active_task(ANN, started.project_id)
            assert (task.worker_id, task.retry_count) == ("w2", 1)


@pytest.mark.parametrize(("command", "status"), [("pause", "paused"), ("stop", "cancelled")])
async def test_a_wish_that_no_executor_answers_is_met_without_it(command: Command, status: str) -> None:
    gate = Gate()
    async with open_app(make_adapters(script(design=[turn(gate, "late")]))) as hung:
        started = await hung.services.builds.start(ANN, WANTED)
        await gate.reached.wait()
        impatient = structs.replace(
            make_adapters(like=hung.adapters, clock=hung.clock, worker_id="w2"), leases=LeaseTimes(answer=0.0)
        )
        async with open_app(impatient) as app:
            asked = await app.services.builds.execute_build_command(ANN, started.project_id, command)
            assert (asked.status, asked.control_status) == ("building", "paused" if command == "pause" else "stopped")
            await app.sweeper.apply_unanswered_controls()
            ended = await app.services.projects.get(ANN, started.project_id)
            assert ended.status == status
            gate.opened.set()
            await hung.queue.drain_jobs(5)
            assert await app.services.projects.get(ANN, started.project_id) == ended


@pytest.mark.parametrize(("command", "status"), [("pause", "paused"), ("stop", "cancelled")])
async def test_a_run_that_was_taken_over_and_waits_for_a_place_answers_to_wishes(command: Command, status: str) -> None:
    gate = Gate()
    async with open_app(make_adapters(script(design=[turn(gate, "late")]))) as dead:
        started = await dead.services.builds.start(ANN, WANTED)
        await gate.reached.wait()
        after = structs.replace(
            make_adapters(like=dead.adapters, clock=dead.clock, worker_id="w2"), leases=LeaseTimes(answer=0.0)
        )
        async with open_app(after, serving=False) as app:
            await app.sweeper.recover_jobs_at_start(alone=True)
            assert (
                await app.services.builds.execute_build_command(ANN, started.project_id, command)
            ).status == "building"
            await app.sweeper.apply_unanswered_controls()
            assert (await app.services.projects.get(ANN, started.project_id)).status == status


async def test_a_wish_that_was_taken_back_in_time_ends_nothing() -> None:
    gate = Gate()
    async with open_app(make_adapters(script(design=[turn(gate, *said(DESIGN).pieces)]))) as hung:
        started = await hung.services.builds.start(ANN, WANTED)
        await gate.reached.wait()
        after = structs.replace(
            make_adapters(like=hung.adapters, clock=hung.clock, worker_id="w2"), leases=LeaseTimes(answer=0.0)
        )
        async with open_app(after, serving=False) as app:
            await app.services.builds.execute_build_command(ANN, started.project_id, "pause")
            await app.services.builds.execute_build_command(ANN, started.project_id, "resume")
            await app.sweeper.apply_unanswered_controls()
            project = await app.services.projects.get(ANN, started.project_id)
            assert (project.status, project.control_status) == ("building", "running")
            gate.opened.set()
        assert (await over(hung, started.project_id)).status == "completed"
