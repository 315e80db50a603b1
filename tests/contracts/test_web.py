"""What every `Web` promises, and that the guard lets nothing through to a listener."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
from aiohttp import web

from nexus.adapters.web.guarded import GuardedWeb
from nexus.domain.core.errors import InvalidInput, PermissionDenied, Unavailable
from nexus.domain.ports.addresses import is_public_address, parse_http_url
from nexus.domain.ports.web import Web
from tests.fakes.web import MemoryWeb, ScriptedPage

BOMB = gzip.compress(b"0" * 30_000_000)
REFUSED = [
    "http://127.0.0.1/", "http://127.1/", "http://127.0.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/", "http://017700000001/",
    "http://0177.0.0.1/", "http://0/", "http://0.0.0.0/", "http://127.255.255.254/", "http://127.0.0.1./", "http://[::1]/", "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::127.0.0.1]/", "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::7f00:1]/", "http://[2002:7f00:1::]/", "http://[2001:0:7f00:1::]/", "http://[fe80::1]/", "http://[fe80::1%25lo]/", "http://[fc00::1]/",
    "http://[fd00:ec2::254]/", "http://[fec0::1]/", "http://[ff02::1]/", "http://[2001:db8::1]/", "http://[::ffff:8.8.8.8]/", "http://10.0.0.1/",
    "http://10.255.255.255/", "http://172.16.0.1/", "http://172.31.255.255/", "http://192.168.1.1/", "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/v2/credentials", "http://0xa9fea9fe/", "http://2852039166/", "http://0251.0376.0251.0376/", "http://100.64.0.1/",
    "http://100.100.100.200/", "http://168.63.129.16/", "http://192.0.0.192/", "http://192.0.2.1/", "http://198.18.0.1/", "http://203.0.113.1/",
    "http://192.88.99.1/", "http://224.0.0.1/", "http://239.255.255.250/", "http://240.0.0.1/", "http://255.255.255.255/", "http://１２７.０.０.１/",
    "http://127。0。0。1/", "http://ⓛocalhost/", "http://localhost/", "http://LOCALHOST./", "http://metadata.google.internal/", "http://a.localhost/",
    "http://printer.local/", "http://[::ffff:0:127.0.0.1]/",
]  # fmt: skip
CLOSED_PORTS = [
    "http://example.com:22/",
    "http://example.com:6379/",
    "https://example.com:8443/",
    "http://8.8.8.8:53/",
    "http://example.com:0/",
]
NO_ADDRESS = [
    "", "example.com", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "javascript:alert(1)", "http://", "http:///x", "http://a b/",
    "http://exa\nmple.com/", "http://user:secret@example.com/", "http://example.com@127.0.0.1/", "http://127.0.0.1\\@example.com/", "http://[::1/",
    "http://1.2.3.4.5/", "http://256.1.1.1/", "http://0x1ffffffff/", "http://example.com:99999/", "http://-a.com/", "http://a..b/", "http://\u202eexample.com/",
    "http://" + "a" * 64 + ".com/", "http://example.com/" + "x" * 5000, "//example.com/", "http://08.8.8.8/",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "93.184.215.14",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "172.32.0.1",
    "100.128.0.1",
    "11.0.0.1",
]


async def _text(request: web.Request) -> web.Response:
    return web.Response(text="你好", headers={"X": "1"})


async def _headers(request: web.Request) -> web.Response:
    return web.json_response(dict(request.headers))


async def _gbk(request: web.Request) -> web.Response:
    return web.Response(body="中文".encode("gbk"), headers={"Content-Type": "text/html; charset=gb2312"})


async def _large(request: web.Request) -> web.Response:
    return web.Response(text="x" * 5000)


async def _slow(request: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


async def _drip(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b"x")
        await asyncio.sleep(0.02)


def _packed(encoding: str, content: bytes) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=content, headers={"Content-Encoding": encoding, "Content-Type": "text/plain"})

    return answer


def _sent_to(location: str, status: int = 302) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": location.replace("PORT", str(request.url.port))})

    return answer


@asynccontextmanager
async def served() -> AsyncIterator[int]:
    """A site on loopback, and its port."""
    app = web.Application()
    for path, handler in {
        "/": _text, "/headers": _headers, "/gbk": _gbk, "/large": _large, "/slow": _slow, "/drip": _drip, "/bomb": _packed("gzip", BOMB),
        "/gzip": _packed("gzip", gzip.compress(b"packed")), "/raw": _packed("deflate", zlib.compress(b"packed")[2:-4]), "/broken": _packed("gzip", b"nothing"),
        "/other": _packed("br", b"x"), "/once": _sent_to("/"), "/thrice": _sent_to("/twice", 301), "/twice": _sent_to("/once", 308),
        "/four": _sent_to("/thrice"), "/loop": _sent_to("/loop"), "/inside": _sent_to("http://127.0.0.1:PORT/"), "/metadata": _sent_to("http://169.254.169.254/"),
        "/file": _sent_to("file:///etc/passwd"), "/bracket": _sent_to("http://["), "/elsewhere": _sent_to("http://elsewhere.test:PORT/headers"), "/rebound": _sent_to("http://inside.test:PORT/"),
    }.items():  # fmt: skip
        app.router.add_get(path, handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.9", 0)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _names(host: str, port: int) -> Sequence[str]:
    return {"inside.test": ["127.0.0.1"], "mixed.test": ["127.0.0.9", "10.0.0.1"], "nothing.test": []}.get(
        host, ["127.0.0.9"]
    )


class World:
    """A web and where its pages are."""

    def __init__(self, web: Web, port: int) -> None:
        self.web, self.port = web, port

    def url(self, path: str, host: str = "site.test") -> str:
        return f"http://{host}:{self.port}{path}"


def scripted(port: int) -> MemoryWeb:
    here = f"http://site.test:{port}"
    moved = {"/once": "/", "/twice": "/once", "/thrice": "/twice", "/four": "/thrice", "/loop": "/loop", "/inside": f"http://127.0.0.1:{port}/",
             "/metadata": "http://169.254.169.254/", "/file": "file:///etc/passwd", "/bracket": "http://[", "/rebound": f"http://inside.test:{port}/"}  # fmt: skip
    pages = {f"{here}{path}": ScriptedPage(status=302, location=location) for path, location in moved.items()}
    pages |= {f"{here}/": ScriptedPage(text="你好"), f"{here}/large": ScriptedPage(text="x" * 5000)}
    names = {"inside.test": ["127.0.0.1"], "mixed.test": ["127.0.0.9", "10.0.0.1"], "nothing.test": []}
    return MemoryWeb(pages, names=names, ports={80, 443, port})


@pytest.fixture(params=["memory", "aiohttp"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "memory":
        yield World(scripted(8080), 8080)
        return
    async with served() as port:
        yield World(GuardedWeb(resolve=_names, ports={80, 443, port}, allowed={"127.0.0.9"}), port)


@pytest.fixture
async def real() -> AsyncIterator[World]:
    async with served() as port:
        yield World(GuardedWeb(resolve=_names, ports={80, 443, port}, allowed={"127.0.0.9"}), port)


async def test_a_public_page_is_fetched(world: World) -> None:
    fetched = await world.web.fetch_url(world.url("/"))
    assert (fetched.status, fetched.text, fetched.truncated) == (200, "你好", False)
    assert fetched.content_type.startswith("text/plain")


async def test_three_redirects_are_followed_and_no_fourth(world: World) -> None:
    fetched = await world.web.fetch_url(world.url("/thrice"))
    assert (fetched.text, fetched.url) == ("你好", world.url("/"))
    for path in ("/four", "/loop"):
        with pytest.raises(Unavailable):
            await world.web.fetch_url(world.url(path))


@pytest.mark.parametrize("path", ["/inside", "/metadata", "/rebound"])
async def test_a_redirect_to_what_is_not_public_is_refused(world: World, path: str) -> None:
    with pytest.raises(PermissionDenied):
        await world.web.fetch_url(world.url(path))


@pytest.mark.parametrize("path", ["/file", "/bracket"])
async def test_a_redirect_to_no_web_address_is_refused(world: World, path: str) -> None:
    with pytest.raises(InvalidInput):
        await world.web.fetch_url(world.url(path))


@pytest.mark.parametrize("host", ["inside.test", "mixed.test"])
async def test_a_name_is_refused_when_any_address_is_not_public(world: World, host: str) -> None:
    with pytest.raises(PermissionDenied):
        await world.web.fetch_url(world.url("/", host))


async def test_a_name_without_address_is_unavailable(world: World) -> None:
    with pytest.raises(Unavailable):
        await world.web.fetch_url(world.url("/", "nothing.test"))


async def test_a_long_answer_is_cut(world: World) -> None:
    fetched = await world.web.fetch_url(world.url("/large"), most=100)
    assert (fetched.text, fetched.truncated) == ("x" * 100, True)
    whole = await world.web.fetch_url(world.url("/large"), most=5000)
    assert (len(whole.text), whole.truncated) == (5000, False)


@pytest.mark.parametrize("url", REFUSED + CLOSED_PORTS)
async def test_what_is_not_public_is_refused(world: World, url: str) -> None:
    with pytest.raises(PermissionDenied):
        await world.web.fetch_url(url)


@pytest.mark.parametrize("url", NO_ADDRESS)
async def test_what_is_no_web_address_is_invalid(world: World, url: str) -> None:
    with pytest.raises(InvalidInput):
        await world.web.fetch_url(url)


@asynccontextmanager
async def canary(*hosts: str) -> AsyncIterator[tuple[int, list[object]]]:
    """A listener that keeps who came."""
    came: list[object] = []

    def seen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(seen, list(hosts), 0)
    async with server:
        yield server.sockets[0].getsockname()[1], came


async def test_the_canary_sees_nobody_whatever_the_disguise() -> None:
    async with canary("0.0.0.0") as (port, came):
        guarded = GuardedWeb(ports={80, 443, port})
        for url in REFUSED:
            head, _, tail = url.removeprefix("http://").partition("/")
            with pytest.raises(PermissionDenied):
                await guarded.fetch_url(f"http://{head}:{port}/{tail}", seconds=5)
        assert came == []
        with pytest.raises(Unavailable):
            await GuardedWeb(ports={port}, allowed={"127.0.0.1"}).fetch_url(f"http://127.0.0.1:{port}/", seconds=5)
        assert len(came) >= 1


async def test_a_name_that_changes_its_address_gains_nothing() -> None:
    """The address that was checked is the one that is connected to: nobody asks for the name a second time in between."""
    async with canary("127.0.0.1") as (port, came), served() as site:
        answers = iter([["127.0.0.9"], ["127.0.0.1"], ["127.0.0.1"]])
        asked: list[str] = []

        async def rebinding(host: str, _: int) -> Sequence[str]:
            asked.append(host)
            return next(answers)

        guarded = GuardedWeb(resolve=rebinding, ports={port, site}, allowed={"127.0.0.9"})
        assert (await guarded.fetch_url(f"http://rebinding.test:{site}/")).text == "你好"
        assert asked == ["rebinding.test"]
        for _ in range(2):
            with pytest.raises(PermissionDenied):
                await guarded.fetch_url(f"http://rebinding.test:{port}/")
        assert came == []


async def test_the_last_gate_holds_when_a_resolver_lies() -> None:
    async with canary("127.0.0.1") as (port, came):
        guarded = GuardedWeb(ports={port})
        with pytest.raises(PermissionDenied):
            guarded._open_public_socket((2, 1, 6, "", ("127.0.0.1", port)))
        assert came == []


async def test_credentials_stay_with_the_host_they_are_for(real: World) -> None:
    headers = {"Authorization": "secret", "X-Key": "secret", "Accept-Language": "zh"}
    stayed = (await real.web.fetch_url(real.url("/headers"), headers=headers)).text
    gone = (await real.web.fetch_url(real.url("/elsewhere"), headers=headers)).text
    assert "secret" in stayed
    assert "secret" not in gone
    assert '"zh"' in gone
    assert "elsewhere.test" in gone


@pytest.mark.parametrize(
    "headers",
    [{"Host": "x"}, {"X": "a\r\nB: c"}, {"X\n": "a"}, {"Transfer-Encoding": "chunked"}, {"Proxy-Connection": "x"}],
)
async def test_headers_that_would_change_the_request_are_refused(real: World, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        await real.web.fetch_url(real.url("/"), headers=headers)


@pytest.mark.parametrize("path", ["/slow", "/drip"])
async def test_an_answer_that_takes_too_long_is_unavailable(real: World, path: str) -> None:
    with pytest.raises(Unavailable):
        await real.web.fetch_url(real.url(path), seconds=0.2)


async def test_a_small_answer_cannot_unpack_into_a_large_one(real: World) -> None:
    fetched = await real.web.fetch_url(real.url("/bomb"), most=10_000)
    assert (len(fetched.text), fetched.truncated) == (10_000, True)


async def test_packed_answers_are_unpacked(real: World) -> None:
    assert (await real.web.fetch_url(real.url("/gzip"))).text == "packed"
    assert (await real.web.fetch_url(real.url("/raw"))).text == "packed"
    for path in ("/broken", "/other"):
        with pytest.raises(Unavailable):
            await real.web.fetch_url(real.url(path))


async def test_chinese_pages_are_read_in_their_own_encoding(real: World) -> None:
    assert (await real.web.fetch_url(real.url("/gbk"))).text == "中文"


async def test_nobody_there_is_unavailable(real: World) -> None:
    async with canary("127.0.0.9") as (port, _):
        pass
    with pytest.raises(Unavailable):
        await GuardedWeb(resolve=_names, ports={port}, allowed={"127.0.0.9"}).fetch_url(f"http://site.test:{port}/")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    target = parse_http_url(f"https://{host}/路径?q=1")
    assert (target.host, target.port) == (address, 443)
    assert target.address is not None
    assert is_public_address(ip_address(address))


def test_names_are_taken_in_their_wire_form() -> None:
    assert parse_http_url("https://Bücher.example/").host == "xn--bcher-kva.example"
    assert parse_http_url("http://EXAMPLE.com").host == "example.com"
