"""Stage 6, for each agent: the system prompt."""

from nexus.domain.builds.outputs import (
    Architecture,
    Brief,
    Design,
    OfferedTool,
    PlannedAgent,
    PromptInput,
    PromptText,
)
from nexus.domain.builds.work import Work
from nexus.domain.builds.workflow import Made
from nexus.domain.tools.library.registry import LIBRARY


async def prompt(work: Work, agent: PlannedAgent) -> Made:
    made = await work.ask(PromptText, question(work, agent))
    path = f"agents/{agent.slug}/prompt.md"
    return Made(
        output=made, files={path: made.prompt.rstrip() + "\n"}, summary=made.prompt.strip().splitlines()[0][:120]
    )


def question(
    work: Work, agent: PlannedAgent, *, previous: str | None = None, failure: str | None = None
) -> PromptInput:
    """What the prompt is asked from; with `failure`, what the previous one did not bring about."""
    architecture = work.earlier(Architecture, "architecture")
    others = {other.slug: other for other in architecture.agents}
    offered = [OfferedTool(name, LIBRARY[name].spec.description) for name in agent.library_tools]
    offered += [OfferedTool(tool.name, tool.purpose) for tool in agent.new_tools]
    offered += [OfferedTool(f"ask_{slug}", others[slug].purpose) for slug in agent.calls]
    return PromptInput(
        requirement=work.project.requirement,
        brief=work.earlier(Brief, "intake"),
        agent=agent,
        design=work.earlier(Design, "design", agent.slug),
        tools=offered,
        unmet=architecture.unmet,
        previous=previous,
        failure=failure,
    )
