"""Stage 7, for each agent: puts the package together, and checks that every reference in it resolves."""

from msgspec import Struct

from nexus.domain.agents import package
from nexus.domain.agents.package import Identity, Manifest, ToolEntry
from nexus.domain.builds.documents import listed, word
from nexus.domain.builds.outputs import Architecture, Brief, PlannedAgent
from nexus.domain.builds.stages.tools import ToolSet
from nexus.domain.builds.work import Work
from nexus.domain.builds.workflow import Made


class Assembled(Struct, frozen=True, kw_only=True):
    """Stage `assembly`, per agent: the references of its manifest, all resolved."""

    folder: str
    tools: list[str]
    files: list[str]


async def assembly(work: Work, agent: PlannedAgent) -> Made:
    folder, architecture = f"agents/{agent.slug}", work.earlier(Architecture, "architecture")
    manifest = _manifest(work, agent)
    files = await work.files(folder) | {
        package.MANIFEST: package.manifest_text(manifest),
        "README.md": _readme(work, agent, manifest),
        "requirements.txt": "# Tools of this agent use the Python standard library only.\n",
    }
    others = {other.slug: _outline(other) for other in architecture.agents if other.slug != agent.slug}
    described = work.rooms.code.describe
    spec = await package.spec(package.read(files), agent_id=agent.slug, describe=described, others=others)
    await work.note(f"{agent.slug}: {len(spec.tools)} tools, {len(files)} files")
    made = Assembled(folder=folder, tools=[entry.ref for entry in manifest.tools], files=sorted(files))
    return Made(output=made, files={f"{folder}/{path}": text for path, text in files.items()}, summary=folder)


def _manifest(work: Work, agent: PlannedAgent) -> Manifest:
    brief, held = work.earlier(Brief, "intake"), work.earlier(ToolSet, "tools", agent.slug)
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
        slug=agent.slug,
        name=agent.name,
        description=agent.purpose,
        category=brief.category,
        language=brief.language,
    )
    return Manifest(agent=identity, tools=entries)


def _outline(agent: PlannedAgent) -> package.Package:
    """Another agent of the build, as far as a reference to it needs: it is assembled on its own."""
    manifest = Manifest(agent=Identity(slug=agent.slug, name=agent.name, description=agent.purpose))
    return package.Package(files={}, manifest=manifest, prompt="")


def _readme(work: Work, agent: PlannedAgent, manifest: Manifest) -> str:
    say = work.earlier(Brief, "intake").language
    return f"""# {agent.name}

{agent.purpose}

## {word("tools", say)}

{listed((f"`{entry.ref}`" for entry in manifest.tools), say)}

## {word("run", say)}

```sh
nexus agent run .
```
"""
