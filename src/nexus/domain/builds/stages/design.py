"""Stage 4, for each agent: role, limits, and the behaviour that must hold."""

import msgspec
import tomli_w

from nexus.domain.builds import acceptance, documents
from nexus.domain.builds.outputs import Architecture, Brief, BuildRequest, Case, Design, DesignInput, Requirements
from nexus.domain.builds.stage_context import StageContext
from nexus.domain.builds.stages.parts import find_planned_agent
from nexus.domain.builds.workflow import StageOutput
from nexus.domain.core.texts import format_plural_count


async def run_design_stage(context: StageContext) -> StageOutput:
    agent = find_planned_agent(context)
    brief, needed = context.get_stage_output(Brief, "intake"), context.get_stage_output(Requirements, "requirements")
    planned = context.get_stage_output(Architecture, "architecture")
    question = DesignInput(context.get_build_request(BuildRequest).requirement, brief, needed, agent, planned.unmet)
    made = await context.ask_model(
        Design, question, check=lambda found: acceptance.check_test_cases(found, agent, planned, needed)
    )
    await context.note(f"{agent.slug}: {format_plural_count(len(made.cases), 'case')}")
    files = {
        f"agents/{agent.slug}/docs/design.md": documents.format_design_doc(agent, made, brief.language),
        f"agents/{agent.slug}/tests/cases.toml": encode_cases(made.cases),
    }
    return StageOutput(output=made, files=files, summary=made.role)


def encode_cases(cases: list[Case]) -> str:
    entries = [msgspec.to_builtins(case) for case in cases]
    return tomli_w.dumps({"cases": entries}, multiline_strings=True)
