"""What every ToolProvider promises: what a reference means, values that are JSON, and whose fault an error is."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import pytest

from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.core.errors import InvalidInput, Unavailable
from nexus.domain.core.values import JSON
from nexus.domain.ports.code import Program
from nexus.domain.ports.database import Tables
from nexus.domain.ports.tools import ToolCallContext, ToolProvider, ToolSource
from nexus.domain.tools.providers import AgentTools, GeneratedTools, make_tool_providers
from nexus.domain.tools.service import Tools
from tests.fakes.code import MemoryCode
from tests.fakes.web import MemoryWeb

FILES = {"tools/halve.py": 'def halve(number: int) -> float:\n    """Halves."""\n    return 1 / number\n'}
SOURCE = ToolSource(files=FILES, agents={"clerk": "Keeps the books."}, effect="external")


class Example(NamedTuple):
    """A reference of a provider, one that means nothing, a call with its answer, and one that fails."""

    target: str
    unknown: str
    arguments: JSON
    answer: object
    wrong: JSON


EXAMPLES = {
    "library": Example("percent_change", "rm", {"before": 2, "after": 3}, 50.0, {"before": 0, "after": 1}),
    "generated": Example("tools/halve.py:halve", "tools/none.py:none", {"number": 1}, 1.0, {"number": 0}),
    "agent": Example("clerk", "stranger", {"message": "Well?"}, "clerk: Well?", {"message": "refuse"}),
}


async def ask(slug: str, message: str) -> str:
    if message == "refuse":
        raise InvalidInput("Not so deep.")
    return f"{slug}: {message}"


CONTEXT = ToolCallContext(program=Program(FILES), key="k", ask=ask)


@pytest.fixture
def providers() -> Mapping[str, ToolProvider]:
    tables = Tables(MemoryTables(), secret=b"s" * 32, clock=lambda: 0.0)
    return make_tool_providers(Tools(tables=tables, web=MemoryWeb({}), clock=lambda: 0.0), MemoryCode())


@pytest.mark.parametrize("name", EXAMPLES)
async def test_a_reference_means_tools_that_its_provider_calls(
    providers: Mapping[str, ToolProvider], name: str
) -> None:
    provider, example = providers[name], EXAMPLES[name]
    [tool] = await provider.resolve_tools(example.target, SOURCE)
    assert (tool.provider, tool.target, tool.asks) == (name, example.target, name == "agent")
    value = await provider.call_tool(tool, example.arguments, CONTEXT)
    assert example.answer == (value["percent"] if isinstance(value, dict) else value)
    assert msgspec.json.encode(value)


@pytest.mark.parametrize("name", EXAMPLES)
async def test_a_reference_that_means_nothing_is_named(providers: Mapping[str, ToolProvider], name: str) -> None:
    with pytest.raises(InvalidInput, match=f"{name}:{EXAMPLES[name].unknown}"):
        await providers[name].resolve_tools(EXAMPLES[name].unknown, SOURCE)


@pytest.mark.parametrize("name", EXAMPLES)
async def test_what_fails_in_a_tool_is_said_to_who_called_it(providers: Mapping[str, ToolProvider], name: str) -> None:
    [tool] = await providers[name].resolve_tools(EXAMPLES[name].target, SOURCE)
    with pytest.raises(InvalidInput):
        await providers[name].call_tool(tool, EXAMPLES[name].wrong, CONTEXT)


class Away:
    """A runner and agents that are away."""

    async def call_function(self, *_: object, **__: object) -> object:
        raise Unavailable("away", reason="database")

    async def ask(self, slug: str, message: str) -> str:
        raise Unavailable("away", reason="database")


@pytest.mark.parametrize("name", ["generated", "agent"])
async def test_what_is_away_under_a_tool_is_not_its_failure(providers: Mapping[str, ToolProvider], name: str) -> None:
    away = Away()
    broken: dict[str, ToolProvider] = {"generated": GeneratedTools(away), "agent": AgentTools()}  # type: ignore[arg-type]  # stands in for what is called
    [tool] = await providers[name].resolve_tools(EXAMPLES[name].target, SOURCE)
    with pytest.raises(Unavailable):
        await broken[name].call_tool(
            tool, EXAMPLES[name].arguments, ToolCallContext(program=Program(FILES), key="k", ask=away.ask)
        )
