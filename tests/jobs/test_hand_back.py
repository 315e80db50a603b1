"""What becomes of work that waits when its process ends in good order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from msgspec import structs

from nexus.domain.builds.model import RunBuild, Started
from nexus.domain.projects.model import FinishDeletion
from nexus.domain.sessions.model import Reply, WriteReply
from nexus.domain.tasks.model import Task
from nexus.jobs.registry import REGISTRY, encode
from nexus.jobs.runner import Runner
from tests.domain.builds.scripts import BRIEF, said, script
from tests.domain.builds.test_builds import WANTED
from tests.fakes.jobs import MemoryJobs
from tests.fakes.models import Gate, turn
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app


@asynccontextmanager
async def taken_over(builds: int) -> AsyncIterator[tuple[MemoryApp, list[Started]]]:
    """An app that took over builds from a process which was in the middle of them; nothing runs in it by itself."""
    gate = Gate()
    answers = [*[turn(gate, "late")] * builds, *[said(BRIEF)] * builds]
    async with open_app(make_adapters(script(builds=builds, intake=answers))) as dead:
        started = [await dead.services.builds.start(ANN, WANTED) for _ in range(builds)]
        model: Any = dead.adapters.default_model
        while model.open < builds:
            await asyncio.sleep(0)
        on = structs.replace(make_adapters(like=dead.adapters, clock=dead.clock, worker_id="w2"), queue=MemoryJobs())
        async with open_app(on) as app:
            await app.sweeper.recover_jobs_at_start(alone=True)
            assert {(task.status, task.worker_id) for task in await tasks_of(app, started)} == {("running", "w2")}
            yield app, started
            gate.opened.set()
            await dead.queue.drain_jobs(5)


def runner_of(app: MemoryApp) -> Runner:
    return Runner(services=app.services, worker_id=app.adapters.worker_id)


async def tasks_of(app: MemoryApp, started: list[Started]) -> list[Task]:
    return [await app.services.tasks.read(build.task_id) for build in started]


async def test_builds_that_were_taken_over_and_wait_go_back_into_the_queue_and_then_go_on() -> None:
    async with taken_over(3) as (app, started):
        await app.queue.drain_jobs(0)
        tasks = await tasks_of(app, started)
        assert {(task.status, task.worker_id, task.retry_count) for task in tasks} == {("queued", None, 1)}
        for build in started:
            assert (await app.services.projects.get(ANN, build.project_id)).status == "queued"
        on = structs.replace(make_adapters(like=app.adapters, clock=app.clock, worker_id="w3"), queue=MemoryJobs())
        async with open_app(on) as last:
            await last.sweeper.recover_jobs_at_start(alone=True)
            await last.queue.wait_until_idle()
            for build in started:
                project = await last.services.projects.get(ANN, build.project_id)
                assert (project.status, project.error_info) == ("completed", None)
                stages = await last.services.projects.list_current_stages(ANN, build.project_id)
                assert {stage.attempt for stage in stages} == {1}


async def test_builds_that_are_to_pause_or_stop_when_they_are_handed_back_do() -> None:
    async with taken_over(2) as (app, [first, second]):
        await app.services.builds.execute_build_command(ANN, first.project_id, "pause")
        await app.services.builds.execute_build_command(ANN, second.project_id, "stop")
        await app.queue.drain_jobs(0)
        assert [task.status for task in await tasks_of(app, [first, second])] == ["pending", "cancelled"]


async def test_what_nobody_has_and_what_another_has_stays_as_it_is() -> None:
    async with taken_over(1) as (app, [running]):
        other = make_adapters(like=app.adapters, clock=app.clock, worker_id="w3")
        async with open_app(other, serving=False) as beside:
            queued = await beside.services.builds.start(ANN, WANTED)
            before = await tasks_of(beside, [running, queued])
            for task_id in (running.task_id, queued.task_id, "tsk_none"):
                await runner_of(beside).release_unstarted_job(encode(RunBuild(task_id=task_id)))
            assert await tasks_of(beside, [running, queued]) == before


async def test_a_purge_has_nothing_to_hand_back() -> None:
    assert [spec.job for spec in REGISTRY.specs if spec.hand_back is None] == [FinishDeletion]
    async with open_app(serving=False) as app:
        await runner_of(app).release_unstarted_job(encode(FinishDeletion(task_id="tsk_none")))


async def test_what_cannot_be_handed_back_keeps_nothing_else_from_it() -> None:
    gone = Reply(
        session_id="ses", reply_id="msg", agent_id="agt", tenant_id="t", user_id="u", asked="msg_0", created_at="2026"
    )
    async with taken_over(1) as (app, [build]):
        assert app.services.replies.register_local_reply(gone)
        await app.queue.enqueue_job(WriteReply(reply_id="msg"), key="msg", priority=5)
        await app.queue.drain_jobs(0)
        [task] = await tasks_of(app, [build])
        assert task.status == "queued"
