"""Stage 9: deploys what passed, or was accepted as partial, and smoke-tests it."""

from collections.abc import Mapping

from msgspec import Struct

from nexus.domain.agents.model import Agent, Version
from nexus.domain.agents.rules import explain_deploy_refusal, make_deployment_notification
from nexus.domain.builds.model import StageFailed
from nexus.domain.builds.outputs import Architecture, Design
from nexus.domain.builds.stage_context import StageContext
from nexus.domain.builds.workflow import StageOutput
from nexus.domain.ports.notifications import Notification
from nexus.domain.ports.rows import Write
from nexus.domain.projects.model import StageEffects


class Deployed(Struct, frozen=True, kw_only=True):
    """Stage `deployment`: by agent, the version that answers and what it said."""

    versions: dict[str, int]
    smoke_tests: dict[str, str]


async def run_deployment_stage(context: StageContext) -> StageOutput:
    planned = context.get_stage_output(Architecture, "architecture").agents
    found = {agent.slug: await _find_newest(context, agent.slug) for agent in planned}
    refused = await _list_refused_agents(context, found)
    versions, said = dict[str, int](), dict[str, str]()
    for agent in planned:
        if agent.slug in refused:
            continue
        known, version = found[agent.slug]
        spec = await context.services.agents.load_agent_spec(known, version.version)
        first = context.get_stage_output(Design, "design", agent.slug).cases[0]
        answer = await context.ask_agent(spec, first.input)
        if not answer.text.strip():
            raise StageFailed(f"{agent.slug} said nothing to {first.input!r}.", code="smoke_test_failed")
        versions[agent.slug], said[agent.slug] = version.version, answer.text[:500]
        await context.note(f"{agent.slug}: version {version.version} answers")
    return StageOutput(output=Deployed(versions=versions, smoke_tests=said), summary=", ".join(versions))


async def _list_refused_agents(context: StageContext, found: Mapping[str, tuple[Agent, Version]]) -> Mapping[str, str]:
    """The agents that are not to be deployed, and why. StageFailed when none is to be: of a build that is not accepted as partial, one is
    enough for that."""
    accepted, refused = context.project.accept_partial, dict[str, str]()
    for slug, (known, version) in found.items():
        if known.deleted_at:
            refused[slug] = f"{slug} was deleted meanwhile."
        elif told := explain_deploy_refusal(version, accept_partial=accepted):
            refused[slug] = f"{slug} is not deployed. {told}"
    if refused and (not accepted or len(refused) == len(found)):
        raise StageFailed(" ".join(refused.values())[:500], code="not_accepted")
    for told in refused.values():
        await context.note(told[:500])
    return refused


async def make_deployment_effects(
    context: StageContext, outputs: Mapping[str, StageOutput], commit_id: str
) -> StageEffects:
    writes, notifications = list[Write](), list[Notification]()
    deployed = outputs[""].output
    if isinstance(deployed, Deployed):
        for slug, said in deployed.smoke_tests.items():
            agent, version = await _find_newest(context, slug)
            user_id = context.project.user_id
            deployment, made = context.services.agents.make_deployment_writes(
                agent, version, user_id=user_id, smoke_test=said
            )
            writes += made
            notifications.append(make_deployment_notification(agent, deployment, build_no=context.project.build_no))
    return StageEffects(writes=writes, notifications=notifications)


async def _find_newest(context: StageContext, slug: str) -> tuple[Agent, Version]:
    return await context.services.agents.get_newest_version(
        context.services.agents.make_agent_id(context.project.project_id, slug)
    )
