"""What routes answer with."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from litestar import Request, Response
from litestar.types import ASGIApp
from msgspec import Struct

from nexus.domain.core.pages import Page
from nexus.wire.lists import Listed

T = TypeVar("T")

API = "/api/v2"
UNTRUSTED = {"content-security-policy": "default-src 'none'; sandbox", "cache-control": "no-cache"}
"""For what a model wrote: no browser may take it for a page."""

_WITHOUT_BODY = (204, 304)
_STEERING = re.compile(
    rb"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa0-\xaf]|\xef\xbf[\xb9-\xbb]|\xef\xbb\xbf"
)
"""DEL, C1, marks and overrides of direction, separators of lines, as UTF-8."""


class Answer(Response[T]):
    """A status, headers and a body, and nothing else that litestar could add: a third of its work. Bytes go as they are, all
    else as JSON."""

    def __init__(
        self,
        content: T,
        *,
        status_code: int | None = None,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        **_: Any,
    ) -> None:
        self.content, self.status_code, self.media_type = content, status_code, media_type
        self.headers = headers or {}  # type: ignore[assignment]  # only read

    def to_asgi_response(  # type: ignore[override]  # litestar only calls what it gets
        self, *_: Any, status_code: int | None = None, **__: Any
    ) -> ASGIApp:
        return partial(self._send_response, self.status_code or status_code or 200)

    async def _send_response(self, status: int, scope: Any, receive: Any, send: Any) -> None:
        fields, body = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()], b""
        if status not in _WITHOUT_BODY:
            body = self.content if isinstance(self.content, bytes) else encode_json(self.content)
            kind = self.media_type or "application/json"
            kind += "; charset=utf-8" if kind.startswith("text/") and "charset=" not in kind else ""
            fields += [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})


def encode_json(content: object) -> bytes:
    """As JSON, with escapes for what could steer a terminal or turn the reading direction where somebody looks at it as it is."""
    body = msgspec.json.encode(content)
    if body.isascii() and b"\x7f" not in body:
        return body
    return _STEERING.sub(lambda found: b"\\u%04x" % ord(found[0].decode()), body)


def convert_to_wire(entity: object, kind: type[T]) -> T:
    return msgspec.convert(entity, kind, from_attributes=True)


def convert_page_to_wire(page: Page[Any], kind: type[T]) -> Listed[T]:
    return Listed(items=[convert_to_wire(item, kind) for item in page.items], next_cursor=page.cursor)


def make_etag_answer(
    request: Request[Any, Any, Any], revision: int, content: T, *, beside: int | None = None
) -> Answer[T | None]:
    """With the revision as its ETag, and what may change `beside` it; 304 when that is what the caller has."""
    etag = f'"{revision}"' if beside is None else f'"{revision}.{beside}"'
    headers = {"etag": etag, "cache-control": "no-cache"}
    known = b",".join([value for name, value in request.scope["headers"] if name == b"if-none-match"])
    if known and request.method == "GET" and _matches_etag(known, etag.encode()):
        return Answer(None, status_code=304, headers=headers)
    return Answer(content, headers=headers)


def _matches_etag(known: bytes, etag: bytes) -> bool:
    """Whether a value of `If-None-Match` names it: weakly, as RFC 9110 compares here, or by `*`."""
    named = [one.strip().removeprefix(b"W/") for one in known.split(b",")]
    return etag in named or b"*" in named


def make_file_answer(content: bytes, media_type: str) -> Answer[bytes]:
    """A file: text of this type, or bytes that are no text."""
    try:
        content.decode()
    except UnicodeDecodeError:
        media_type = "application/octet-stream"
    return Answer(content, media_type=media_type, headers=UNTRUSTED)


def make_file_url(project_id: str, path: str) -> str:
    return f"{API}/projects/{project_id}/files/{quote(path)}"


def sum_daily_statistics(kind: type[T], days: Sequence[Struct]) -> T:
    """The days and their sums."""
    names = [name for name in days[0].__struct_fields__ if name != "day"]
    totals = {name: sum(getattr(day, name) for day in days) for name in names}
    return msgspec.convert({"days": days, **totals}, kind)
