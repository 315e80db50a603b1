"""What becomes of a verdict: of a version, its deployment, the project, and the event that ends the build."""

import msgspec
import pytest
from msgspec import structs

from nexus.domain.agents.model import Agent, Verdict, Version
from nexus.domain.agents.rules import explain_deploy_refusal
from nexus.domain.builds.outputs import Requirement, Requirements, Unmet
from nexus.domain.ports.database import Window
from nexus.domain.projects.model import Project
from tests.domain.builds.scripts import ARCHITECTURE, PROMPT, REQUIREMENTS, doubling, said, script
from tests.domain.builds.test_builds import WANTED, over
from tests.fakes.models import Turn
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app

WHY = "the library has no tool for it"
TRIPLE = Requirement(id="FR-2", title="Triple", statement="Triples a number.", acceptance=["2 gives 6"])
PARTIAL = {
    "requirements": [said(Requirements(functional=[*REQUIREMENTS.functional, TRIPLE]))],
    "architecture": [said(structs.replace(ARCHITECTURE, unmet=[Unmet(requirement_id="FR-2", reason=WHY)]))],
}
FAILED = {"reply": doubling()[1:] * 4, "prompt": [said(PROMPT)] * 2}


async def built(app: MemoryApp, *, accept_partial: bool = False) -> Project:
    started = await app.services.builds.start(ANN, structs.replace(WANTED, accept_partial=accept_partial))
    return await over(app, started.project_id)


async def the_agent(app: MemoryApp) -> tuple[Agent, Version]:
    [agent] = (await app.services.agents.list_agents(ANN, Window())).items
    [version, *_] = (
        await app.services.agents.list_agent_versions(ANN, agent.agent_id, Window(newest_first=True))
    ).items
    return agent, version


async def test_a_partial_build_is_completed_kept_and_not_deployed() -> None:
    async with open_app(make_adapters(script(**PARTIAL))) as app:
        project = await built(app)
        assert (project.status, project.verdict, project.error_info) == ("completed", "partial", None)
        assert project.metrics is not None
        [line] = project.metrics["unmet"]
        assert line.startswith("FR-2") and WHY in line
        agent, version = await the_agent(app)
        assert (agent.verdict, agent.versions, agent.active_version, agent.status) == ("partial", 1, 0, "offline")
        assert (version.verdict, version.unmet) == ("partial", [line])
        last = (await app.services.projects.list_current_stages(ANN, project.project_id))[-1]
        assert (last.stage_name, last.status) == ("deployment", "skipped")
        assert line in (last.output_data or {})["summary"]


async def test_a_partial_build_is_deployed_where_that_was_accepted_before() -> None:
    async with open_app(make_adapters(script(**PARTIAL))) as app:
        project = await built(app, accept_partial=True)
        assert (project.status, project.verdict, project.accept_partial) == ("completed", "partial", True)
        agent, _ = await the_agent(app)
        assert (agent.verdict, agent.active_version, agent.status) == ("partial", 1, "running")


async def test_a_failed_build_is_not_deployed_even_where_a_partial_one_would_be() -> None:
    async with open_app(make_adapters(script(**FAILED))) as app:
        project = await built(app, accept_partial=True)
        assert (project.status, project.verdict) == ("completed", "failed")
        agent, version = await the_agent(app)
        assert (agent.verdict, agent.active_version, version.verdict) == ("failed", 0, "failed")


@pytest.mark.parametrize(("other", "verdict"), [({}, "passed"), (PARTIAL, "partial"), (FAILED, "failed")])
async def test_the_event_that_ends_a_build_tells_its_verdict_and_what_is_unmet(
    other: dict[str, list[Turn]], verdict: Verdict
) -> None:
    async with open_app(make_adapters(script(**other))) as app:
        project = await built(app)
        async for batch in await app.services.projects.stream_build_events(ANN, project.project_id):
            event = msgspec.json.decode(batch.events[-1])
            if event["type"] == "build.completed":
                break
        assert event["verdict"] == verdict
        assert event["unmet"] == (project.metrics or {})["unmet"]
        assert bool(event["unmet"]) == (verdict != "passed")


async def test_the_verdict_of_a_build_is_not_told_of_the_next_one_before_it_is_completed() -> None:
    async with open_app(make_adapters(script(**PARTIAL))) as app:
        project = await built(app)
        again = await app.services.builds.execute_build_command(ANN, project.project_id, "restart")
        assert (project.verdict, again.verdict) == ("partial", None)


@pytest.mark.parametrize("verdict", ["passed", "partial", "failed"])
def test_a_version_is_deployed_when_it_passed_or_its_verdict_was_accepted(verdict: Verdict) -> None:
    version = _version(verdict)
    assert (explain_deploy_refusal(version) is None) == (verdict == "passed")
    assert (explain_deploy_refusal(version, accept_partial=True) is None) == (verdict in ("passed", "partial"))
    assert (explain_deploy_refusal(version, accept_failed=True) is None) == (verdict in ("passed", "failed"))


def test_a_refusal_names_every_requirement_that_is_not_met() -> None:
    told = explain_deploy_refusal(_version("partial", "FR-2: no tool", "FR-3: no case"))
    assert told is not None and "FR-2: no tool" in told and "FR-3: no case" in told


async def test_rows_that_were_stored_before_there_were_partial_builds_are_still_read() -> None:
    async with open_app(make_adapters(script())) as app:
        project = await built(app)
        agent, version = await the_agent(app)
    for row, news in ((project, {"accept_partial"}), (agent, {"verdict"}), (version, {"unmet"})):
        old = {name: value for name, value in msgspec.to_builtins(row).items() if name not in news}
        assert msgspec.convert(old, type(row)).created_at == row.created_at


def _version(verdict: Verdict, *unmet: str) -> Version:
    return Version(
        agent_id="agt_1",
        version=1,
        tenant_id="t",
        project_id="prj_1",
        build_no=1,
        verdict=verdict,
        unmet=[*unmet],
        created_at="now",
    )
