"""Stage 9: deploys what passed, and smoke-tests it."""

from collections.abc import Mapping

from msgspec import Struct

from nexus.domain.builds.model import StageFailed
from nexus.domain.builds.outputs import Architecture, Design
from nexus.domain.builds.report import Verified
from nexus.domain.builds.work import Work
from nexus.domain.builds.workflow import Made
from nexus.domain.projects.model import Settled


class Deployed(Struct, frozen=True, kw_only=True):
    """Stage `deployment`: by agent, the version that answers and what it said."""

    versions: dict[str, int]
    smoke_tests: dict[str, str]


async def deployment(work: Work) -> Made:
    planned = work.earlier(Architecture, "architecture").agents
    verified = {agent.slug: work.earlier(Verified, "verification", agent.slug) for agent in planned}
    if failed := [slug for slug, found in verified.items() if not found.passed]:
        reason = f"{', '.join(failed)} did not pass verification: {verified[failed[0]].reason}"
        raise StageFailed(reason[:500], code="not_verified")
    versions, said = dict[str, int](), dict[str, str]()
    for agent in planned:
        known, version = await work.rooms.agents.newest(work.rooms.agents.id_of(work.project.project_id, agent.slug))
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
            agent, version = await work.rooms.agents.newest(work.rooms.agents.id_of(work.project.project_id, slug))
            writes += work.rooms.agents.deploying(agent, version, smoke_test=said)
    return Settled(writes=writes)
