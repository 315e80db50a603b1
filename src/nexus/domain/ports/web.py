"""The web, as far as an agent may see it."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct


class Fetched(Struct, frozen=True):
    """An answer of the web. `text` is decoded, cut at the limit (`truncated`)."""

    url: str
    status: int
    content_type: str
    text: str
    truncated: bool = False


class Web(Protocol):
    async def fetch_url(
        self, url: str, *, headers: Mapping[str, str] = {}, seconds: float = 30.0, most: int = 1_000_000
    ) -> Fetched:
        """GET of a public address. PermissionDenied for everything that is not public (loopback, private, link-local,
        metadata …), also behind a redirect or a name; InvalidInput for what is no http(s) URL; Unavailable when it fails."""
        ...
