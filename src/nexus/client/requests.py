"""Requests as values, and the paths they go to."""

from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote

from msgspec import Struct

API = "/api/v2"
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Request(Struct, frozen=True, kw_only=True):
    """`again`: whether sending it twice does no harm; `seconds`: how long one try may take. `path` is escaped already."""

    method: Method = "GET"
    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    again: bool = True
    seconds: float = 60.0


def make_api_path(*parts: str) -> str:
    """A path of the API. ValueError for a part that would make it another path."""
    if wrong := [part for part in parts if part in ("", ".", "..")]:
        raise ValueError(f"{wrong[0]!r} is no id.")
    return "/".join([API, *(quote(part, safe="") for part in parts)])
