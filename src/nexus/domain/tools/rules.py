"""What is decided about tools: their ids, who sees them, how a library tool stands in the store."""

import zlib

from msgspec import structs

from nexus.domain.core.ids import derive_id
from nexus.domain.tools.library.registry import LibraryTool
from nexus.domain.tools.model import SYSTEM, Tool

SHARDS = 8
"""Over how many rows the calls of one tool are counted, so that many can be counted at once."""

VERSION = "1.0.0"


def derive_library_tool_id(name: str) -> str:
    """The id of a system tool: `tol_` and 26 characters that follow from its name, the same everywhere and for ever."""
    return derive_id("tol", "library", name)


def choose_counter_shard(marker: str) -> int:
    return zlib.crc32(marker.encode()) % SHARDS


def make_library_tool_row(tool: LibraryTool, now: str) -> Tool:
    """A library tool as it is stored at first."""
    spec = tool.spec
    return Tool(
        tool_id=derive_library_tool_id(spec.name),
        tool_name=spec.name,
        display_name=tool.en,
        display_names={"en": tool.en, "zh": tool.zh},
        description=spec.description,
        category=tool.category,
        source="system",
        version=VERSION,
        code_path=f"library:{spec.name}",
        schema=spec.parameters,
        created_at=now,
        updated_at=now,
        tenant_id=SYSTEM.tenant_id,
        user_id=SYSTEM.user_id,
        visibility="public",
        effect=tool.effect,
    )


def update_library_tool_row(kept: Tool, tool: LibraryTool, now: str) -> Tool:
    """The stored tool as this code has it; what was counted and when it came stays, and so does everything when nothing changed."""
    wanted = structs.replace(
        make_library_tool_row(tool, kept.created_at),
        usage_count=kept.usage_count,
        revision=kept.revision,
        updated_at=kept.updated_at,
    )
    return kept if wanted == kept else structs.replace(wanted, updated_at=now)
