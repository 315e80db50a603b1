"""What every request passes first: its id and trace, the name it used for us, the site it comes from, its size; and one log line."""

import os
import re
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import structlog
from structlog.contextvars import bind_contextvars, reset_contextvars

from nexus.adapters.http import problems
from nexus.adapters.http.problems import ContentTooLarge, ForeignHost, ForeignOrigin, MalformedBody
from nexus.domain.core.errors import NexusError

MOST_BYTES = 1024 * 1024
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_TRACE = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?")
_READS = ("GET", "HEAD", "OPTIONS")

App = Callable[[Any, Any, Any], Awaitable[None]]


class Trace(NamedTuple):
    """A request's place in a W3C trace: continued, or begun here."""

    trace_id: str
    span_id: str
    flags: str

    @classmethod
    def of(cls, header: str, chance: str) -> "Trace":
        """Out of the header, and of 48 hexadecimal digits of chance."""
        known = _TRACE.fullmatch(header)
        trace_id, flags = known.groups() if known else (chance[16:48], "00")
        return cls(trace_id, chance[:16], flags)

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


class Edge:
    """Around the whole application. With `hosts` it answers to these names only and lets no other site's pages write: the
    guard of a server that asks for no token."""

    def __init__(self, app: App, *, hosts: Collection[str] | None) -> None:
        self._app, self._log = app, structlog.get_logger().bind()
        self._hosts = None if hosts is None else LOOPBACK | {_bare(host) for host in hosts}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, chance = {name: value.decode("latin-1") for name, value in scope["headers"]}, os.urandom(36).hex()
        wanted, trace = headers.get(b"x-request-id", ""), Trace.of(headers.get(b"traceparent", ""), chance)
        scope["request_id"] = wanted if _REQUEST_ID.fullmatch(wanted) else "req_" + chance[48:]
        seen = _Seen(send, [(b"x-request-id", scope["request_id"].encode()), (b"traceparent", str(trace).encode())])
        bound, began = bind_contextvars(request_id=scope["request_id"], trace_id=trace.trace_id), time.perf_counter()
        try:
            if (refusal := self._refusal(scope["method"], headers)) is not None:
                await _refused(scope, seen, refusal)
            else:
                await self._app(scope, receive, seen)
        finally:
            self._log.info(
                "http.request",
                method=scope["method"],
                path=scope.get("path_template") or scope["path"][:200],
                status=seen.status,
                ms=round((time.perf_counter() - began) * 1000, 1),
            )
            reset_contextvars(**bound)

    def _refusal(self, method: str, headers: dict[bytes, str]) -> NexusError | None:
        host, origin, length = headers.get(b"host", ""), headers.get(b"origin"), headers.get(b"content-length", "0")
        if self._hosts is not None:
            if _bare(host) not in self._hosts:
                return ForeignHost("Use the name or address under which the server was started.")
            if origin is not None and method not in _READS and urlsplit(origin).netloc.lower() != host.lower():
                return ForeignOrigin("Pages of other sites cannot change anything here.")
        if not (length.isascii() and length.isdecimal()):
            return MalformedBody("The Content-Length is not a number.")
        return _too_large() if int(length[:20]) > MOST_BYTES else None


class _Seen:
    """A `send` that adds headers to the answer and remembers its status."""

    __slots__ = ("_headers", "_send", "status")

    def __init__(self, send: Any, headers: list[tuple[bytes, bytes]]) -> None:
        self._send, self.status = send, 0
        self._headers = [*headers, (b"x-content-type-options", b"nosniff")]

    def __call__(self, message: Any) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._headers]
        sent: Awaitable[None] = self._send(message)
        return sent


def _bare(host: str) -> str:
    """A host without its port and brackets."""
    if host.startswith("["):
        name = host[1:].partition("]")[0]
    else:
        name = host.partition(":")[0] if host.count(":") == 1 else host
    return name.lower().rstrip(".")


def _too_large() -> ContentTooLarge:
    return ContentTooLarge(f"A body has at most {MOST_BYTES} bytes.")


async def _refused(scope: Any, send: Any, refusal: NexusError) -> None:
    told = problems.answer(refusal, path=scope["path"], request_id=scope["request_id"])
    headers = {**told.headers, "content-type": problems.MEDIA_TYPE, "content-length": str(len(told.body))}
    fields = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": told.status, "headers": fields})
    await send({"type": "http.response.body", "body": told.body})
