"""Stage 7, for each agent: puts the package together, and checks that every reference in it resolves."""

from msgspec import Struct

from nexus.domain.agents import package
from nexus.domain.agents.package import Identity, Manifest, ToolEntry
from nexus.domain.builds import documents
from nexus.domain.builds.outputs import Architecture, Brief, Design, Language, PlannedAgent, Requirements
from nexus.domain.builds.stage_context import StageContext
from nexus.domain.builds.stages.parts import find_planned_agent
from nexus.domain.builds.stages.tools import ToolSet
from nexus.domain.builds.workflow import StageOutput
from nexus.domain.core.texts import format_plural_count

CONFTEST = '''"""Lets plain `pytest` in this folder find the tools, wherever it is called from."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
'''


class Assembled(Struct, frozen=True, kw_only=True):
    """Stage `assembly`, per agent: the references of its manifest, all resolved."""

    folder: str
    tools: list[str]
    files: list[str]


async def run_assembly_stage(context: StageContext) -> StageOutput:
    agent = find_planned_agent(context)
    folder, architecture = f"agents/{agent.slug}", context.get_stage_output(Architecture, "architecture")
    manifest = _make_manifest(context, agent)
    unmet = [f"{entry.requirement_id}: {entry.reason}" for entry in architecture.unmet]
    made, say = (
        context.get_stage_output(Design, "design", agent.slug),
        context.get_stage_output(Brief, "intake").language,
    )
    written = await context.services.agents.read_agent_files(context.project.project_id)
    files = written.get(agent.slug, {}) | {
        package.MANIFEST: package.format_manifest(manifest),
        "README.md": documents.format_readme(manifest, made, unmet, say, context.services.commands),
        "requirements.txt": "# Tools of this agent use the Python standard library only.\n",
        "conftest.py": CONFTEST,
    }
    others = {other.slug: _make_outline(other) for other in architecture.agents}
    spec = await context.services.resolver.make_agent_spec(
        package.parse_package(files), agent_id=agent.slug, others=others
    )
    await context.note(
        f"{agent.slug}: {format_plural_count(len(spec.tools), 'tool')}, {format_plural_count(len(files), 'file')}"
    )
    assembled = Assembled(folder=folder, tools=[entry.ref for entry in manifest.tools], files=sorted(files))
    placed = {f"{folder}/{path}": text for path, text in files.items()}
    placed["docs/requirements.md"] = _rewrite_requirements(context, architecture, say)
    return StageOutput(output=assembled, files=placed, summary=folder)


def _rewrite_requirements(context: StageContext, architecture: Architecture, say: Language) -> str:
    """The page anew, now that each requirement has its cases, or none."""
    cases = dict[str, list[str]]()
    for agent in architecture.agents:
        for case in context.get_stage_output(Design, "design", agent.slug).cases:
            for one in case.requirements:
                shown = f"`{case.name}` (`agents/{agent.slug}/tests/cases.toml`): {documents.format_case_input(case)}"
                cases.setdefault(one, []).append(shown)
    for entry in architecture.unmet:
        cases.setdefault(entry.requirement_id, []).append(
            f"{documents.translate_label('not_met', say)}: {entry.reason}"
        )
    return documents.format_requirements_doc(context.get_stage_output(Requirements, "requirements"), say, cases)


def _make_manifest(context: StageContext, agent: PlannedAgent) -> Manifest:
    brief, held = context.get_stage_output(Brief, "intake"), context.get_stage_output(ToolSet, "tools", agent.slug)
    entries = [ToolEntry(ref=f"library:{name}") for name in held.library]
    purposes = {tool.name: tool.purpose for tool in agent.new_tools}
    entries += [
        ToolEntry(
            ref=f"generated:tools/{tool.name}.py:{tool.name}", description=purposes[tool.name], effect=tool.effect
        )
        for tool in held.written
    ]
    entries += [ToolEntry(ref=f"agent:{slug}") for slug in agent.calls]
    identity = Identity(
        slug=agent.slug, name=agent.name, description=agent.purpose, category=brief.category, language=brief.language
    )
    return Manifest(agent=identity, tools=entries)


def _make_outline(agent: PlannedAgent) -> package.Package:
    """Another agent of the build, as far as a reference to it needs: it is assembled on its own."""
    manifest = Manifest(agent=Identity(slug=agent.slug, name=agent.name, description=agent.purpose))
    return package.Package(files={}, manifest=manifest, prompt="")
