"""What is stored of tools."""

from nexus.domain.ports.rows import Index, Table
from nexus.domain.tools.model import Tool, ToolUse

TOOLS = Table(
    name="tools",
    row=Tool,
    key=("tool_id",),
    owner="tenant_id",
    indexes=(
        Index(name="CategoryIndex", partition="category", sort="usage_count", keys_only=True),
        Index(name="SourceIndex", partition="source", sort="created_at", keys_only=True),
        Index(name="TenantIndex", partition="tenant_id", sort="created_at"),
        Index(name="TenantCategoryIndex", partition="tenant_id+category", sort="created_at"),
    ),
)
TOOL_USES = Table(name="tool_uses", row=ToolUse, key=("tool_id", "shard"))
