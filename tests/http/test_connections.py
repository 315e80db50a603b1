"""What a connection may cost before anybody knows who it is: bytes, time and places."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest

from nexus.adapters.http.connections import HEAD_BYTES, PIPELINED
from nexus.adapters.http.sse import ServerSentEvents
from nexus.adapters.http.streams import EventStream, Streams
from nexus.domain.core.streams import Batch
from nexus.domain.ports.addresses import parse_networks
from nexus.wire.problems import Problem
from tests.http.sockets import PATIENCE, peer, serving

GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n"
POST = b"POST / HTTP/1.1\r\nhost: localhost\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
MEGABYTE = 1024 * 1024

TOO_MUCH = {
    "ten thousand fields": (GET + b"a:\r\n" * 10_000, 431),
    "a hundred and one fields": (GET + b"a: b\r\n" * 100 + b"\r\n", 431),
    "a value without an end": (GET + b"a: " + b"x" * MEGABYTE, 431),
    "a name without an end": (GET + b"x" * MEGABYTE, 431),
    "fields that are large together": (GET + (b"a: " + b"x" * 8_000 + b"\r\n") * 9 + b"\r\n", 431),
    "an address without an end": (b"GET /" + b"x" * MEGABYTE, 414),
    "an address that is too long": (b"GET /" + b"x" * HEAD_BYTES + b" HTTP/1.1\r\nhost: localhost\r\n\r\n", 414),
    "empty lines without an end": (b"\r\n" * MEGABYTE, 431),
    "trailers without an end": (CHUNKED + b"0\r\n" + b"a: b\r\n" * MEGABYTE, 431),
    "a trailer without an end": (CHUNKED + b"0\r\na: " + b"x" * MEGABYTE, 431),
    "an extension without an end": (CHUNKED + b"1;" + b"x" * MEGABYTE, 431),
    "a head behind a good request": (GET + b"\r\n" + GET + b"a: b\r\n" * 1000, 200),
    "no HTTP": (b"\x16\x03\x01 hello\r\n\r\n", 400),
    "an odd address": (b"GET http://[ HTTP/1.1\r\nhost: localhost\r\n\r\n", 400),
    "a chunk that is none": (CHUNKED + b"zz\r\n", 400),
    "two lengths": (POST + b"content-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
}


@pytest.mark.parametrize("said", TOO_MUCH)
async def test_a_head_has_a_size_and_what_is_no_request_is_a_problem(said: str) -> None:
    sent, status = TOO_MUCH[said]
    async with serving() as port, peer(port) as one:
        await one.send(sent)
        heard = await one.rest()
    assert int(heard.split(b" ", 2)[1]) == status
    if status != 200:
        head, _, body = heard.partition(b"\r\n\r\n")
        problem = msgspec.json.decode(body, type=Problem)
        assert (problem.status, b"application/problem+json" in head) == (status, True)
        assert problem.request_id.startswith("req_")


async def test_what_is_within_the_bounds_is_taken() -> None:
    async with serving() as port, peer(port) as one:
        await one.send(GET + (b"a: " + b"x" * 600 + b"\r\n") * 98 + b"connection: close\r\n\r\n")
        assert await one.status() == 200
    async with serving() as port, peer(port) as one:
        pieces = b"".join(b"10000\r\n" + b"x" * 65_536 + b"\r\n" for _ in range(10))
        await one.send(CHUNKED + pieces + b"0\r\nsum: 1\r\n\r\n")
        await one.send(GET + b"connection: close\r\n\r\n")
        assert (await one.rest()).count(b"HTTP/1.1 200 OK") == 2


async def test_requests_behind_one_another_are_answered_in_order_up_to_a_number() -> None:
    async with serving() as port, peer(port) as one:
        last = POST + b"connection: close\r\ncontent-length: 4\r\n\r\nlast"
        await one.send((POST + b"content-length: 5\r\n\r\nfirst") * PIPELINED + last)
        heard = await one.rest()
        assert (heard.count(b"heard first"), heard.count(b"heard last")) == (PIPELINED, 1)
    async with serving() as port, peer(port) as one:
        await one.send(b"GET /stream HTTP/1.1\r\nhost: localhost\r\n\r\n" + (GET + b"\r\n") * 10_000)
        await one.until(b"first")


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"gzip", b"identity", b"chunked, chunked"])
async def test_a_transfer_coding_that_is_not_decoded_here_is_refused(coding: bytes) -> None:
    async with serving() as port, peer(port) as one:
        await one.send(POST + b"transfer-encoding: %b\r\n\r\n1\r\nx\r\n0\r\n\r\n" % coding)
        assert await one.status() == 400


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", 0), (b"\r\n", 0), (b"G", 408), (GET, 408), (GET + b"a: ", 408), (POST + b"content-length: 9\r\n\r\nhalf", 408),
        (CHUNKED + b"1\r\nx\r\n", 408), (CHUNKED + b"0\r\n", 408),
        (b"POST /deaf HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n", 200),
        (b"GET /stream HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n", 200),
    ],
)  # fmt: skip
async def test_who_sends_nothing_or_half_is_not_waited_for(sent: bytes, status: int) -> None:
    async with serving(head_seconds=0.2, body_seconds=0.2) as port, peer(port) as one:
        await one.send(sent)
        assert await one.status() == status


async def test_a_stream_outlives_every_deadline_and_idle_connections_do_not() -> None:
    async with serving(head_seconds=0.2, body_seconds=0.2, idle_seconds=1) as port, peer(port) as stream:
        await stream.send(b"GET /stream HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await stream.until(b"first")
        await stream.send(b"\r\n")
        async with peer(port) as idle:
            await idle.send(GET + b"\r\n")
            assert await idle.status() == 200
        async with peer(port) as silent:
            assert await silent.rest() == b""
        await stream.send(b"junk\r\n\r\n")
        async with peer(port) as silent:
            assert await silent.rest() == b""


async def test_a_reader_that_takes_nothing_is_cut_off_and_its_stream_ends() -> None:
    """However much there is to tell: what it does not take is not gathered for it."""
    ended, told = asyncio.Event(), 0

    async def flood() -> AsyncIterator[Batch]:
        nonlocal told
        try:
            while True:
                await asyncio.sleep(0)
                told += 1
                yield Batch(told, [b'{"type":"reply.delta","text":"%b"}' % (b"x" * 60_000)])
        finally:
            ended.set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await EventStream(flood(), streams=Streams(), encoder=ServerSentEvents())(scope, receive, send)

    async with serving(app, stall_seconds=0.3) as port, peer(port) as reader:
        await reader.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(ended.wait(), PATIENCE)
    assert told < 1000


async def test_the_silent_make_room_for_who_speaks() -> None:
    async with serving(connections_per_address=5) as port, AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(peer(port)) for _ in range(20)]
        speaking = await stack.enter_async_context(peer(port))
        await speaking.send(GET + b"connection: close\r\n\r\n")
        assert await speaking.status() == 200
        assert [await one.rest() for one in silent[:15]] == [b""] * 15


@pytest.mark.parametrize(("bounds", "status"), [({"connections_per_address": 2}, 200), ({"connections": 2}, 429)])
async def test_who_holds_too_many_busy_connections_gets_no_more(bounds: dict[str, int], status: int) -> None:
    async with serving(**bounds) as port, AsyncExitStack() as stack:
        for _ in range(2):
            busy = await stack.enter_async_context(peer(port))
            await busy.send(b"GET /stream HTTP/1.1\r\nhost: localhost\r\n\r\n")
            await busy.until(b"first")
        refused = await stack.enter_async_context(peer(port))
        assert await refused.status() == 429
        other = await stack.enter_async_context(peer(port, address="127.0.0.2"))
        await other.send(GET + b"connection: close\r\n\r\n")
        assert await other.status() == status


async def test_a_trusted_proxy_is_not_counted() -> None:
    trusted = parse_networks("10.0.0.1, 127.0.0.0/8")
    async with serving(connections_per_address=1, trusted=trusted) as port, AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(peer(port)) for _ in range(5)]
        for one in peers:
            await one.send(GET + b"connection: close\r\n\r\n")
            assert await one.status() == 200


async def test_a_place_is_free_again_once_its_connection_ends() -> None:
    async with serving(connections_per_address=1) as port:
        for _ in range(5):
            async with peer(port) as one:
                await one.send(GET + b"connection: close\r\n\r\n")
                assert await one.status() == 200


async def test_an_upgrade_that_is_not_known_is_a_plain_request() -> None:
    async with serving() as port, peer(port) as one:
        await one.send(GET + b"connection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-key: x\r\n\r\n")
        assert await one.status() == 200
