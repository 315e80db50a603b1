"""Stage 2: what must hold, and how one sees that it does."""

from nexus.domain.builds import acceptance, documents
from nexus.domain.builds.outputs import Brief, Requirements, RequirementsInput
from nexus.domain.builds.work import Work
from nexus.domain.builds.workflow import Made


async def requirements(work: Work) -> Made:
    brief = work.earlier(Brief, "intake")
    found = await work.ask(
        Requirements, RequirementsInput(work.project.requirement, brief), check=acceptance.check_requirements
    )
    titles = ", ".join(entry.title for entry in found.functional)
    await work.note(titles)
    text = documents.requirements(found, brief.language)
    return Made(output=found, files={"docs/requirements.md": text}, summary=titles)
