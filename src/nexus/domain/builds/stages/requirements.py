"""Stage 2: what must hold, and how one sees that it does."""

from nexus.domain.builds import acceptance, documents
from nexus.domain.builds.outputs import Brief, BuildRequest, Requirements, RequirementsInput
from nexus.domain.builds.stage_context import StageContext
from nexus.domain.builds.workflow import StageOutput


async def run_requirements_stage(context: StageContext) -> StageOutput:
    brief = context.get_stage_output(Brief, "intake")
    found = await context.ask_model(
        Requirements,
        RequirementsInput(context.get_build_request(BuildRequest).requirement, brief),
        check=acceptance.check_requirement_ids,
    )
    titles = ", ".join(entry.title for entry in found.functional)
    await context.note(titles)
    text = documents.format_requirements_doc(found, brief.language)
    return StageOutput(output=found, files={"docs/requirements.md": text}, summary=titles)
