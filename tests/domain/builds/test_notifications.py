"""What other systems are told: how a build ended, and which version answers. Once each, after the commit."""

import pytest

from nexus.domain.agents.deployments import Wanted
from nexus.domain.ports.notifications import Notification
from nexus.domain.requests.model import make_idempotency_key
from tests.domain.builds.scripts import script
from tests.domain.builds.test_builds import WANTED, over
from tests.fakes.models import Gate, turn
from tests.fakes.notifications import MemoryNotifier
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app


def list_sent(app: MemoryApp) -> list[Notification]:
    assert isinstance(app.adapters.notifier, MemoryNotifier)
    return app.adapters.notifier.sent


async def test_a_build_tells_what_it_deployed_and_how_it_ended() -> None:
    async with open_app(make_adapters(script())) as app:
        started = await app.services.builds.start(ANN, WANTED)
        project = await over(app, started.project_id)
        deployed, ended = list_sent(app)
        assert (deployed.type, deployed.agent_ids, deployed.version, deployed.build_no) == (
            "agent.deployed",
            project.agent_ids,
            1,
            1,
        )
        assert project.completed_at
        assert ended == Notification(
            type="build.completed",
            tenant_id=ANN.tenant_id,
            user_id=ANN.user_id,
            project_id=project.project_id,
            build_no=1,
            task_id=started.task_id,
            agent_ids=project.agent_ids,
            status="completed",
            at=project.completed_at,
        )


async def test_a_user_who_deploys_is_told_of_once_however_often_the_request_comes() -> None:
    async with open_app(make_adapters(script())) as app:
        project = await over(app, (await app.services.builds.start(ANN, WANTED)).project_id)
        list_sent(app).clear()
        for _ in range(2):
            once = make_idempotency_key("k", "POST deployments", b"{}")
            deployment = await app.services.deployments.deploy(ANN, project.agent_ids[0], Wanted(), once=once)
        [told] = list_sent(app)
        assert (told.type, told.user_id, told.agent_ids, told.at, told.build_no) == (
            "agent.deployed",
            ANN.user_id,
            project.agent_ids,
            deployment.created_at,
            None,
        )


@pytest.mark.parametrize("runs", [True, False])
async def test_a_build_that_is_stopped_tells_so_whether_it_ran_or_waited(runs: bool) -> None:
    gate = Gate()
    async with open_app(make_adapters(script(intake=[turn(gate, "late")])), serving=runs) as app:
        started = await app.services.builds.start(ANN, WANTED)
        if runs:
            await gate.reached.wait()
        await app.services.builds.execute_build_command(ANN, started.project_id, "stop")
        project = await over(app, started.project_id)
        [told] = list_sent(app)
        assert (told.type, told.status, told.at) == ("build.cancelled", "cancelled", project.completed_at)


async def test_a_build_that_fails_tells_so() -> None:
    async with open_app(make_adapters(script(intake=[turn("no form")] * 9))) as app:
        project = await over(app, (await app.services.builds.start(ANN, WANTED)).project_id)
        [told] = list_sent(app)
        assert (told.type, told.status, told.agent_ids) == ("build.failed", project.status, [])
