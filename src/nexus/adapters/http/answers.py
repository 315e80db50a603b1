"""What routes answer with."""

from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from litestar import Request, Response
from msgspec import Struct

from nexus.domain.ports.database import Page
from nexus.wire.lists import Listed

T = TypeVar("T")

API = "/api/v2"
UNTRUSTED = {"content-security-policy": "default-src 'none'; sandbox", "cache-control": "no-cache"}
"""For what a model wrote: no browser may take it for a page."""


def view(entity: object, kind: type[T]) -> T:
    return msgspec.convert(entity, kind, from_attributes=True)


def listed(page: Page[Any], kind: type[T]) -> Listed[T]:
    return Listed(items=[view(item, kind) for item in page.items], next_cursor=page.cursor)


def tagged(request: Request[Any, Any, Any], revision: int, content: T) -> Response[T | None]:
    """With the revision as its ETag; 304 when that is what the caller has."""
    etag = f'"{revision}"'
    headers = {"etag": etag, "cache-control": "no-cache"}
    if request.method == "GET" and etag in [
        known.strip() for known in request.headers.get("if-none-match", "").split(",")
    ]:
        return Response(None, status_code=304, headers=headers)
    return Response(content, headers=headers)


def written(content: bytes, media_type: str) -> Response[bytes]:
    """A file: text of this type, or bytes that are no text."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return Response(content, media_type="application/octet-stream", headers=UNTRUSTED)
    return Response(content, media_type=media_type, headers=UNTRUSTED)


def url_of(project_id: str, path: str) -> str:
    return f"{API}/projects/{project_id}/files/{quote(path)}"


def sums(kind: type[T], days: Sequence[Struct]) -> T:
    """The days and their sums."""
    names = [name for name in days[0].__struct_fields__ if name != "day"]
    totals = {name: sum(getattr(day, name) for day in days) for name in names}
    return msgspec.convert({"days": days, **totals}, kind)
