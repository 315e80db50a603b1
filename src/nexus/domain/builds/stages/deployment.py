"""Stage 9: deploys what passed, or was accepted as partial, and smoke-tests it."""

from collections.abc import Mapping

from msgspec import Struct

from nexus.domain.agents.model import Agent, Version
from nexus.domain.agents.rules import refusal
from nexus.domain.builds.model import StageFailed
from nexus.domain.builds.outputs import Architecture, Design
from nexus.domain.builds.work import Work
from nexus.domain.builds.workflow import Made
from nexus.domain.projects.model import Settled


class Deployed(Struct, frozen=True, kw_only=True):
    """Stage `deployment`: by agent, the version that answers and what it said."""

    versions: dict[str, int]
    smoke_tests: dict[str, str]


async def deployment(work: Work) -> Made:
    planned = work.earlier(Architecture, "architecture").agents
    newest = [await _newest(work, agent.slug) for agent in planned]
    for known, version in newest:
        if refused := refusal(version, accept_partial=work.project.accept_partial):
            raise StageFailed(f"{known.slug} is not deployed. {refused}"[:500], code=f"verdict_{version.verdict}")
    versions, said = dict[str, int](), dict[str, str]()
    for agent, (known, version) in zip(planned, newest, strict=True):
        spec = await work.rooms.agents.resolve(known, version.version)
        first = work.earlier(Design, "design", agent.slug).cases[0]
        answer = await work.converse(spec, first.input)
        if not answer.text.strip():
            raise StageFailed(f"{agent.slug} said nothing to {first.input!r}.", code="smoke_test_failed")
        versions[agent.slug], said[agent.slug] = version.version, answer.text[:500]
        await work.note(f"{agent.slug}: version {version.version} answers")
    return Made(output=Deployed(versions=versions, smoke_tests=said), summary=", ".join(versions))


async def settle(work: Work, made: Mapping[str, Made], commit_id: str) -> Settled:
    writes = []
    deployed = made[""].output
    if isinstance(deployed, Deployed):
        for slug, said in deployed.smoke_tests.items():
            agent, version = await _newest(work, slug)
            writes += work.rooms.agents.deploying(agent, version, smoke_test=said)
    return Settled(writes=writes)


async def _newest(work: Work, slug: str) -> tuple[Agent, Version]:
    return await work.rooms.agents.newest(work.rooms.agents.id_of(work.project.project_id, slug))
