"""The agent package: a folder that runs alone. Parsed strictly, whoever wrote it."""

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import tomli_w
from msgspec import Struct

from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.code import Program
from nexus.domain.ports.models import DEFAULT, ModelCatalog
from nexus.domain.ports.tools import BoundTool, Effect, ToolProvider, ToolSource
from nexus.domain.runtime.model import AgentSpec, AnswerLimits

MANIFEST = "agent.toml"
LONGEST_MANIFEST, MOST_DOTS = 100_000, 300
"""Names that are joined by dots cost a reader of TOML more than their length."""


class Identity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    slug: str
    name: str
    description: str = ""
    category: str = "general"
    language: Literal["en", "zh"] = "en"


class ModelChoice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`default` is the model that is configured where the agent runs."""

    name: str = DEFAULT


class ToolEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ref`: `library:NAME`, `generated:FILE:FUNCTION` or `agent:SLUG`. The rest is said of a generated tool."""

    ref: str
    description: str = ""
    effect: Effect = "pure"


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`agent.toml`."""

    agent: Identity
    model: ModelChoice = ModelChoice()
    limits: AnswerLimits = AnswerLimits()
    tools: list[ToolEntry] = []


class Package(Struct, frozen=True, kw_only=True):
    """A package's files by path from its folder, its manifest and its prompt."""

    files: Mapping[str, str]
    manifest: Manifest
    prompt: str

    @property
    def python_program(self) -> Program:
        """The Python of the package: tools and their tests."""
        return Program({path: text for path, text in self.files.items() if path.endswith(".py")})


def parse_package(files: Mapping[str, str]) -> Package:
    """InvalidInput that names the file and the place, for whatever is missing or malformed."""
    try:
        if len(text := files[MANIFEST]) > LONGEST_MANIFEST or any(
            line.count(".") > MOST_DOTS for line in text.split("\n")
        ):
            raise InvalidInput(
                f"{MANIFEST} has more than {LONGEST_MANIFEST} characters, or a line with more than {MOST_DOTS} dots."
            )
        manifest = msgspec.convert(tomllib.loads(text), Manifest)
        return Package(files=files, manifest=manifest, prompt=files["prompt.md"])
    except KeyError as error:
        raise InvalidInput(f"The package has no {error.args[0]}.") from error
    except (
        ValueError,
        RecursionError,
    ) as error:  # those of TOML and of its fit, and of a number or a nesting beyond all bounds
        raise InvalidInput(f"{MANIFEST}: {str(error)[:500]}") from error


def format_manifest(manifest: Manifest) -> str:
    return tomli_w.dumps(_remove_empty_values(msgspec.to_builtins(manifest)))


class PackageResolver:
    """Makes of a package what can answer: its tools as their providers know them, and a model that there is."""

    def __init__(self, *, providers: Mapping[str, ToolProvider], models: ModelCatalog) -> None:
        self._providers, self._models = providers, models

    async def make_agent_spec(
        self, package: Package, *, agent_id: str, others: Mapping[str, Package] = {}, asking: tuple[str, ...] = ()
    ) -> AgentSpec:
        """Every reference resolved, or InvalidInput that names the one that is not. `others`: packages that `agent:SLUG` may mean, but
        for its own and those that are `asking` already."""
        manifest = package.manifest
        asking = (*asking, manifest.agent.slug)
        self._check_model_exists(manifest.model.name)
        tools = [
            tool
            for entry in manifest.tools
            for tool in await self._resolve_tool_reference(package, entry, others, asking)
        ]
        names = [tool.spec.name for tool in tools]
        if twice := {name for name in names if names.count(name) > 1}:
            raise InvalidInput(f"Two tools are named {', '.join(sorted(twice))}.")
        return AgentSpec(
            agent_id=agent_id,
            name=manifest.agent.name,
            prompt=package.prompt,
            model=manifest.model.name,
            tools=tuple(tools),
            program=package.python_program,
            agents={
                tool.target: await self.make_agent_spec(
                    others[tool.target], agent_id=f"{agent_id}/{tool.target}", others=others, asking=asking
                )
                for tool in tools
                if tool.asks
            },
            limits=manifest.limits,
        )

    def _check_model_exists(self, name: str) -> None:
        try:
            self._models.get_model(name)
        except InvalidInput as error:
            raise InvalidInput(f"{MANIFEST}, [model]: {error.detail}") from error

    async def _resolve_tool_reference(
        self, package: Package, entry: ToolEntry, others: Mapping[str, Package], asking: tuple[str, ...]
    ) -> Sequence[BoundTool]:
        provider, _, target = entry.ref.partition(":")
        if provider not in self._providers:
            raise InvalidInput(f"{entry.ref!r} is no reference: library:NAME, generated:FILE:FUNCTION or agent:SLUG.")
        agents = {
            slug: other.manifest.agent.description or other.manifest.agent.name
            for slug, other in others.items()
            if slug not in asking
        }
        source = ToolSource(files=package.files, agents=agents, effect=entry.effect)
        return await self._providers[provider].resolve_tools(target, source)


def _remove_empty_values(value: Any) -> Any:
    """TOML has no null, and an empty list says nothing."""
    if isinstance(value, dict):
        return {key: _remove_empty_values(part) for key, part in value.items() if part not in (None, [], {}, "")}
    return [_remove_empty_values(part) for part in value] if isinstance(value, list) else value
