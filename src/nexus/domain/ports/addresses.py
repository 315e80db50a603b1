"""Which addresses of the net are public, and what of a URL may be asked. Nothing here resolves or connects."""

import ipaddress
import re
import socket
from collections.abc import Collection
from urllib.parse import urljoin, urlsplit

from msgspec import Struct

from nexus.domain.core.errors import InvalidInput, PermissionDenied

PORTS = frozenset({80, 443})
_LONGEST = 4096
_BROKEN = re.compile(r"[\x00-\x20\x7f-\xa0\\<>\"\u200b-\u200f\u2028-\u202e\u2060\ufeff]")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")
_HOST = re.compile(
    r"(?=.{1,253}\.?$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.?"
)
_LOCAL_NAMES = ("localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "home.arpa")
_PRIVATE = tuple(
    ipaddress.ip_network(block)
    for block in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "::/8", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32", "2002::/16",
        "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Target(Struct, frozen=True):
    """What a URL asks for. `address` is there when the host is one."""

    url: str
    scheme: str
    host: str
    port: int
    address: str | None = None


def parse_http_url(url: str, *, ports: Collection[int] = PORTS, allowed: Collection[str] = ()) -> Target:
    """What a URL asks for, if its form allows it. InvalidInput for no http(s) URL, PermissionDenied for a port or an address
    that is not public. A name has still to be resolved, and all its addresses have to be public."""
    plain = url.strip()
    if not plain or len(plain) > _LONGEST or _BROKEN.search(plain):
        raise InvalidInput("This is not a web address")
    try:
        parts = urlsplit(plain)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidInput("This is not a web address") from None
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidInput("A web address starts with http:// or https:// and names a host")
    if "@" in parts.netloc:
        raise InvalidInput("A web address with a user name is not fetched")
    port = port if port is not None else 443 if parts.scheme == "https" else 80
    name = host if parse_address(host) is not None else _encode_host_name(host)
    address = parse_address(name)
    if port not in ports:
        raise PermissionDenied(f"Port {port} is not fetched from")
    if address is not None and not is_address_permitted(address, allowed):
        raise PermissionDenied("This address is not public")
    if address is None and _is_local_host_name(name):
        raise PermissionDenied("This address is not public")
    literal = None if address is None else str(address)
    return Target(url=plain, scheme=parts.scheme, host=literal or name, port=port, address=literal)


def join_redirect_location(url: str, location: str) -> str:
    """Where an answer of `url` sends its reader. InvalidInput when that is no address."""
    try:
        return urljoin(url, location)
    except ValueError:
        raise InvalidInput("This is not a web address") from None


def parse_address(host: str) -> Address | None:
    """The address that a host is, in any of the ways in which resolvers read one: dotted, decimal, octal, hexadecimal, short."""
    plain = host.strip("[]").rstrip(".")
    try:
        return ipaddress.ip_address(plain)
    except ValueError:
        pass
    if not all(_NUMBER.fullmatch(part) for part in plain.split(".")):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(plain))
    except OSError:
        raise InvalidInput("This is not a web address") from None


def is_address_permitted(address: Address | str, allowed: Collection[str] = ()) -> bool:
    """Public, or named in `allowed`."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return str(parsed) in allowed or is_public_address(parsed)


def is_public_address(address: Address) -> bool:
    """Whether an address belongs to the whole net: not a machine's own, a site's, a cloud's metadata, or a disguise of one of these."""
    if any(address in block for block in _PRIVATE if block.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def parse_networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """The addresses and networks of a list with commas. ValueError for what is neither."""
    return tuple(ipaddress.ip_network(one.strip(), strict=False) for one in text.split(",") if one.strip())


def is_loopback_address(host: str) -> bool:
    """Whether nobody beyond this machine can reach it."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _encode_host_name(host: str) -> str:
    """A host name as it goes over the wire."""
    try:
        plain = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise InvalidInput("This is not a web address") from None
    ends_in_number = _NUMBER.fullmatch(
        plain.rstrip(".").rpartition(".")[2]
    )  # no name does: some resolver might read an address
    if not _HOST.fullmatch(plain.lower()) or (ends_in_number and parse_address(plain) is None):
        raise InvalidInput("This is not a web address")
    return plain.lower()


def _is_local_host_name(name: str) -> bool:
    plain = name.rstrip(".")
    return any(plain == local or plain.endswith(f".{local}") for local in _LOCAL_NAMES)
