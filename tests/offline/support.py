"""A conversation with the offline model, its tool calls made by the real library."""

import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from nexus.adapters.offline import OfflineModel
from nexus.adapters.offline.cards import Card
from nexus.adapters.offline.writing import TEMPLATES
from nexus.domain.builds.outputs import WrittenTool
from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.models import ChatMessage, Delta, End, ModelRequest, ToolCall, ToolSpec
from nexus.domain.tools.arguments import parse_tool_arguments
from nexus.domain.tools.library.registry import LIBRARY
from nexus.domain.tools.schema import parse_tool_spec
from tests.fakes.code import spec_of_source

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
TOOLS = tuple(tool.spec for tool in LIBRARY.values())


def model() -> OfflineModel:
    return OfflineModel(clock=lambda: NOW)


async def answered(request: ModelRequest) -> tuple[str, End]:
    text, end = "", None
    async for item in model().stream(request):
        assert end is None, "nothing follows the end"
        if isinstance(item, Delta):
            text += item.text
        else:
            end = item
    assert end is not None
    return text, end


async def say(
    said: str, tools: Sequence[ToolSpec] = TOOLS, history: Sequence[ChatMessage] = ()
) -> tuple[str, list[ToolCall]]:
    messages = (ChatMessage("system", "You are an agent."), *history, ChatMessage("user", said))
    text, end = await answered(ModelRequest(messages=messages, tools=tuple(tools)))
    assert bool(end.calls) == (end.stop == "tool_calls")
    return text, list(end.calls)


class Package:
    """An agent's tools: some of the library, some that were written."""

    def __init__(self, library: Sequence[str], written: Sequence[WrittenTool] = ()) -> None:
        self.functions: dict[str, Any] = {name: LIBRARY[name].function for name in library}
        self.specs = {name: LIBRARY[name].spec for name in library}
        for tool in written:
            self.functions[tool.name] = loaded(tool)
            self.specs[tool.name] = spec_of_source(tool.code, tool.name)

    def call(self, call: ToolCall) -> str:
        try:
            arguments = parse_tool_arguments(self.specs[call.name], call.arguments)
            given = {"clock": lambda: NOW} if call.name in LIBRARY and "clock" in LIBRARY[call.name].given else {}
            return msgspec.json.encode(self.functions[call.name](**arguments, **given)).decode()
        except (InvalidInput, ValueError) as error:
            return msgspec.json.encode({"error": str(error)}).decode()

    async def converse(self, said: str, history: list[ChatMessage] | None = None) -> tuple[str, list[ToolCall]]:
        """The whole answer to a message, and the calls made for it. The history grows."""
        messages = history if history is not None else []
        messages.append(ChatMessage("user", said))
        called: list[ToolCall] = []
        for _ in range(6):
            text, end = await answered(
                ModelRequest(messages=(ChatMessage("system", "…"), *messages), tools=tuple(self.specs.values()))
            )
            messages.append(ChatMessage("assistant", text, calls=end.calls))
            if not end.calls:
                return text, called
            called += end.calls
            messages += [ChatMessage("tool", self.call(call), call_id=call.call_id) for call in end.calls]
        raise AssertionError("the model never came to an answer")


def loaded(tool: WrittenTool) -> Any:
    names: dict[str, Any] = {}
    exec(compile(tool.code, f"tools/{tool.name}.py", "exec"), names)
    return names[tool.name]


@contextmanager
def importable(tool: WrittenTool) -> Iterator[None]:
    """`from tools.<name> import <name>` works inside."""
    package, module = types.ModuleType("tools"), types.ModuleType(f"tools.{tool.name}")
    setattr(module, tool.name, loaded(tool))
    kept = {name: sys.modules.pop(name, None) for name in ("tools", module.__name__)}
    sys.modules.update({"tools": package, module.__name__: module})
    try:
        yield
    finally:
        for name, before in kept.items():
            sys.modules.pop(name, None)
            if before is not None:
                sys.modules[name] = before


def run_tests(tool: WrittenTool) -> int:
    """Runs the tool's own tests here; how many there were."""
    names: dict[str, Any] = {}
    with importable(tool):
        exec(compile(tool.test_code, f"tests/test_{tool.name}.py", "exec"), names)
        tests = [value for name, value in names.items() if name.startswith("test_")]
        for test in tests:
            test()
    return len(tests)


def spec_of_card(card: Card) -> ToolSpec:
    """The specification of the card's tool, of the library or as its template writes it."""
    return LIBRARY[card.tool].spec if card.tool in LIBRARY else parse_tool_spec(TEMPLATES[card.tool])
