"""A slug names one agent of a tenant: of two builds that want one, each has its own, and keeps it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec
import pytest
from msgspec import structs

from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.agents.slugs import Slugs
from nexus.domain.agents.tables import AGENTS
from nexus.domain.builds.outputs import Architecture, Duty
from nexus.domain.core.errors import Unavailable
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import Window
from nexus.domain.ports.models import Delta, End, ModelRequest
from nexus.domain.ports.rows import Write, insert
from nexus.domain.projects.model import Project
from tests.domain.agents.test_deployments import a_app
from tests.domain.builds.scripts import AGENT, doubling, said, script
from tests.domain.builds.test_builds import WANTED, over
from tests.domain.builds.test_verdicts import built
from tests.domain.projects.test_races import Overtaken
from tests.fakes.models import ScriptedModel
from tests.memory_app import ANN, EVE, MemoryApp, make_adapters, open_app


def slugs_of(app: MemoryApp) -> Slugs:
    return app.services.deletions._slugs


async def reserved(app: MemoryApp, project_id: str, *wanted: str, caller: Principal = ANN) -> Sequence[str]:
    found = await slugs_of(app).reserve_agent_slugs(caller.tenant_id, project_id, wanted)
    return [found[slug] for slug in wanted]


async def all_slugs(app: MemoryApp) -> list[str]:
    return sorted(agent.slug for agent in (await app.services.agents.list_agents(ANN, Window())).items)


class Doubler(ScriptedModel):
    """Builds doublers; its replies follow from what was said, so that several may be written at once."""

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | End, None]:
        if request.purpose == "reply":
            self._by_purpose["reply"].appendleft(doubling()[request.messages[-1].role == "tool"])
        async with aclosing(super().stream(request)) as answer:
            async for item in answer:
                yield item


async def test_two_builds_of_one_sentence_at_once_make_two_agents_with_slugs_of_their_own() -> None:
    model = Doubler(by_purpose=script(builds=2)._by_purpose)
    async with open_app(make_adapters(model)) as app:
        projects: list[Project] = await asyncio.gather(built(app), built(app))
        assert [project.verdict for project in projects] == ["passed", "passed"]
        assert await all_slugs(app) == ["doubler", "doubler_2"]
        [second] = [
            agent for agent in (await app.services.agents.list_agents(ANN, Window())).items if agent.slug == "doubler_2"
        ]
        files = await app.services.projects.list_files(ANN, second.project_id)
        assert "agents/doubler_2/agent.toml" in files
        assert not [path for path in files if path.startswith("agents/doubler/")]
        manifest = await app.services.projects.read_file(ANN, second.project_id, "agents/doubler_2/agent.toml")
        assert b'slug = "doubler_2"' in manifest


async def test_a_project_that_is_built_again_keeps_its_slug_though_the_first_one_is_free_by_then() -> None:
    async with open_app(make_adapters(script(builds=3))) as app:
        first, second = await built(app), await built(app)
        await app.services.builds.delete(ANN, first.project_id)
        await app.sweeper.recover_lost_jobs()
        await app.queue.wait_until_idle()
        await app.services.builds.execute_build_command(ANN, second.project_id, "restart")
        assert (await over(app, second.project_id)).verdict == "passed"
        [agent] = (await app.services.agents.list_agents(ANN, Window())).items
        assert (agent.slug, agent.versions) == ("doubler_2", 2)
        assert await reserved(app, "prj_3", "doubler") == ["doubler"]


async def test_an_agent_that_was_deleted_is_brought_back_under_its_slug() -> None:
    async with a_app({}, builds=2) as (app, agent, _):
        await app.services.agents.delete(ANN, agent.agent_id)
        assert await reserved(app, "prj_2", "doubler") == ["doubler_2"]
        await app.services.builds.execute_build_command(ANN, agent.project_id, "restart")
        await over(app, agent.project_id)
        assert await all_slugs(app) == ["doubler"]


async def test_tenants_share_no_slugs() -> None:
    async with open_app() as app:
        assert await reserved(app, "prj_1", "doubler") == ["doubler"]
        assert await reserved(app, "prj_2", "doubler", caller=EVE) == ["doubler"]


async def test_the_slug_of_an_agent_that_is_older_than_reservations_is_taken_and_stays_its_own() -> None:
    async with a_app({}) as (app, agent, _):
        await slugs_of(app).release_project_slugs(agent.project_id)
        assert await reserved(app, "prj_2", "doubler") == ["doubler_2"]
        assert await reserved(app, agent.project_id, "doubler") == ["doubler"]
        assert await reserved(app, "prj_3", "doubler") == ["doubler_3"]


async def test_of_two_old_agents_with_one_slug_each_keeps_its_own_until_one_has_reserved_it() -> None:
    async with a_app({}) as (app, agent, _):
        await slugs_of(app).release_project_slugs(agent.project_id)
        twin = structs.replace(agent, agent_id="agt_01K00000000000000000000000", project_id="prj_2")
        await app.services.agents._tables.commit(insert(AGENTS, twin))
        assert await reserved(app, "prj_2", "doubler") == ["doubler"]
        assert await reserved(app, agent.project_id, "doubler") == ["doubler_2"]
        assert await reserved(app, agent.project_id, "doubler") == ["doubler_2"]


async def test_a_slug_that_another_build_takes_in_between_is_left_to_it() -> None:
    store = Overtaken()
    async with open_app(structs.replace(make_adapters(), tables=store), serving=False) as app:
        store.before("slug", "doubler", lambda: reserved(app, "prj_2", "doubler"))
        assert await reserved(app, "prj_1", "doubler") == ["doubler_2"]
        assert store.has_happened
        assert await reserved(app, "prj_2", "doubler") == ["doubler"]


async def test_many_at_once_have_as_many_slugs() -> None:
    async with open_app(serving=False) as app:
        found = await asyncio.gather(*(reserved(app, f"prj_{number}", "doubler") for number in range(30)))
        assert sorted(slug for [slug] in found) == sorted(
            ["doubler", *(f"doubler_{number}" for number in range(2, 31))]
        )


@pytest.mark.parametrize(
    ("wanted", "second"),
    [
        ("a" * 40, "a" * 38 + "_2"),
        ("converter_2", "converter_2_2"),
        ("abc", "abc_2"),
    ],
)
async def test_a_number_behind_a_slug_leaves_it_within_forty_characters(wanted: str, second: str) -> None:
    async with open_app(serving=False) as app:
        assert await reserved(app, "prj_1", wanted) == [wanted]
        assert await reserved(app, "prj_2", wanted) == [second]
        assert await reserved(app, "prj_2", wanted) == [second]


async def test_the_agents_of_one_build_never_come_to_share_a_slug() -> None:
    async with open_app(serving=False) as app:
        await reserved(app, "prj_1", "one", "one_2")
        assert await reserved(app, "prj_2", "one", "one_2") == ["one_3", "one_2_2"]
        assert await reserved(app, "prj_3", "one") == ["one_4"]
        assert await reserved(app, "prj_3", "one_4", "one") == ["one_4_2", "one_4"]
        assert await reserved(app, "prj_4", "once") == ["once"]


def calling() -> ScriptedModel:
    """A model that plans an agent that asks another one."""
    one = structs.replace(AGENT, duties=[Duty(requirement="FR-1", tools=["double_it", "ask_helper"])], calls=["helper"])
    other = structs.replace(AGENT, slug="helper", name="Helper", duties=[Duty(requirement="FR-1", tools=["double_it"])])
    return script(architecture=[said(Architecture(agents=[one, other]))])


async def test_agents_that_ask_each_other_are_renamed_wherever_they_are_named() -> None:
    async with open_app(make_adapters(calling())) as app:
        await reserved(app, "prj_other", "doubler", "helper")
        started = await app.services.builds.start(ANN, WANTED)
        await over(app, started.project_id)
        text = await app.services.projects.read_file(ANN, started.project_id, "stages/architecture.json")
        planned = msgspec.json.decode(text, type=dict[str, Architecture])[""]
        assert [agent.slug for agent in planned.agents] == ["doubler_2", "helper_2"]
        assert planned.agents[0].calls == ["helper_2"]
        assert planned.agents[0].duties[0].tools == ["double_it", "ask_helper_2"]


class FailsOnce(MemoryTables):
    """A store that is away once, when the stage that named the agents is to be kept."""

    failed = False

    async def write_rows(self, writes: Sequence[Write]) -> None:
        ends = any(
            write.table.name == "stages"
            and write.key[1] == "architecture"
            and write.fields.get("status") == "completed"
            for write in writes
        )
        if ends and not self.failed:
            self.failed = True
            raise Unavailable("The store is away.", reason="database")
        await super().write_rows(writes)


async def test_a_stage_that_is_done_again_after_its_slugs_were_reserved_has_the_same_ones() -> None:
    store = FailsOnce()
    async with open_app(structs.replace(make_adapters(script()), tables=store)) as app:
        started = await app.services.builds.start(ANN, WANTED)
        await app.queue.wait_until_idle()
        assert store.failed
        app.clock.now += 6
        await app.sweeper.recover_lost_jobs()
        assert (await over(app, started.project_id)).verdict == "passed"
        assert await all_slugs(app) == ["doubler"]
