"""Stage 3: which agents, which tools serve, which must be written, and what will not be met."""

from msgspec import structs

from nexus.domain.builds import acceptance, documents
from nexus.domain.builds.outputs import Architecture, ArchitectureInput, Brief, BuildRequest, LibraryTool, Requirements
from nexus.domain.builds.stage_context import StageContext
from nexus.domain.builds.workflow import StageOutput
from nexus.domain.tools.library.registry import LIBRARY


async def run_architecture_stage(context: StageContext) -> StageOutput:
    brief, needed = context.get_stage_output(Brief, "intake"), context.get_stage_output(Requirements, "requirements")
    library = [LibraryTool(name, tool.spec.description, tool.category) for name, tool in LIBRARY.items()]
    question = ArchitectureInput(context.get_build_request(BuildRequest).requirement, brief, needed, library)
    planned = await context.ask_model(
        Architecture, question, check=lambda found: _check_plan_consistency(found, needed)
    )
    planned = await _reserve_slugs(context, planned)
    for agent in planned.agents:
        chosen = [*agent.library_tools, *(f"{tool.name} (new)" for tool in agent.new_tools)]
        await context.note(f"{agent.slug}: {', '.join(chosen) or 'no tools'}")
    text = documents.format_architecture_doc(planned, brief.language)
    return StageOutput(
        output=planned, files={"docs/architecture.md": text}, summary=", ".join(a.slug for a in planned.agents)
    )


async def _reserve_slugs(context: StageContext, planned: Architecture) -> Architecture:
    """With slugs that no other agent of the tenant has."""
    project, wanted = context.project, [agent.slug for agent in planned.agents]
    slugs = await context.services.slugs.reserve_agent_slugs(project.tenant_id, project.project_id, wanted)
    for old, new in slugs.items():
        if old != new:
            await context.note(f"Another agent is called {old}: this one is {new}")
    return structs.replace(planned, agents=[agent.replace_slugs(slugs) for agent in planned.agents])


def _check_plan_consistency(planned: Architecture, needed: Requirements) -> None:
    slugs = [agent.slug for agent in planned.agents]
    if len(set(slugs)) < len(slugs):
        raise ValueError("two agents have one slug")
    for agent in planned.agents:
        if unknown := sorted(set(agent.library_tools) - set(LIBRARY)):
            raise ValueError(f"{agent.slug}: the library has no {', '.join(unknown)}")
        if strangers := sorted(set(agent.calls) - set(slugs) | {agent.slug} & set(agent.calls)):
            raise ValueError(f"{agent.slug} cannot call {', '.join(strangers)}")
        if len(set(agent.tool_names)) < len(agent.tool_names):
            raise ValueError(f"{agent.slug}: two tools have one name")
    _check_calls_are_acyclic({agent.slug: agent.calls for agent in planned.agents})
    acceptance.check_agent_duties(planned, needed)


def _check_calls_are_acyclic(calls: dict[str, list[str]]) -> None:
    done = set[str]()

    def visit(slug: str, above: tuple[str, ...]) -> None:
        if slug in above:
            raise ValueError(f"agents call each other in a circle: {' → '.join((*above, slug))}")
        if slug not in done:
            for called in calls[slug]:
                visit(called, (*above, slug))
            done.add(slug)

    for slug in calls:
        visit(slug, ())
