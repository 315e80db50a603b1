"""Tools of the library: what is stored of one, and what a call of one may answer."""

from typing import ClassVar, Literal

from msgspec import field

from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.principal import Principal
from nexus.domain.core.values import JSON
from nexus.domain.ports.rows import Entity, Row
from nexus.domain.ports.tools import Effect

Source = Literal["system", "generated", "imported"]
Visibility = Literal["private", "tenant", "public"]

SYSTEM = Principal(tenant_id="tnt_system", user_id="usr_system", user_name="nexus", kind="system")
"""Who owns the system tools: nobody who could sign in, so that no account ever adopts them."""


class ToolError(InvalidInput):
    """Why a tool could not do it, as a sentence for the model that called it. `facts["errors"]` may list what was wrong."""

    title: ClassVar[str] = "The tool could not do that"


class Tool(Entity, frozen=True, kw_only=True):
    """A tool of the library. `schema` is the JSON schema of its parameters."""

    tool_id: str
    tool_name: str
    display_name: str
    description: str
    category: str
    source: Source
    version: str
    code_path: str
    schema: JSON
    dependencies: list[str] = field(default_factory=list)
    usage_count: int = 0
    created_at: str
    updated_at: str
    tenant_id: str
    user_id: str
    visibility: Visibility = "tenant"
    effect: Effect = "pure"
    display_names: dict[str, str] = field(default_factory=dict)


class ToolUse(Row, frozen=True, kw_only=True):
    """How often a tool was called, in one of its shards."""

    tool_id: str
    shard: int
    calls: int = 0
