"""Requests as values, and the paths they go to."""

from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote
from uuid import uuid4

import msgspec
from msgspec import Struct

API = "/api/v2"
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Request(Struct, frozen=True, kw_only=True):
    """`again`: whether sending it twice does no harm; `seconds`: how long one try may take. `path` is escape_path already."""

    method: Method = "GET"
    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    again: bool = True
    seconds: float = 60.0


def create_request(path: str, body: Struct) -> Request:
    """A POST that makes something, once however often it is sent."""
    key = {"Idempotency-Key": uuid4().hex}
    return Request(method="POST", path=f"{API}{path}", headers=key, body=msgspec.json.encode(body))


def events_of(session_id: str, reply_id: str) -> Request:
    return Request(path=f"{API}/sessions/{part(session_id)}/replies/{part(reply_id)}/events")


def part(text: str) -> str:
    """One part of a path. ValueError for what would make it another path."""
    if text in ("", ".", ".."):
        raise ValueError(f"{text!r} is no id.")
    return quote(text, safe="")


def escape_path(path: str) -> str:
    return "/".join(map(part, path.strip("/").split("/")))
