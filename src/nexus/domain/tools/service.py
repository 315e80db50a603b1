"""The library of tools: shown, called, counted."""

import asyncio
import contextlib
import inspect
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from msgspec import structs

from nexus.domain.core.errors import AlreadyExists, NexusError, NotFound, Unavailable
from nexus.domain.core.ids import is_valid_id
from nexus.domain.core.instants import Clock, format_instant
from nexus.domain.core.principal import Principal
from nexus.domain.core.values import JSON
from nexus.domain.identity import policies
from nexus.domain.ports.database import Page, Tables, Window
from nexus.domain.ports.rows import Write, insert, tally
from nexus.domain.ports.web import Web
from nexus.domain.tools import rules
from nexus.domain.tools.arguments import coerce_tool_arguments
from nexus.domain.tools.calls import describe_exception
from nexus.domain.tools.library.registry import LIBRARY, LibraryTool
from nexus.domain.tools.model import SYSTEM, Tool, ToolError
from nexus.domain.tools.tables import TOOL_USES, TOOLS
from nexus.domain.tools.workers import Workers

_SECONDS = 30.0

logger = structlog.get_logger()


class Tools:
    """Those that come with nexus."""

    def __init__(self, *, tables: Tables, web: Web, clock: Clock) -> None:
        self._tables, self._clock, self._workers = tables, clock, Workers()
        self._uncounted = set(LIBRARY)
        self._given: Mapping[str, Any] = {"clock": clock, "web": web, "workers": self._workers}

    async def register_library_tools(self) -> None:
        """Stores the library as this code has it. As often as wanted, by several processes at once; counts stay."""
        async with asyncio.TaskGroup() as group:
            for tool in LIBRARY.values():
                group.create_task(self._register_tool(tool))

    async def list_tools(self, window: Window = Window(), category: str | None = None) -> Page[Tool]:
        """The library, by time. Counts are those of this moment."""
        index, more = ("TenantCategoryIndex", (category,)) if category else ("TenantIndex", ())
        found = await self._tables.read_page(TOOLS, SYSTEM.tenant_id, *more, index=index, window=window)
        return Page(await asyncio.gather(*map(self._add_use_count, found.items)), found.cursor)

    async def get(self, caller: Principal, tool_id: str) -> Tool:
        """With the count of this moment. NotFound also for what the caller may not see."""
        tool = await self._tables.find(TOOLS, tool_id) if is_valid_id(tool_id, "tol") else None
        if tool is None or not policies.can_view(caller, tool):
            raise NotFound("There is no such tool", tool_id=tool_id)
        return await self._add_use_count(tool)

    async def call_library_tool(self, name: str, arguments: Mapping[str, Any], *, seconds: float = _SECONDS) -> JSON:
        """Calls a library tool. ToolError says what was wrong with the call, or broke in it; Unavailable that it took too long."""
        if (tool := LIBRARY.get(name)) is None:
            raise ToolError(f"There is no tool {name[:80]!r} in the library.")
        wanted = coerce_tool_arguments(tool.spec, arguments)
        try:
            return await self._run_library_tool(tool, wanted, seconds)
        except NexusError:
            raise
        except TimeoutError:
            raise Unavailable(f"{name} did not finish within {seconds:g} seconds.") from None
        except Exception as error:
            logger.warning("tool.failed", tool=name, exc_info=True)
            raise ToolError(f"{name} could not do that ({describe_exception(error)}).") from error

    async def _run_library_tool(self, tool: LibraryTool, wanted: JSON, seconds: float) -> JSON:
        given: JSON = {part: self._given[part] for part in tool.given}
        if not inspect.iscoroutinefunction(tool.function):
            return await self._workers.run_function(tool.function, wanted, given, seconds=seconds)
        async with asyncio.timeout(seconds):
            return dict(await tool.function(**wanted, **given))

    def make_use_count_writes(self, names: Iterable[str], *, marker: str) -> list[Write]:
        """The calls of library tools among these names, to be committed beside the insert of the row that `marker` names."""
        calls = Counter(name for name in names if name in LIBRARY)
        self._uncounted.update(calls)
        shard = rules.choose_counter_shard(marker)
        return [
            tally(TOOL_USES, (rules.derive_library_tool_id(name), shard), calls=count) for name, count in calls.items()
        ]

    async def update_use_count(self, tool_id: str) -> Tool:
        """Writes the count of this moment into the tool's row, where it orders `CategoryIndex`. It sets and never adds."""
        calls = await self._sum_tool_calls(tool_id)
        return await self._tables.edit_row(
            TOOLS, tool_id, change=lambda tool: structs.replace(tool, usage_count=max(tool.usage_count, calls))
        )

    async def update_all_use_counts(self) -> None:
        """`update_use_count` of every library tool that was called from here since; at first, of every one."""
        called, self._uncounted = self._uncounted, set()
        for name in called:
            tool = await self._tables.find(TOOLS, rules.derive_library_tool_id(name))
            if tool and await self._sum_tool_calls(tool.tool_id) > tool.usage_count:
                await self.update_use_count(tool.tool_id)

    async def _register_tool(self, tool: LibraryTool) -> None:
        now, tool_id = format_instant(self._clock()), rules.derive_library_tool_id(tool.name)
        if await self._tables.find(TOOLS, tool_id) is None:
            with contextlib.suppress(AlreadyExists):
                await self._tables.commit(insert(TOOLS, rules.make_library_tool_row(tool, now)))
                return
        await self._tables.edit_row(TOOLS, tool_id, change=lambda kept: rules.update_library_tool_row(kept, tool, now))

    async def _add_use_count(self, tool: Tool) -> Tool:
        return structs.replace(tool, usage_count=max(tool.usage_count, await self._sum_tool_calls(tool.tool_id)))

    async def _sum_tool_calls(self, tool_id: str) -> int:
        uses = await self._tables.read_page(TOOL_USES, tool_id, window=Window(limit=rules.SHARDS))
        return sum(use.calls for use in uses.items)
