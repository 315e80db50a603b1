"""The tools that there are: those of the library, those that were generated for an agent, and other agents that may be asked."""

from collections.abc import Mapping, Sequence

from nexus.domain.core.errors import InvalidInput, NexusError, Unavailable
from nexus.domain.core.values import JSON
from nexus.domain.ports.code import CodeRunner, Limits
from nexus.domain.ports.models import ToolSpec
from nexus.domain.ports.tools import BoundTool, ToolCallContext, ToolProvider, ToolSource
from nexus.domain.tools.library.registry import LIBRARY
from nexus.domain.tools.model import ToolError
from nexus.domain.tools.service import Tools

KEY = "idempotency_key"
"""A parameter of this name is filled in, and not shown to the model."""


class LibraryTools:
    """`library:NAME`."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def resolve_tools(self, target: str, source: ToolSource) -> Sequence[BoundTool]:
        if (tool := LIBRARY.get(target)) is None:
            raise InvalidInput(f"library:{target}: the library has no such tool.")
        return [BoundTool(provider="library", spec=tool.spec, target=target, effect=tool.effect)]

    async def call_tool(self, tool: BoundTool, arguments: JSON, context: ToolCallContext) -> object:
        try:
            return await self._tools.call_library_tool(tool.target, arguments)
        except NexusError as error:
            if isinstance(error, InvalidInput) or (
                isinstance(error, Unavailable) and error.facts.keys() & {"reason", "part"}
            ):
                raise
            raise ToolError(error.detail) from error


class GeneratedTools:
    """`generated:FILE:FUNCTION`, a function of the agent's own package."""

    def __init__(self, code: CodeRunner) -> None:
        self._code = code

    async def resolve_tools(self, target: str, source: ToolSource) -> Sequence[BoundTool]:
        path, _, function = target.partition(":")
        if path not in source.files:
            raise InvalidInput(f"generated:{target}: there is no such file.")
        spec = await self._code.parse_tool_spec(source.files[path], function)
        shown, required = dict(spec.parameters["properties"]), spec.parameters["required"]
        takes_key = shown.pop(KEY, None) is not None
        parameters = spec.parameters | {"properties": shown, "required": [name for name in required if name != KEY]}
        spec = ToolSpec(spec.name, spec.description, parameters)
        return [BoundTool(provider="generated", spec=spec, target=target, effect=source.effect, takes_key=takes_key)]

    async def call_tool(self, tool: BoundTool, arguments: JSON, context: ToolCallContext) -> object:
        given = {KEY: context.key} if tool.takes_key else {}
        outcome = await self._code.call_function(context.program, tool.target, {**arguments, **given}, limits=Limits())
        if outcome.status != "ok":
            raise ToolError(outcome.error or f"The tool {outcome.status.replace('_', ' ')}.")
        return outcome.value


class AgentTools:
    """`agent:SLUG`, another agent that is asked in plain words."""

    async def resolve_tools(self, target: str, source: ToolSource) -> Sequence[BoundTool]:
        if target not in source.agents:
            raise InvalidInput(f"agent:{target}: there is no such agent, or it asks itself.")
        message = {"type": "string", "description": "What to ask, with everything that is needed to answer."}
        parameters = {"type": "object", "properties": {"message": message}, "required": ["message"]}
        spec = ToolSpec(f"ask_{target}", source.agents[target], parameters)
        return [BoundTool(provider="agent", spec=spec, target=target, asks=True)]

    async def call_tool(self, tool: BoundTool, arguments: JSON, context: ToolCallContext) -> object:
        return await context.ask(tool.target, str(arguments["message"]))


def make_tool_providers(tools: Tools, code: CodeRunner) -> Mapping[str, ToolProvider]:
    """By the word with which a reference to one of their tools begins."""
    return {"library": LibraryTools(tools), "generated": GeneratedTools(code), "agent": AgentTools()}
