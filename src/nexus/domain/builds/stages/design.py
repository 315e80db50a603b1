"""Stage 4, for each agent: role, limits, and the behaviour that must hold."""

import msgspec
import tomli_w

from nexus.domain.builds import acceptance, documents
from nexus.domain.builds.outputs import Architecture, Brief, Case, Design, DesignInput, PlannedAgent, Requirements
from nexus.domain.builds.work import Work
from nexus.domain.builds.workflow import Made


async def design(work: Work, agent: PlannedAgent) -> Made:
    brief, needed = work.earlier(Brief, "intake"), work.earlier(Requirements, "requirements")
    planned = work.earlier(Architecture, "architecture")
    question = DesignInput(work.project.requirement, brief, needed, agent, planned.unmet)
    made = await work.ask(Design, question, check=lambda found: acceptance.check_cases(found, agent, planned, needed))
    await work.note(f"{agent.slug}: {len(made.cases)} cases")
    files = {
        f"agents/{agent.slug}/docs/design.md": documents.design(agent, made, brief.language),
        f"agents/{agent.slug}/tests/cases.toml": cases_text(made.cases),
    }
    return Made(output=made, files=files, summary=made.role)


def cases_text(cases: list[Case]) -> str:
    entries = [msgspec.to_builtins(case) for case in cases]
    return tomli_w.dumps({"cases": entries}, multiline_strings=True)
