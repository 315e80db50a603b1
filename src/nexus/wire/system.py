"""How the server is."""

from typing import Any, Literal

from msgspec import Struct


class HealthView(Struct, frozen=True, kw_only=True):
    """`ok` while the process is alive; the parts say what answers."""

    status: Literal["ok"]
    version: str
    parts: dict[str, Any]


class ReadyView(Struct, frozen=True, kw_only=True):
    """Whether requests should be sent here."""

    status: Literal["ready", "not ready"]
    parts: dict[str, Any]
