"""Requests to one server: typed answers, problems as exceptions, and tries again where that is safe."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec
from yarl import URL

from nexus.client.errors import ApiError, Dropped, NotNexus, Unreachable, parse_problem_body
from nexus.client.pauses import Pauses, parse_retry_after
from nexus.client.requests import Request

T = TypeVar("T")
AWAY = frozenset({502, 503, 504})
"""Statuses that say nothing about the request: whoever should have answered it does not."""

PROBLEM_BYTES = 256 * 1024
MARK = "X-Request-Id"
"""The header that every answer of a nexus server carries."""
REFUSED = (aiohttp.ClientConnectorError, aiohttp.ClientConnectorDNSError)
DROPPED = (aiohttp.ClientError, ConnectionError, TimeoutError, asyncio.IncompleteReadError)


class Transport:
    """One server. Connections are opened when they are needed and closed with `close`."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        pauses: Pauses = Pauses(),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`notice` is told, in a sentence, when a stream lost its connection and goes on. ValueError for a URL that is none."""
        self.url, self.pauses, self.sleep, self.notice = check_server_url(url), pauses, sleep, notice
        self._token, self.answered = check_token(token), False
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def fetch_json(self, request: Request, kind: type[T]) -> T:
        """The answer as what it should be. NotNexus when it is something else."""
        body = await self.fetch_body(request)
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise NotNexus(self.url, f"it speaks another language: {error}") from error

    async def fetch_body(self, request: Request) -> bytes:
        """The body of a good answer. ApiError for a refusal, Unreachable when no answer came in all tries."""
        failures = 0
        while True:
            try:
                return await self._try_request(request)
            except Dropped as dropped:
                failures += 1
                if failures >= self._get_max_tries(request, dropped.failure):
                    raise dropped.failure from dropped.failure.__cause__
                await self.sleep(self.pauses.compute_retry_delay(failures, wished=dropped.wished))

    async def _try_request(self, request: Request) -> bytes:
        limits = aiohttp.ClientTimeout(total=request.seconds, sock_connect=10)
        try:
            async with self._send_request(request, limits) as response:
                if response.status in AWAY:
                    raise Dropped(
                        await self.parse_error_response(response),
                        parse_retry_after(response.headers.get("Retry-After")),
                    )
                if response.status >= 300:
                    raise await self.parse_error_response(response)
                if MARK not in response.headers:
                    raise NotNexus(self.url, describe_response(response))
                return await response.read()
        except DROPPED as error:
            failure = self.make_connection_error(error)
            raise failure if isinstance(failure, NotNexus) else Dropped(failure) from error

    def _get_max_tries(self, request: Request, failure: ApiError | Unreachable) -> int:
        """How many in all. What may not be sent twice is sent again only when it cannot have arrived."""
        never_sent = isinstance(failure.__cause__, REFUSED)
        if never_sent and not self.answered:
            return self.pauses.first_contact
        return self.pauses.calls if request.again or never_sent else 1

    @asynccontextmanager
    async def open_response_stream(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """One try: an answer whose body is read as it comes; silence for longer than three pings is a drop (TimeoutError)."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=50)
        async with self._send_request(request, limits) as response:
            yield response

    @asynccontextmanager
    async def _send_request(
        self, request: Request, limits: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = dict(request.headers)
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        self._session = self._session or aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        query = str(URL.build(query=request.query)) if request.query else ""
        url, body = URL(f"{self.url}{request.path}{query}", encoded=True), request.body
        async with self._session.request(
            request.method, url, headers=headers, data=body, timeout=limits, allow_redirects=False
        ) as response:
            self.answered = True
            yield response

    async def parse_error_response(self, response: aiohttp.ClientResponse) -> ApiError | Unreachable:
        """What an answer other than a good one means: the problem of a server, or that none of nexus answers."""
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > PROBLEM_BYTES:
                break
        problem = parse_problem_body(response.status, bytes(body))
        return NotNexus(self.url, describe_response(response)) if problem is None else ApiError(problem)

    def make_connection_error(self, error: BaseException) -> Unreachable:
        """What a connection's end means to who called."""
        kind, reason = _explain_connection_error(error)
        lost = kind(self.url, reason)
        lost.__cause__ = error
        return lost


def describe_response(response: aiohttp.ClientResponse) -> str:
    """An answer in a few words: its status, its kind, where it sends to."""
    if 300 <= response.status < 400:
        return f"it sends you elsewhere: use {response.headers.get('Location', 'another address')} as the URL"
    kind = response.headers.get("Content-Type", "no content").partition(";")[0].strip()
    return f"it said {response.status} {response.reason or ''}".rstrip() + f" with {kind}"


def check_server_url(url: str) -> str:
    """Without the slash at its end. ValueError for what is no address of a server."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no address of a server: it should look like http://127.0.0.1:8000")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("The address of a server has no query, no fragment and no password in it.")
    return url.strip().rstrip("/")


def check_token(token: str | None) -> str | None:
    """ValueError, which does not repeat it, for what cannot stand in a header."""
    token = (token or "").strip()
    if not token.isascii() or not token.isprintable():
        raise ValueError("The token holds characters that no token has.")
    return token or None


def _explain_connection_error(error: BaseException) -> tuple[type[Unreachable], str]:
    """NotNexus for a server that speaks no HTTP, or HTTP where TLS was expected."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return Unreachable, f"its certificate is not trusted ({error})"
        case ssl.SSLError() | aiohttp.ClientSSLError():
            return NotNexus, "it speaks no TLS that is understood here; should the URL begin with http://?"
        case aiohttp.ClientResponseError():
            return NotNexus, "it speaks no HTTP; should the URL begin with https://?"
        case aiohttp.ClientConnectorDNSError():
            return Unreachable, "the host is not known"
        case aiohttp.ClientConnectorError():
            return Unreachable, "nothing answers there"
        case TimeoutError():
            return Unreachable, "it did not answer in time"
    return Unreachable, f"the connection was lost ({type(error).__name__})"
