"""Stage 6, for each agent: the system prompt."""

from nexus.domain.builds.outputs import (
    Architecture,
    Brief,
    BuildRequest,
    Design,
    OfferedTool,
    PlannedAgent,
    PromptInput,
    PromptText,
)
from nexus.domain.builds.stage_context import StageContext
from nexus.domain.builds.stages.parts import find_planned_agent
from nexus.domain.builds.workflow import StageOutput
from nexus.domain.tools.library.registry import LIBRARY


async def run_prompt_stage(context: StageContext) -> StageOutput:
    agent = find_planned_agent(context)
    made = await context.ask_model(PromptText, make_prompt_input(context, agent))
    path = f"agents/{agent.slug}/prompt.md"
    return StageOutput(
        output=made, files={path: made.prompt.rstrip() + "\n"}, summary=made.prompt.strip().splitlines()[0][:120]
    )


def make_prompt_input(
    context: StageContext, agent: PlannedAgent, *, previous: str | None = None, failure: str | None = None
) -> PromptInput:
    """What the prompt is asked from; with `failure`, what the previous one did not bring about."""
    architecture = context.get_stage_output(Architecture, "architecture")
    others = {other.slug: other for other in architecture.agents}
    offered = [OfferedTool(name, LIBRARY[name].spec.description) for name in agent.library_tools]
    offered += [OfferedTool(tool.name, tool.purpose) for tool in agent.new_tools]
    offered += [OfferedTool(f"ask_{slug}", others[slug].purpose) for slug in agent.calls]
    return PromptInput(
        requirement=context.get_build_request(BuildRequest).requirement,
        brief=context.get_stage_output(Brief, "intake"),
        agent=agent,
        design=context.get_stage_output(Design, "design", agent.slug),
        tools=offered,
        unmet=architecture.unmet,
        previous=previous,
        failure=failure,
    )
