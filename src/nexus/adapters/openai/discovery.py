"""Servers of models on this machine, found by asking the usual ports which models they have."""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from nexus.domain.ports.addresses import is_loopback_address
from nexus.domain.ports.models import LocalModel

if TYPE_CHECKING:
    import aiohttp

_SECONDS = 0.8
_LONGEST_LIST = 256 * 1024
_MOST_NAMES = 100
_LONGEST_NAME = 200
_NOT_FOR_CHATS = re.compile(r"(?i)embed|rerank|whisper|\bbge\b|\btts\b")
_OWNERS = {"vllm": "vllm", "llamacpp": "llamacpp", "library": "ollama", "organization_owner": "lmstudio"}
"""What a server writes as the owner of its models: several kinds of server share a port."""


class Place(NamedTuple):
    """Where a kind of server listens unless it is told otherwise."""

    provider: str
    port: int


USUAL = (Place("ollama", 11434), Place("lmstudio", 1234), Place("vllm", 8000), Place("llamacpp", 8080))


class _Entry(Struct):
    id: str
    owned_by: str = ""


class _Listing(Struct):
    object: Literal["list"]
    data: list[_Entry] | None = None


def list_local_server_ports(environ: Mapping[str, str]) -> Sequence[Place]:
    """The usual ports, and that of `OLLAMA_HOST` in place of Ollama's own where it names this machine."""
    port = _parse_loopback_port(environ.get("OLLAMA_HOST", ""))
    return (Place("ollama", port or USUAL[0].port), *USUAL[1:])


class LocalDiscovery:
    """A ModelDiscovery on loopback ports. What answers `/v1/models` with a list of models is a server of models; everything else,
    another nexus among it, is not."""

    def __init__(self, places: Iterable[Place] = USUAL) -> None:
        self._places = tuple(places)

    async def find_local_models(self) -> list[LocalModel]:
        import aiohttp  # a server that never looks starts sooner without

        # No cookies, no proxy, no compressed answers: nothing goes out but the question.
        async with aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, headers={"Accept-Encoding": "identity"}
        ) as session:
            found = await asyncio.gather(*(_fetch_server_models(session, place) for place in self._places))
        return [one for one in found if one is not None]


async def _fetch_server_models(session: "aiohttp.ClientSession", place: Place) -> LocalModel | None:
    from aiohttp import ClientError

    base_url = f"http://127.0.0.1:{place.port}/v1"
    try:
        async with asyncio.timeout(_SECONDS), session.get(f"{base_url}/models", allow_redirects=False) as answer:
            if answer.status != 200:
                return None
            entries = msgspec.json.decode(await _read_bounded_body(answer.content), type=_Listing).data or []
    except (TimeoutError, ClientError, OSError, ValueError, msgspec.MsgspecError, RecursionError):
        return None
    owners = {_OWNERS[entry.owned_by] for entry in entries if entry.owned_by in _OWNERS}
    provider = owners.pop() if len(owners) == 1 else place.provider
    return LocalModel(provider=provider, base_url=base_url, names=_list_model_names(entries))


async def _read_bounded_body(content: "aiohttp.StreamReader") -> bytes:
    """The whole body. ValueError for one that is longer than any list of models."""
    try:
        await content.readexactly(_LONGEST_LIST + 1)
    except asyncio.IncompleteReadError as end:
        return end.partial
    raise ValueError("too long")


def _list_model_names(entries: Sequence[_Entry]) -> tuple[str, ...]:
    """Names that can be typed, each once, those for chats first."""
    usable = dict.fromkeys(
        entry.id for entry in entries if 0 < len(entry.id) <= _LONGEST_NAME and entry.id.isprintable()
    )
    return tuple(sorted(usable, key=lambda name: bool(_NOT_FOR_CHATS.search(name)))[:_MOST_NAMES])


def _parse_loopback_port(address: str) -> int | None:
    """The port of `host:port` or a URL, where the host is this machine; every address (`0.0.0.0`) includes it."""
    if not address.strip():
        return None
    try:
        parts = urlsplit(address.strip() if "//" in address else f"//{address.strip()}")
        port, host = parts.port, parts.hostname or ""
        local = is_loopback_address(host) or host == "0.0.0.0"  # noqa: S104
    except ValueError:
        return None
    return port if local and parts.scheme in ("", "http") else None
