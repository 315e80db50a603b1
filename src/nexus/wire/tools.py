"""Tools of the library."""

from typing import Any, Literal

from msgspec import Struct


class ToolView(Struct, frozen=True, kw_only=True):
    """`schema` is the JSON schema of its parameters; `effect` what a call does to the world."""

    tool_id: str
    tool_name: str
    display_name: str
    display_names: dict[str, str]
    description: str
    category: str
    source: Literal["system", "generated", "imported"]
    version: str
    code_path: str
    schema: dict[str, Any]
    dependencies: list[str]
    effect: Literal["pure", "read", "write_own", "external", "spend", "destructive"]
    visibility: Literal["private", "tenant", "public"]
    usage_count: int
    created_at: str
    updated_at: str
