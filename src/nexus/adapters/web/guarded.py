"""The web over aiohttp: our own resolving, every address checked, and the connection goes to the address that was checked."""

import asyncio
import codecs
import re
import socket
import zlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from nexus.domain.core.errors import InvalidInput, NexusError, PermissionDenied, Unavailable
from nexus.domain.ports.addresses import PORTS, Target, is_address_permitted, join_redirect_location, parse_http_url
from nexus.domain.ports.web import Fetched

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host name, IPv4 and IPv6. OSError when there are none."""

REDIRECTS = 3
MOST_SECONDS = 30.0
MOST_BYTES = 10_000_000
_CONNECT_SECONDS = 10.0
_MOVED = frozenset({301, 302, 303, 307, 308})
_OWN_HEADERS = {"User-Agent": "nexus", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
_HARMLESS = frozenset({"accept", "accept-language", "user-agent"})
_FORBIDDEN = re.compile(
    r"host|connection|content-length|transfer-encoding|upgrade|te|trailer|expect|accept-encoding|keep-alive|proxy-.*",
    re.IGNORECASE,
)
_CHARSET = re.compile(rb"charset\s*+=\s*+[\"']?\s*+([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_CODECS = re.compile(
    r"utf-?(8|16|32)(-?[bl]e|-sig)?|ascii|latin.?1|iso-?8859-\d+|cp\d+|windows-\d+|gb(k|2312|18030)|hz|big5(hkscs)?|shift_jis|euc[_-](jp|kr)|iso2022_\w+|koi8-[ru]|mac-\w+",
    re.IGNORECASE,
)


async def resolve_with_system_dns(host: str, port: int) -> Sequence[str]:
    """What the machine's resolver says."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class GuardedWeb:
    """`Web` for agents. `ports` and `allowed` (addresses) open what is closed otherwise."""

    def __init__(
        self,
        *,
        resolve: Resolve = resolve_with_system_dns,
        ports: Collection[int] = PORTS,
        allowed: Collection[str] = (),
    ) -> None:
        self._resolve, self._ports, self._allowed = resolve, frozenset(ports), frozenset(allowed)

    async def fetch_url(
        self, url: str, *, headers: Mapping[str, str] = {}, seconds: float = 30.0, most: int = 1_000_000
    ) -> Fetched:
        _check_request_headers(headers)
        most = max(0, min(most, MOST_BYTES))
        try:
            async with asyncio.timeout(max(0.0, min(seconds, MOST_SECONDS))):
                return await self._fetch_with_redirects(url, headers, most)
        except TimeoutError as error:
            raise Unavailable("The address did not answer in time") from error
        except ValueError as error:  # of a library that takes an address apart
            raise _find_wrapped_error(error) or InvalidInput("This is not a web address") from error
        except (aiohttp.ClientError, OSError, zlib.error) as error:
            raise _find_wrapped_error(error) or Unavailable("The address could not be read") from error

    async def _fetch_with_redirects(self, url: str, headers: Mapping[str, str], most: int) -> Fetched:
        """The answer behind at most three redirects, each of them checked as if it had been asked for."""
        target = self._parse_and_check_url(url)
        async with self._open_http_session() as session:
            for _ in range(REDIRECTS + 1):
                answer = await _fetch_without_redirects(session, target, headers, most)
                if isinstance(answer, Fetched):
                    return answer
                moved = self._parse_and_check_url(answer)
                headers = headers if _is_same_origin(target, moved) else _filter_safe_headers(headers)
                target = moved
        raise Unavailable(f"The address redirects more than {REDIRECTS} times")

    def _parse_and_check_url(self, url: str) -> Target:
        return parse_http_url(url, ports=self._ports, allowed=self._allowed)

    def _open_http_session(self) -> aiohttp.ClientSession:
        """One for each fetch: no cookie, no connection and no answer of a resolver outlives it."""
        resolver = _CheckedResolver(self._resolve, self._allowed)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=resolver,
                use_dns_cache=False,
                force_close=True,
                socket_factory=self._open_public_socket,
                limit=1,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            auto_decompress=False,
            trust_env=False,
        )

    def _open_public_socket(self, wanted: "aiohttp.connector.AddrInfoType") -> socket.socket:
        """The last gate: whatever led here, no socket is made for an address that is not public."""
        family, kind, protocol, _, place = wanted
        if not is_address_permitted(str(place[0]), self._allowed):
            raise PermissionDenied("This address is not public")
        return socket.socket(family, kind, protocol)


