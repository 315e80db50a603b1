"""What every request passes first: its id and trace, the name it used for us, the site it comes from, its size; and one log line."""

import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

import structlog
from structlog.contextvars import bind_contextvars, reset_contextvars

from nexus.adapters.http import problems
from nexus.adapters.http.auth import READS
from nexus.adapters.http.problems import ContentTooLarge, ForeignHost, ForeignOrigin, MalformedBody, MalformedRequest
from nexus.domain.core.errors import NexusError
from nexus.domain.ports.metrics import Metrics
from nexus.domain.ports.tracing import Span, open_span

MOST_BYTES = 1024 * 1024
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253}?)\.?)(?::[0-9]{0,5})?")
_SAID_ONCE = (
    b"host origin authorization content-type content-length content-encoding idempotency-key last-event-id".split()
)
"""Headers of which a second one would be a second opinion."""

App = Callable[[Any, Any, Any], Awaitable[None]]


class Edge:
    """Around the whole application. With `hosts` it answers to these names only and lets no other site's pages write: the
    guard of a server that asks for no token. `methods` are those that each address allows."""

    def __init__(
        self, app: App, *, hosts: Collection[str] | None, methods: Mapping[str, str], metrics: Metrics
    ) -> None:
        self._app, self._methods, self._metrics, self._log = app, methods, metrics, structlog.get_logger().bind()
        self._hosts = None if hosts is None else LOOPBACK | {host.strip("[]").rstrip(".").lower() for host in hosts}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        wanted = headers.get(b"x-request-id", "")
        scope["request_id"] = wanted if _REQUEST_ID.fullmatch(wanted) else f"req_{random.getrandbits(96):024x}"
        with open_span(scope["method"], "server", traceparent=headers.get(b"traceparent")) as span:
            marks = [(b"x-request-id", scope["request_id"].encode()), (b"traceparent", str(span.context).encode())]
            await self._answer_request(scope, headers, receive, _Seen(send, marks), span)

    async def _answer_request(
        self, scope: Any, headers: dict[bytes, str], receive: Any, seen: "_Seen", span: Span
    ) -> None:
        inner, bound, began = scope, bind_contextvars(request_id=scope["request_id"]), time.perf_counter()
        if scope["method"] == "HEAD":
            inner, seen.is_bare = {**scope, "method": "GET"}, True
        try:
            if (refusal := self._find_request_error(scope, headers)) is not None:
                refused = problems.make_problem_answer(refusal, path=scope["path"], request_id=scope["request_id"])
                await refused.to_asgi_response()(scope, receive, seen)
            else:
                await self._app(
                    inner, receive, seen if scope["method"] != "OPTIONS" else self._wrap_send_with_allow(inner, seen)
                )
        finally:
            seconds, route = time.perf_counter() - began, inner.get("path_template", "")
            self._metrics.observe_request(scope["method"], route, seen.status, seconds)
            span.describe(_make_attributes(scope, route, seen.status), name=f"{scope['method']} {route}".rstrip())
            self._log.info(
                "http.request",
                method=scope["method"],
                path=route or scope["path"][:200],
                status=seen.status,
                ms=round(seconds * 1000, 1),
            )
            reset_contextvars(**bound)

    def _wrap_send_with_allow(self, scope: Any, send: Any) -> Any:
        """A `send` of which `Allow` tells all methods of the address."""

        def send_allow(message: Any) -> Awaitable[None]:
            if message["type"] == "http.response.start" and message["status"] == 204:
                message["headers"] = [(b"allow", self._methods[scope["path_template"]].encode())]
            sent: Awaitable[None] = send(message)
            return sent

        return send_allow

    def _find_request_error(self, scope: Any, headers: dict[bytes, str]) -> NexusError | None:
        host, length = headers.get(b"host", ""), headers.get(b"content-length", "0")
        if len(headers) != len(scope["headers"]) and (name := _find_repeated_header(scope["headers"])) is not None:
            return MalformedRequest(f"The header {name} was sent twice.")
        if b"host" not in headers and scope["http_version"] != "1.0":
            return MalformedRequest("A request says in `Host` whom it asks.")
        if self._hosts is not None:
            if _parse_hostname(host) not in self._hosts:
                return ForeignHost("Use the name or address under which the server was started.")
            if scope["method"] not in READS and not _is_same_origin(headers.get(b"origin"), host):
                return ForeignOrigin("Pages of other sites cannot change anything here.")
        elif host and not _parse_hostname(host):
            return MalformedRequest("The Host is no name or address.")
        if not (length.isascii() and length.isdecimal()):
            return MalformedBody("The Content-Length is not a number.")
        too_large = int(length[:20]) > MOST_BYTES
        return ContentTooLarge(f"A body has at most {MOST_BYTES} bytes.") if too_large else None


class _Seen:
    """A `send` that adds headers to the answer and remembers its status. `is_bare`: it ends behind the headers, whatever follows."""

    __slots__ = ("_has_ended", "_headers", "_send", "is_bare", "status")

    def __init__(self, send: Any, headers: list[tuple[bytes, bytes]]) -> None:
        self._send, self.status, self.is_bare, self._has_ended = send, 0, False, False
        self._headers = [*headers, (b"x-content-type-options", b"nosniff")]

    def __call__(self, message: Any) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._headers]
        elif self.is_bare:
            return self._send_empty_body()
        sent: Awaitable[None] = self._send(message)
        return sent

    async def _send_empty_body(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            await self._send({"type": "http.response.body", "body": b""})


def _make_attributes(scope: Any, route: str, status: int) -> dict[str, str | int]:
    """Of a span, as OpenTelemetry names them."""
    found = {"http.request.method": scope["method"], "http.route": route, "http.response.status_code": status}
    return found if status < 500 else {**found, "error.type": str(status)}


@lru_cache(maxsize=16)
def _parse_hostname(host: str) -> str:
    """A host without its port and brackets; empty for what is no host."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower() if found else ""


def _is_same_origin(origin: str | None, host: str) -> bool:
    return origin is None or origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())


def _find_repeated_header(fields: Iterable[tuple[bytes, bytes]]) -> str | None:
    names = Counter(name for name, _ in fields)
    return next((name.decode() for name in _SAID_ONCE if names[name] > 1), None)
