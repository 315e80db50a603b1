"""Stage 4, for each agent: role, limits, and the behaviour that must hold."""

import tomli_w

from nexus.domain.builds import documents
from nexus.domain.builds.outputs import Architecture, Brief, Case, Design, DesignInput, PlannedAgent, Requirements
from nexus.domain.builds.work import Work
from nexus.domain.builds.workflow import Made


async def design(work: Work, agent: PlannedAgent) -> Made:
    brief, needed = work.earlier(Brief, "intake"), work.earlier(Requirements, "requirements")
    unmet = work.earlier(Architecture, "architecture").unmet
    question = DesignInput(work.project.requirement, brief, needed, agent, unmet)
    made = await work.ask(Design, question, check=lambda found: _possible(found, agent))
    await work.note(f"{agent.slug}: {len(made.cases)} cases")
    files = {
        f"agents/{agent.slug}/docs/design.md": documents.design(agent, made, brief.language),
        f"agents/{agent.slug}/tests/cases.toml": cases_text(made.cases),
    }
    return Made(output=made, files=files, summary=made.role)


def cases_text(cases: list[Case]) -> str:
    entries = [
        {"name": case.name, "input": case.input, "calls": case.calls, "contains": case.contains} for case in cases
    ]
    return tomli_w.dumps({"cases": entries}, multiline_strings=True)


def _possible(made: Design, agent: PlannedAgent) -> None:
    tools = {*agent.library_tools, *(tool.name for tool in agent.new_tools), *(f"ask_{slug}" for slug in agent.calls)}
    for case in made.cases:
        if unknown := sorted(set(case.calls) - tools):
            raise ValueError(f"case {case.name}: the agent has no tool {', '.join(unknown)}")
    names = [case.name for case in made.cases]
    if len(set(names)) < len(names):
        raise ValueError("two cases have one name")
