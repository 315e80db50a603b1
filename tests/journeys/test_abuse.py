"""Peers who send what never ends, before they have shown a token."""

import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.journeys.conftest import Opens, ServedApp

MEGABYTES = 40
MOST_GROWN_KB = 16 * 1024
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"POST /api/v2/projects HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"

ENDLESS = {
    "fields": (GET, b"a:\r\n"),
    "one header": (GET + b"a: ", b"x"),
    "an address": (b"GET /", b"x"),
    "empty lines": (b"", b"\r\n"),
    "trailers": (CHUNKED + b"0\r\n", b"a: b\r\n"),
    "an extension": (CHUNKED + b"1;", b"x"),
}


def most_memory(app: ServedApp) -> int:
    """In kB, at any time since the server started."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{app.server.pid}/status").read_text())
    assert found is not None
    return int(found[1])


def connected(app: ServedApp) -> socket.socket:
    url = urlsplit(str(app.user.http.base_url))
    return socket.create_connection((url.hostname or "", url.port or 0), timeout=20)


def answer_to(peer: socket.socket, begin: bytes, piece: bytes) -> bytes:
    """What the server says to forty megabytes, or to as many of them as it takes."""
    block = piece * (1024 * 1024 // len(piece))
    try:
        peer.sendall(begin)
        for _ in range(MEGABYTES):
            peer.sendall(block)
    except ConnectionError:
        pass
    return peer.recv(4096)


@pytest.mark.parametrize("what", ENDLESS)
def test_what_never_ends_is_refused_and_costs_no_memory(app: ServedApp, what: str) -> None:
    app.user.http.get("/health")
    before = most_memory(app)
    with connected(app) as peer:
        assert re.match(rb"HTTP/1.1 (431|414) ", answer_to(peer, *ENDLESS[what]))
    assert most_memory(app) - before < MOST_GROWN_KB
    assert app.user.http.get("/health").status_code == 200


def test_hundreds_of_silent_connections_shut_nobody_out(tmp_path: Path, opens: Opens) -> None:
    with opens(tmp_path / "data", NEXUS_LIMITS__CONNECTIONS_PER_ADDRESS="100") as app:
        silent = [connected(app) for _ in range(400)]
        try:
            assert app.user.http.get("/health").status_code == 200
            silent[0].settimeout(20)
            assert silent[0].recv(10) == b""
        finally:
            for one in silent:
                one.close()
