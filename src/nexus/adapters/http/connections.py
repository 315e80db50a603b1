"""Connections that cost no more than they may: heads of bounded size, deadlines for their senders, so many for each address."""

import asyncio
import ipaddress
import math
import os
from collections.abc import Collection
from functools import lru_cache
from itertools import chain
from typing import Any, NoReturn

import httptools
import structlog
from msgspec import Struct
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from nexus.adapters.http import problems
from nexus.adapters.http.problems import AddressTooLong, HeadTooLarge, MalformedRequest, TooManyConnections, TooSlow
from nexus.domain.core.errors import NexusError

HEAD_BYTES = 64 * 1024
"""Of a request line, header fields and trailers together, and of what lies between two pieces of a body."""
HEAD_FIELDS = 100
TOO_LARGE = f"The head of a request has at most {HEAD_BYTES} bytes and {HEAD_FIELDS} fields."
PIPELINED = 16
LINGER_SECONDS = 2.0
"""For so long what a refused peer still sends is read and dropped: closing at once could destroy the refusal on its way."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
logger = structlog.get_logger()


class Bounds(Struct, frozen=True, kw_only=True):
    """Seconds for a head, a body, for the pause between two requests, and for a peer that takes nothing; how many connections one address may hold, unless it is
    `trusted`; how many there may be in all."""

    head_seconds: float = 20.0
    body_seconds: float = 30.0
    idle_seconds: float = 75.0
    stall_seconds: float = 20.0
    connections_per_address: int = 500
    connections: int = 10_000
    trusted: tuple[Network, ...] = ()


class Connections:
    """All connections by address, oldest first. Where there is no room, one that waits for its peer makes room for the new one:
    who says nothing shuts nobody out."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._all: dict[Connection, str | None] = {}
        self._of: dict[str, dict[Connection, None]] = {}
        self._key = lru_cache(maxsize=1024)(self._find_client_network)

    def try_add_connection(self, connection: "Connection", address: str) -> bool:
        """False when every connection that could make room has a request in work."""
        key = self._key(address)
        beside = {} if key is None else self._of.get(key, {})
        if len(beside) >= self.bounds.connections_per_address and not self._evict_connection(beside):
            return False
        if len(self._all) >= self.bounds.connections and not self._evict_connection(self._all):
            return False
        self._all[connection] = key
        if key is not None:
            self._of.setdefault(key, {})[connection] = None
        return True

    def remove_connection(self, connection: "Connection") -> None:
        key = self._all.pop(connection, None)
        if key is not None and (beside := self._of.get(key)) is not None:
            beside.pop(connection, None)
            if not beside:
                del self._of[key]

    def _evict_connection(self, among: Collection["Connection"]) -> bool:
        sending = (one for one in among if one.is_waiting_for_peer)
        idle = (one for one in among if not one.is_answering)
        if (found := next(chain(sending, idle), None)) is None:
            return False
        self.remove_connection(found)
        found.transport.abort()
        return True

    def _find_client_network(self, address: str) -> str | None:
        """What is counted together: an IPv4 address, or the network of an IPv6 one; None for a trusted one."""
        try:
            known = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return address
        known = getattr(known, "ipv4_mapped", None) or known
        if any(known in network for network in self.bounds.trusted):
            return None
        return str(known) if known.version == 4 else str(ipaddress.ip_network((known, 64), strict=False))


