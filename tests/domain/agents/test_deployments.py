"""Versions that users deploy: which, under what they accept, and what happens when something else happens at the same time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from msgspec import structs

from nexus.domain.agents.deployments import Wanted
from nexus.domain.agents.model import Agent, Deployment, NotAccepted, NotDeployable
from nexus.domain.agents.tables import AGENTS, DEPLOYMENTS, VERSIONS
from nexus.domain.audit.tables import AUDIT
from nexus.domain.core.errors import InvalidInput, NotFound, PreconditionFailed
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import Window
from nexus.domain.ports.rows import insert, patch
from nexus.domain.requests.model import make_idempotency_key
from nexus.domain.requests.service import KeyReused
from tests.domain.builds.scripts import script
from tests.domain.builds.test_builds import over
from tests.domain.builds.test_verdicts import FAILED, PARTIAL, WHY, built, the_agent
from tests.domain.projects.test_races import Overtaken
from tests.fakes.models import Turn
from tests.memory_app import ANN, BEN, EVE, MemoryApp, make_adapters, open_app

PARTLY = Wanted(accept_partial=True)


@asynccontextmanager
async def a_app(turns: dict[str, list[Turn]], *, builds: int = 1) -> AsyncIterator[tuple[MemoryApp, Agent, Overtaken]]:
    """With one agent, built as the turns say."""
    store = Overtaken()
    async with open_app(structs.replace(make_adapters(script(builds=builds, **turns)), tables=store)) as app:
        await built(app)
        agent, _ = await the_agent(app)
        yield app, agent, store


async def deployed(app: MemoryApp, agent: Agent) -> Sequence[Deployment]:
    return (await app.services.deployments.list_deployments(ANN, agent.agent_id, Window(newest_first=True))).items


async def notes(app: MemoryApp, caller: Principal) -> list[tuple[str, str, dict[str, object]]]:
    tables = app.services.agents._tables
    found = (await tables.read_page(AUDIT, caller.tenant_id, window=Window(limit=100))).items
    return [(entry.user_id, entry.subject, entry.facts) for entry in found if entry.verb == "agent.deployed"]


async def test_a_partial_version_is_deployed_only_when_that_is_accepted_and_it_is_noted_who_did_it() -> None:
    async with a_app(PARTIAL) as (app, agent, _):
        with pytest.raises(NotAccepted) as refused:
            await app.services.deployments.deploy(BEN, agent.agent_id, Wanted())
        assert "FR-2" in refused.value.detail and WHY in refused.value.detail
        assert "accept_partial" in refused.value.detail
        assert (await the_agent(app))[0].active_version == 0
        assert await notes(app, BEN) == []
        made = await app.services.deployments.deploy(BEN, agent.agent_id, PARTLY)
        assert (made.version, made.verdict, made.user_id) == (1, "partial", BEN.user_id)
        after, _ = await the_agent(app)
        assert (after.active_version, after.status, after.deployed_at) == (1, "running", made.created_at)
        assert await deployed(app, agent) == [made]
        assert await notes(app, BEN) == [
            (BEN.user_id, agent.agent_id, {"version": 1, "verdict": "partial", "build_no": 1})
        ]


async def test_a_failed_version_is_not_deployed_by_what_accepts_a_partial_one() -> None:
    async with a_app(FAILED) as (app, agent, _):
        with pytest.raises(NotAccepted) as refused:
            await app.services.deployments.deploy(ANN, agent.agent_id, PARTLY)
        assert "accept_failed" in refused.value.detail
        assert refused.value.facts["verdict"] == "failed"
        made = await app.services.deployments.deploy(ANN, agent.agent_id, Wanted(accept_failed=True))
        assert (made.version, made.verdict) == (1, "failed")


async def test_an_older_version_answers_again_and_the_newest_one_is_the_default() -> None:
    async with a_app({}, builds=2) as (app, agent, _):
        await app.services.builds.execute_build_command(ANN, agent.project_id, "restart")
        await over(app, agent.project_id)
        assert (await the_agent(app))[0].active_version == 2
        await app.services.deployments.deploy(ANN, agent.agent_id, Wanted(version=1))
        assert (await the_agent(app))[0].active_version == 1
        await app.services.deployments.deploy(ANN, agent.agent_id, Wanted())
        assert (await the_agent(app))[0].active_version == 2
        assert [row.version for row in await deployed(app, agent)] == [2, 1, 2, 1]


@pytest.mark.parametrize("number", [2, 10**30])
async def test_a_version_that_is_not_there_is_refused_with_those_that_are(number: int) -> None:
    async with a_app({}) as (app, agent, _):
        with pytest.raises(InvalidInput, match="1 to 1"):
            await app.services.deployments.deploy(ANN, agent.agent_id, Wanted(version=number))


async def test_what_is_anothers_or_gone_is_not_found() -> None:
    async with a_app(PARTIAL) as (app, agent, _):
        deploy = app.services.deployments.deploy
        with pytest.raises(NotFound):
            await deploy(EVE, agent.agent_id, PARTLY)
        with pytest.raises(NotFound):
            await app.services.deployments.list_deployments(EVE, agent.agent_id, Window())
        await app.services.agents.update(ANN, agent.agent_id, {"visibility": "private"})
        with pytest.raises(NotFound):
            await deploy(BEN, agent.agent_id, PARTLY)
        await app.services.agents.delete(ANN, agent.agent_id)
        with pytest.raises(NotFound):
            await deploy(ANN, agent.agent_id, PARTLY)


async def test_a_key_that_comes_again_deploys_once() -> None:
    async with a_app(PARTIAL) as (app, agent, _):
        key, other = (
            make_idempotency_key("k", "POST deployments", b"{}"),
            make_idempotency_key("k", "POST deployments", b"[]"),
        )
        made = [await app.services.deployments.deploy(ANN, agent.agent_id, PARTLY, once=key) for _ in range(3)]
        assert made[0] == made[1] == made[2]
        assert await deployed(app, agent) == made[:1]
        with pytest.raises(KeyReused):
            await app.services.deployments.deploy(ANN, agent.agent_id, PARTLY, once=other)


async def test_one_key_at_the_same_time_deploys_once_in_one_process_and_in_two() -> None:
    async with (
        a_app(PARTIAL) as (app, agent, store),
        open_app(make_adapters(like=app.adapters), serving=False) as other,
    ):
        key = make_idempotency_key("k", "POST deployments", b"{}")
        deploy, elsewhere = app.services.deployments.deploy, other.services.deployments.deploy
        store.before("deployment_id", "anything", lambda: elsewhere(ANN, agent.agent_id, PARTLY, once=key))
        made = await deploy(ANN, agent.agent_id, PARTLY, once=key)
        assert store.has_happened
        both = await asyncio.gather(*(deploy(ANN, agent.agent_id, PARTLY, once=key) for _ in range(2)))
        assert both == [made, made]
        assert await deployed(app, agent) == [made]


async def test_a_deployment_holds_only_for_the_revision_that_was_read() -> None:
    async with a_app(PARTIAL) as (app, agent, store):
        wanted = structs.replace(PARTLY, revision=agent.revision)
        rename = app.services.agents.update
        store.before("deployment_id", "anything", lambda: rename(ANN, agent.agent_id, {"agent_name": "Twice"}))
        with pytest.raises(PreconditionFailed):
            await app.services.deployments.deploy(ANN, agent.agent_id, wanted)
        after, _ = await the_agent(app)
        assert (after.agent_name, after.active_version) == ("Twice", 0)
        await app.services.deployments.deploy(ANN, agent.agent_id, structs.replace(wanted, revision=after.revision))


async def test_of_two_deployments_at_once_the_later_one_answers() -> None:
    async with a_app({}, builds=2) as (app, agent, store):
        await app.services.builds.execute_build_command(ANN, agent.project_id, "restart")
        await over(app, agent.project_id)
        deploy = app.services.deployments.deploy
        store.before("deployment_id", "anything", lambda: deploy(BEN, agent.agent_id, Wanted(version=2)))
        await deploy(ANN, agent.agent_id, Wanted(version=1))
        assert store.has_happened
        assert [(row.user_id, row.version) for row in await deployed(app, agent)][:2] == [
            (ANN.user_id, 1),
            (BEN.user_id, 2),
        ]
        assert (await the_agent(app))[0].active_version == 1


async def test_many_deployments_at_once_all_come_to_an_end_and_the_last_row_answers() -> None:
    async with a_app({}, builds=2) as (app, agent, _):
        await app.services.builds.execute_build_command(ANN, agent.project_id, "restart")
        await over(app, agent.project_id)
        numbers = [1, 2, 1, 2]
        await asyncio.gather(
            *(app.services.deployments.deploy(ANN, agent.agent_id, Wanted(version=number)) for number in numbers)
        )
        rows = await deployed(app, agent)
        assert len(rows) == 2 + len(numbers)
        assert (await the_agent(app))[0].active_version == rows[0].version


async def test_a_deployment_that_a_deletion_overtakes_leaves_nothing() -> None:
    async with a_app(PARTIAL) as (app, agent, store):
        store.before("deployment_id", "anything", lambda: app.services.agents.delete(ANN, agent.agent_id))
        with pytest.raises(NotFound):
            await app.services.deployments.deploy(ANN, agent.agent_id, PARTLY)
        tables = app.services.agents._tables
        left = await tables.find(AGENTS, agent.agent_id)
        assert left is None or (left.deleted_at and left.active_version == 0)
        assert (await tables.read_page(DEPLOYMENTS, agent.agent_id)).items == []


async def test_the_deployment_of_a_build_that_a_deletion_overtakes_is_skipped() -> None:
    store = Overtaken()
    async with open_app(structs.replace(make_adapters(script()), tables=store)) as app:

        async def delete() -> None:
            agent, _ = await the_agent(app)
            await app.services.agents.delete(ANN, agent.agent_id)

        store.before("deployment_id", "anything", delete)
        project = await built(app)
        assert store.has_happened
        assert project.status == "completed"
        assert (await app.services.agents.list_agents(ANN, Window())).items == []
        last = (await app.services.projects.list_current_stages(ANN, project.project_id))[-1]
        assert last.status == "skipped"


async def test_a_user_who_deploys_while_a_build_registers_its_version_disturbs_nothing() -> None:
    async with a_app({}, builds=2) as (app, agent, store):
        deploy = app.services.deployments.deploy
        store.before("commit_id", "anything", lambda: deploy(ANN, agent.agent_id, Wanted(version=1)))
        await app.services.builds.execute_build_command(ANN, agent.project_id, "restart")
        project = await over(app, agent.project_id)
        assert store.has_happened
        assert (project.status, project.verdict) == ("completed", "passed")
        after, _ = await the_agent(app)
        assert (after.versions, after.active_version) == (2, 2)


@pytest.mark.parametrize("meanwhile", ["rename", "delete"])
async def test_a_change_while_a_build_registers_its_version_does_not_fail_the_build(meanwhile: str) -> None:
    async with a_app({}, builds=2) as (app, agent, store):
        agents = app.services.agents

        async def change() -> None:
            if meanwhile == "delete":
                await agents.delete(ANN, agent.agent_id)
            else:
                await agents.update(ANN, agent.agent_id, {"agent_name": "Twice"})

        store.before("commit_id", "anything", change)
        await app.services.builds.execute_build_command(ANN, agent.project_id, "restart")
        project = await over(app, agent.project_id)
        assert store.has_happened
        assert (project.status, project.verdict) == ("completed", "passed")
        after, _ = await the_agent(app)
        assert after.versions == after.active_version
        assert (await app.services.statistics.read_overview(ANN)).agents == 1


async def test_a_user_who_deploys_while_a_build_deploys_disturbs_nothing() -> None:
    async with a_app({}, builds=2) as (app, agent, store):
        deploy = app.services.deployments.deploy
        await app.services.builds.execute_build_command(ANN, agent.project_id, "restart")
        store.before("smoke_test", "That is 4.", lambda: deploy(ANN, agent.agent_id, Wanted(version=1)))
        project = await over(app, agent.project_id)
        assert store.has_happened
        stages = await app.services.projects.list_current_stages(ANN, project.project_id)
        assert (project.status, stages[-1].status) == ("completed", "completed")
        assert (await the_agent(app))[0].active_version == 2


async def test_a_version_whose_files_are_gone_is_not_deployed() -> None:
    async with a_app(PARTIAL) as (app, agent, _):
        tables = app.services.agents._tables
        version = await tables.get(VERSIONS, agent.agent_id, 1)
        lost = structs.replace(version, version=2, commit_id="0" * 40)
        await tables.commit(insert(VERSIONS, lost), patch(AGENTS, agent, versions=2))
        with pytest.raises(NotDeployable, match="Version 2"):
            await app.services.deployments.deploy(ANN, agent.agent_id, PARTLY)
