"""A web of scripted pages, guarded as the real one."""

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct, structs

from nexus.domain.core.errors import PermissionDenied, Unavailable
from nexus.domain.ports.addresses import PORTS, Target, is_address_permitted, join_redirect_location, parse_http_url
from nexus.domain.ports.web import Fetched

_PUBLIC = ("93.184.215.14",)
_REDIRECTS = 3


class ScriptedPage(Struct, frozen=True):
    """What an address answers; with a `location`, where it sends the reader."""

    text: str = ""
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    location: str | None = None


class MemoryWeb:
    """`pages` by URL. `names` says which addresses a host has (a public one unless told); every page not scripted is Unavailable.

    `asked` keeps the URLs and headers of what was really fetched."""

    def __init__(
        self,
        pages: Mapping[str, ScriptedPage] = {},
        *,
        names: Mapping[str, Sequence[str]] = {},
        ports: Collection[int] = PORTS,
        allowed: Collection[str] = (),
    ) -> None:
        self._pages, self._names, self._ports, self._allowed = dict(pages), names, ports, allowed
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    async def fetch_url(
        self, url: str, *, headers: Mapping[str, str] = {}, seconds: float = 30.0, most: int = 1_000_000
    ) -> Fetched:
        target = parse_http_url(url, ports=self._ports, allowed=self._allowed)
        for _ in range(_REDIRECTS + 1):
            page = self._answer(target, headers)
            if page.location is None:
                return _fetched(target, page, most)
            moved = parse_http_url(
                join_redirect_location(target.url, page.location), ports=self._ports, allowed=self._allowed
            )
            if (moved.scheme, moved.host, moved.port) != (target.scheme, target.host, target.port):
                headers = {}
            target = moved
        raise Unavailable(f"The address redirects more than {_REDIRECTS} times")

    def _answer(self, target: Target, headers: Mapping[str, str]) -> ScriptedPage:
        addresses = [target.address] if target.address else self._names.get(target.host, _PUBLIC)
        if not all(is_address_permitted(address, self._allowed) for address in addresses):
            raise PermissionDenied("This address is not public")
        self.asked.append((target.url, dict(headers)))
        if not addresses or target.url not in self._pages:
            raise Unavailable("The address could not be read")
        return self._pages[target.url]


def _fetched(target: Target, page: ScriptedPage, most: int) -> Fetched:
    content = page.text.encode()
    whole = Fetched(url=target.url, status=page.status, content_type=page.content_type, text=page.text)
    if len(content) <= most:
        return whole
    return structs.replace(whole, text=content[:most].decode(errors="replace"), truncated=True)
