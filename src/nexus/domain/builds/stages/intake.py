"""Stage 1: reads the requirement."""

from collections.abc import Mapping

from nexus.domain.builds import documents
from nexus.domain.builds.model import StageFailed
from nexus.domain.builds.outputs import Brief, IntakeInput
from nexus.domain.builds.work import Work
from nexus.domain.builds.workflow import Made
from nexus.domain.projects.model import Settled


async def intake(work: Work) -> Made:
    requirement = work.project.requirement
    brief = await work.ask(Brief, IntakeInput(requirement))
    if brief.intent == "unclear":
        raise StageFailed(brief.problem or "The requirement has no task in it.", code="requirement_unclear")
    if brief.intent == "change":
        raise StageFailed(
            brief.problem or "This asks to change an agent that exists; a new project can only make a new one.",
            code="change_of_unknown_agent",
        )
    await work.note(f"{brief.name} ({brief.language}, {brief.category})")
    return Made(output=brief, files={"docs/brief.md": documents.brief(requirement, brief)}, summary=brief.summary)


async def settle(work: Work, made: Mapping[str, Made], commit_id: str) -> Settled:
    """The project takes the name that was found for it, unless its user gave one."""
    brief, project = made[""].output, work.project
    if isinstance(brief, Brief) and project.requirement.strip().startswith(project.project_name):
        return Settled(project={"project_name": brief.name})
    return Settled()
