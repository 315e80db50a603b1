"""Stage 1: reads the requirement."""

import shlex
from collections.abc import Mapping

from nexus.domain.builds import documents
from nexus.domain.builds.model import StageFailed
from nexus.domain.builds.outputs import Brief, BuildRequest, Language
from nexus.domain.builds.stage_context import StageContext
from nexus.domain.builds.workflow import StageOutput
from nexus.domain.core.texts import make_single_line
from nexus.domain.projects.model import StageEffects

STAND_IN = "offline"
"""The model without language: the only one that may say that its user needs another."""


async def run_intake_stage(context: StageContext) -> StageOutput:
    requirement = context.get_build_request(BuildRequest).requirement
    brief = await context.ask_model(Brief, BuildRequest(requirement))
    if brief.intent != "new":
        mistaken = brief.intent == "needs_language_model" and context.services.models.name != STAND_IN
        code, reason = _REFUSALS["unclear" if mistaken else brief.intent]
        way_on = f" {await _explain_model_setup(context, brief.language)}" if code == "needs_language_model" else ""
        raise StageFailed((brief.problem or reason) + way_on, code=code)
    await context.note(
        f"{brief.name} ({brief.language}, {documents.translate_category(brief.category, brief.language)})"
    )
    return StageOutput(
        output=brief, files={"docs/brief.md": documents.format_brief_doc(requirement, brief)}, summary=brief.summary
    )


_REFUSALS: Mapping[str, tuple[str, str]] = {
    "unclear": ("requirement_unclear", "The requirement has no task in it."),
    "change": (
        "change_of_unknown_agent",
        "This asks to change an agent that exists; a new project can only make a new one.",
    ),
    "needs_language_model": ("needs_language_model", "This needs a language model."),
}
"""By intent, the code of the failure, and what is said where the model said nothing."""


async def _explain_model_setup(context: StageContext, say: Language) -> str:
    """How a language model is set: with what was found on this machine, or with what there is elsewhere."""
    servers = await context.services.discovery.find_local_models()
    found = [make_single_line(f"{server.provider}/{name}")[:100] for server in servers for name in server.names[:1]]
    if not found:
        return documents.translate_label("set_a_model", say).format(context.services.commands)
    use = context.services.commands.use_model.format(shlex.quote(found[0]))
    return documents.translate_label("use_this_model", say).format(found=", ".join(found), use=use)


async def make_intake_effects(
    context: StageContext, outputs: Mapping[str, StageOutput], commit_id: str
) -> StageEffects:
    """The project takes the name that was found for it, unless its user gave one."""
    brief, project = outputs[""].output, context.project
    if isinstance(brief, Brief) and project.requirement.strip().startswith(project.project_name):
        return StageEffects(project={"project_name": brief.name})
    return StageEffects()
