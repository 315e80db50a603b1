"""Tools that agents hold, wherever they come from: what a reference to them means, and how one is called."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from nexus.domain.core.values import JSON
from nexus.domain.ports.code import Program
from nexus.domain.ports.models import ToolSpec

Effect = Literal["pure", "read", "write_own", "external", "spend", "destructive"]
"""What a call does to the world: nothing, reads it, changes what is the agent's own, acts on others, spends money, destroys."""


class BoundTool(Struct, frozen=True, kw_only=True):
    """A tool as an agent holds it: `provider` calls it, and knows it by `target`.

    With `takes_key` it is handed an idempotency key, the same one when a call is repeated. One that `asks` another agent has steps of
    its own: it is not kept as a step."""

    provider: str
    spec: ToolSpec
    target: str
    effect: Effect = "pure"
    takes_key: bool = False
    asks: bool = False


class ToolSource(Struct, frozen=True, kw_only=True):
    """What a reference may draw on: the package's files by path, by slug what the agents are for that may be asked, and the effect that
    is declared beside the reference."""

    files: Mapping[str, str] = {}
    agents: Mapping[str, str] = {}
    effect: Effect = "pure"


class ToolCallContext(Struct, frozen=True, kw_only=True):
    """What one call may use: the agent's program, its idempotency key, and a way to ask another agent of its package by slug."""

    program: Program
    key: str
    ask: Callable[[str, str], Awaitable[str]]


class ToolProvider(Protocol):
    async def resolve_tools(self, target: str, source: ToolSource) -> Sequence[BoundTool]:
        """The tools that a reference `<provider>:<target>` of a package means. InvalidInput says why it means none."""
        ...

    async def call_tool(self, tool: BoundTool, arguments: JSON, context: ToolCallContext) -> object:
        """The JSON value that a tool answers to arguments which fit its schema. InvalidInput says what is wrong with the call, or broke in
        the tool, for the model that called it. Other errors are those of what the tool runs in, and end the answer."""
        ...
