"""The agent package: a folder that runs alone. Parsed strictly, whoever wrote it."""

import tomllib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

import msgspec
import tomli_w
from msgspec import Struct

from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.code import Program
from nexus.domain.ports.models import ToolSpec
from nexus.domain.runtime.model import AgentSpec, AnswerLimits, BoundTool
from nexus.domain.tools.library.registry import LIBRARY
from nexus.domain.tools.model import Effect
from nexus.domain.tools.schema import without

MANIFEST = "agent.toml"
LONGEST_MANIFEST, MOST_DOTS = 100_000, 300
"""Names that are joined by dots cost a reader of TOML more than their length."""

KEY = "idempotency_key"
"""A parameter of this name is filled by the house, and not shown to the model."""


class Identity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    slug: str
    name: str
    description: str = ""
    category: str = "general"
    language: Literal["en", "zh"] = "en"


class ModelChoice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`default` is the model that the server is configured with."""

    name: str = "default"


class ToolEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ref`: `library:NAME`, `generated:FILE:FUNCTION` or `agent:SLUG`. The rest is the capability manifest of a generated tool."""

    ref: str
    description: str = ""
    effect: Effect = "pure"
    hosts: list[str] = []
    paths: list[str] = []
    secrets: list[str] = []


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
    def program(self) -> Program:
        """The Python of the package: tools and their tests."""
        return Program({path: text for path, text in self.files.items() if path.endswith(".py")})


def read(files: Mapping[str, str]) -> Package:
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


def manifest_text(manifest: Manifest) -> str:
    return tomli_w.dumps(_without_empty(msgspec.to_builtins(manifest)))


Describe = Callable[[str, str], Awaitable[ToolSpec]]
"""`CodeRunner.describe`: what a function of a source text takes."""


async def spec(package: Package, *, agent_id: str, describe: Describe, others: Mapping[str, Package] = {}) -> AgentSpec:
    """Every reference resolved, or InvalidInput that names the one that is not. `others`: packages that `agent:SLUG` may mean."""
    return await _Resolving(describe, others).resolve(package, agent_id, ())


class _Resolving:
    def __init__(self, describe: Describe, others: Mapping[str, Package]) -> None:
        self._describe, self._others = describe, others

    async def resolve(self, package: Package, agent_id: str, asking: tuple[str, ...]) -> AgentSpec:
        asking = (*asking, package.manifest.agent.slug)
        bound, inside = list[BoundTool](), dict[str, AgentSpec]()
        for entry in package.manifest.tools:
            kind, _, target = entry.ref.partition(":")
            match kind:
                case "library":
                    bound.append(_library(target))
                case "generated":
                    bound.append(await self._generated(package, entry, target))
                case "agent":
                    if target in asking or target not in self._others:
                        raise InvalidInput(f"{entry.ref}: there is no such agent, or it asks itself.")
                    bound.append(_agent(self._others[target], target))
                    inside[target] = await self.resolve(self._others[target], f"{agent_id}/{target}", asking)
                case _:
                    raise InvalidInput(
                        f"{entry.ref!r} is no reference: library:NAME, generated:FILE:FUNCTION or agent:SLUG."
                    )
        names = [tool.spec.name for tool in bound]
        if twice := {name for name in names if names.count(name) > 1}:
            raise InvalidInput(f"Two tools are named {', '.join(sorted(twice))}.")
        return AgentSpec(
            agent_id=agent_id,
            name=package.manifest.agent.name,
            prompt=package.prompt,
            tools=tuple(bound),
            program=package.program,
            agents=inside,
            limits=package.manifest.limits,
        )

    async def _generated(self, package: Package, entry: ToolEntry, target: str) -> BoundTool:
        path, _, function = target.partition(":")
        if path not in package.files:
            raise InvalidInput(f"{entry.ref}: there is no such file.")
        found = await self._describe(package.files[path], function)
        takes_key = KEY in found.parameters["properties"]
        shown = without(found, (KEY,))
        return BoundTool(kind="generated", spec=shown, target=target, effect=entry.effect, takes_key=takes_key)


def _library(name: str) -> BoundTool:
    if (tool := LIBRARY.get(name)) is None:
        raise InvalidInput(f"library:{name}: the library has no such tool.")
    return BoundTool(kind="library", spec=tool.spec, target=name, effect=tool.effect)


def _agent(package: Package, slug: str) -> BoundTool:
    message = {"type": "string", "description": "What to ask, with everything that is needed to answer."}
    parameters = {"type": "object", "properties": {"message": message}, "required": ["message"]}
    found = ToolSpec(f"ask_{slug}", package.manifest.agent.description or package.manifest.agent.name, parameters)
    return BoundTool(kind="agent", spec=found, target=slug)


def _without_empty(value: Any) -> Any:
    """TOML has no null, and an empty list says nothing."""
    if isinstance(value, dict):
        return {key: _without_empty(part) for key, part in value.items() if part not in (None, [], {}, "")}
    return [_without_empty(part) for part in value] if isinstance(value, list) else value