class Connection(HttpToolsProtocol):
    """uvicorn's protocol within bounds. `check` is to be called every second or so: one look at all connections is cheaper than timers
    for each request."""

    def __init__(self, connections: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._held, self._bounds = connections, connections.bounds
        self._until, self._has_begun, self._in_body, self._is_refused = math.inf, False, False, False
        self._head_bytes = self._unread = self._unsent = 0
        self._moved = 0.0
        self._running: RequestResponseCycle | None = None
        self._wrong: NexusError | None = None

    @property
    def is_answering(self) -> bool:
        return self._running is not None and not self._running.response_complete

    @property
    def is_waiting_for_peer(self) -> bool:
        """Whether the peer has to send the rest of something, or anything at all."""
        return self._until < math.inf

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._until = self.loop.time() + self._bounds.head_seconds
        if not self._held.try_add_connection(self, self.client[0] if self.client else ""):
            self._refuse_request(TooManyConnections("Close some connections, or try again soon.", retry_after=5))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._held.remove_connection(self)
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._unset_keepalive_if_required()
        if self._until == math.inf:
            self._until = self.loop.time() + self._bounds.head_seconds
        self._unread += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return
        except httptools.HttpParserError:
            self._refuse_request(self._wrong or MalformedRequest("What was sent is not HTTP/1.1."))
            return
        if self._unread > HEAD_BYTES:
            self._refuse_request(HeadTooLarge(TOO_LARGE))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._has_begun, self._head_bytes = True, 0
        if self._until == math.inf:
            self._until = self.loop.time() + self._bounds.head_seconds

    def on_url(self, url: bytes) -> None:
        self._head_bytes += len(url)
        if self._head_bytes > HEAD_BYTES:
            self._abort_parsing(AddressTooLong(f"The head of a request has at most {HEAD_BYTES} bytes."))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > HEAD_BYTES or len(self.headers) >= HEAD_FIELDS:
            self._abort_parsing(HeadTooLarge(TOO_LARGE))
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        if name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            self._abort_parsing(MalformedRequest("A body comes with a Content-Length or `Transfer-Encoding: chunked`."))
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= PIPELINED:
            self._abort_parsing(MalformedRequest(f"At most {PIPELINED} requests may wait for their answers."))
        self._unread, self._has_begun, self._in_body = 0, False, True
        self._until = self.loop.time() + self._bounds.body_seconds
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread, self._in_body, self._until = 0, False, math.inf
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if not self._in_body and self._until < math.inf:
            self._until = self.loop.time() + self._bounds.head_seconds
        super().on_response_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def close_if_timed_out(self, now: float) -> None:
        """Ends a connection whose peer takes nothing, or lets us wait for what it owes."""
        if (unsent := self.transport.get_write_buffer_size()) != self._unsent or not unsent:
            self._unsent, self._moved = unsent, now
        elif now - self._moved > self._bounds.stall_seconds:
            self.transport.abort()
            return
        if now < self._until:
            return
        if self.is_answering and (self.flow.read_paused or not self._in_body):
            self._until = now + self._bounds.head_seconds
            return
        if self._is_refused or (self._running is not None and self._in_body and self._running.response_started):
            self.transport.abort()
        elif self._has_begun or self._in_body:
            self._refuse_request(TooSlow("The rest of the request did not come in time."))
        else:
            self.transport.close()

    def _abort_parsing(self, error: NexusError) -> NoReturn:
        """Ends the parsing; the parser hides what was raised inside."""
        self._wrong = error
        raise error

    def _refuse_request(self, error: NexusError) -> None:
        """Answers what never becomes a request for the application, and reads on for a moment. An answer that is on its way is finished."""
        self._is_refused = True
        self.pipeline.clear()
        logger.info(
            "http.refused", status=problems.get_error_status(type(error)), reason=error.title, peer=str(self.client)
        )
        running = self._running
        if running is not None and not running.response_complete:
            if running.response_started or not running.more_body:
                running.keep_alive, self._until = False, math.inf
                return
            running.disconnected = True
            running.message_event.set()
        self.transport.write(_encode_error_response(error, getattr(self, "url", b"")))
        self.transport.write_eof()
        self._until = self.loop.time() + LINGER_SECONDS


def _encode_error_response(error: NexusError, url: bytes) -> bytes:
    path, request_id = url[:200].partition(b"?")[0].decode("latin-1"), f"req_{os.urandom(12).hex()}"
    told = problems.make_problem_answer(error, path=path, request_id=request_id)
    fields = {
        "content-type": problems.MEDIA_TYPE,
        "content-length": str(len(told.content)),
        "connection": "close",
        "x-content-type-options": "nosniff",
        **told.headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return STATUS_LINE[told.status_code or 500] + lines.encode() + b"\r\n" + told.content