class _CheckedResolver(AbstractResolver):
    """Answers only when every address of a name is public: of a mixed answer none is used."""

    def __init__(self, resolve: Resolve, allowed: Collection[str]) -> None:
        self._resolve, self._allowed = resolve, allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = [address.partition("%")[0] for address in dict.fromkeys(await self._resolve(host, port))]
        if not addresses:
            raise OSError(f"{host} has no address")
        if not all(is_address_permitted(address, self._allowed) for address in addresses):
            raise PermissionDenied("This address is not public")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        return None


async def _fetch_without_redirects(
    session: aiohttp.ClientSession, target: Target, headers: Mapping[str, str], most: int
) -> Fetched | str:
    """The answer, or the URL to which it sends the reader."""
    async with session.get(
        _make_checked_url(target), headers=_OWN_HEADERS | dict(headers), allow_redirects=False
    ) as answer:
        location = answer.headers.get("Location")
        if answer.status in _MOVED and location:
            return join_redirect_location(target.url, location)
        return await _read_response_body(target, answer, most)


def _make_checked_url(target: Target) -> URL:
    """The URL with the host as it was checked, so that no second parser may read another one."""
    url = URL(target.url).with_host(target.host).with_fragment(None)
    if (url.scheme, url.host, url.port, url.user) != (target.scheme, target.host, target.port, None):
        raise InvalidInput("This is not a web address")
    return url


def _is_same_origin(one: Target, other: Target) -> bool:
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def _filter_safe_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() in _HARMLESS}


def _check_request_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", name) or _FORBIDDEN.fullmatch(name):
            raise InvalidInput(f"The header {name[:100]!r} may not be set")
        if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise InvalidInput(f"The header {name} holds control characters")


def _find_wrapped_error(error: BaseException | None) -> NexusError | None:
    """Our own refusal, where a layer between wrapped it."""
    while error is not None:
        if isinstance(error, NexusError):
            return error
        error = error.__cause__ or error.__context__
    return None


async def _read_response_body(target: Target, answer: aiohttp.ClientResponse, most: int) -> Fetched:
    unpacked = _make_decompressor(answer.headers.get("Content-Encoding", ""))
    content, received = bytearray(), 0
    async for chunk in answer.content.iter_chunked(65_536):
        received += len(chunk)
        content += unpacked(chunk, most + 1 - len(content))
        if len(content) > most or received > most + 65_536:
            break
    whole = bytes(content[:most])
    kind = answer.headers.get("Content-Type", "")
    truncated = len(content) > most or not answer.content.at_eof()
    return Fetched(
        url=target.url,
        status=answer.status,
        content_type=kind[:200],
        text=whole.decode(_find_charset(kind, whole), errors="replace"),
        truncated=truncated,
    )


def _make_decompressor(encoding: str) -> Callable[[bytes, int], bytes]:
    """Unpacks no more than it is asked for, so that a small answer cannot become a large one."""
    match encoding.strip().lower():
        case "" | "identity":
            return lambda chunk, room: chunk[:room]
        case "gzip" | "x-gzip" | "deflate":
            return _Inflating()
    raise Unavailable("The answer is packed in a way that was not asked for")


class _Inflating:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=47)
        self._begun = False

    def __call__(self, chunk: bytes, room: int) -> bytes:
        if room <= 0 or not chunk:
            return b""
        try:
            unpacked = self._stream.decompress(chunk, room)
        except zlib.error:
            if self._begun:
                raise
            self._stream = zlib.decompressobj(wbits=-15)
            unpacked = self._stream.decompress(chunk, room)
        self._begun = True
        return unpacked


def _find_charset(kind: str, content: bytes) -> str:
    """What the answer or the head of the page names, else UTF-8. Only real character sets: some codecs are slow on purpose."""
    found = _CHARSET.search(kind.encode(errors="replace")) or (
        _CHARSET.search(content[:2048]) if "html" in kind else None
    )
    if found is None:
        return "utf-8"
    try:
        name = codecs.lookup(found[1].decode()).name
    except LookupError:
        return "utf-8"
    return name if _CODECS.fullmatch(name) else "utf-8"
