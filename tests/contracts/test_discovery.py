"""What every ModelDiscovery does: servers of models in order, nothing for what is none, bounded, and without a secret."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

import pytest
from aiohttp import web

from nexus.adapters.openai.discovery import USUAL, LocalDiscovery, Place, list_local_server_ports
from nexus.domain.ports.models import LocalModel, ModelDiscovery
from tests.fakes.models import MemoryDiscovery
from tests.openai_server import OpenAIServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Machine = Callable[..., Awaitable[ModelDiscovery]]
LISTED = {"object": "list", "data": [{"id": "qwen3", "object": "model"}]}


def listing(*names: str, owner: str = "") -> Handler:
    async def listed(request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": name, "owned_by": owner} for name in names]})

    return listed


def saying(body: str | bytes, status: int = 200, **headers: str) -> Handler:
    async def said(request: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers=headers)

    return said


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[int]:
    """A server on a free port whose every path is answered so."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture(params=["memory", "openai"])
def machine(request: pytest.FixtureRequest, stack: AsyncExitStack) -> Machine:
    """A machine with a server of these models for each provider named."""
    kind: Literal["memory", "openai"] = request.param

    async def opened(**servers: tuple[str, ...]) -> ModelDiscovery:
        if kind == "memory":
            return MemoryDiscovery(
                *(
                    LocalModel(provider=name, base_url="http://127.0.0.1:1/v1", names=has)
                    for name, has in servers.items()
                )
            )
        ports = [await stack.enter_async_context(serving(listing(*names))) for names in servers.values()]
        return LocalDiscovery(Place(name, port) for name, port in zip(servers, ports, strict=True))

    return opened


async def test_servers_come_in_a_fixed_order_with_what_they_have(machine: Machine) -> None:
    discovery = await machine(ollama=("qwen3:4b", "通义千问"), lmstudio=(), vllm=("Qwen/Qwen3-8B",))
    found = await discovery.find_local_models()
    assert [(one.provider, one.names) for one in found] == [
        ("ollama", ("qwen3:4b", "通义千问")), ("lmstudio", ()), ("vllm", ("Qwen/Qwen3-8B",)),
    ]  # fmt: skip
    assert all(one.base_url.startswith("http://127.0.0.1:") and one.base_url.endswith("/v1") for one in found)
    assert await discovery.find_local_models() == found


async def test_a_machine_without_models_has_an_empty_list(machine: Machine) -> None:
    assert await (await machine()).find_local_models() == []


async def found_by(stack: AsyncExitStack, handler: Handler, provider: str = "vllm") -> list[LocalModel]:
    port = await stack.enter_async_context(serving(handler))
    return await LocalDiscovery([Place(provider, port)]).find_local_models()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (json.dumps(LISTED), 404), (json.dumps(LISTED), 401), (json.dumps(LISTED), 500), (json.dumps(LISTED), 302),
        ("<html>a page</html>", 200), ("", 200), ("[]", 200), ("null", 200), ('{"object": "list", "data": 7}', 200),
        ('{"items": [], "next_cursor": null}', 200), ('{"object": "list", "data": [{"name": "x"}]}', 200),
        (b"\xff\xfe", 200), ("[" * 100_000, 200), (json.dumps(LISTED | {"x": "y" * 400_000}), 200),
    ],
)  # fmt: skip
async def test_what_is_no_list_of_models_is_no_server_of_models(
    stack: AsyncExitStack, body: str | bytes, status: int
) -> None:
    assert await found_by(stack, saying(body, status, Location="/v1/other")) == []


async def test_a_redirect_is_not_followed(stack: AsyncExitStack) -> None:
    asked = list[str]()

    async def away(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    assert (await found_by(stack, away), asked) == ([], ["/v1/models"])


async def test_another_nexus_on_the_port_of_vllm_is_not_taken_for_a_model(stack: AsyncExitStack) -> None:
    problem = {"type": "about:blank", "title": "There is no such thing", "status": 404, "object": "list", "data": []}
    assert await found_by(stack, saying(json.dumps(problem), 404)) == []


async def test_nobody_listening_is_nothing_found() -> None:
    assert await LocalDiscovery([Place("ollama", 9)]).find_local_models() == []


async def test_servers_that_are_silent_drip_or_hang_up_do_not_hold_up_the_others(stack: AsyncExitStack) -> None:
    async def silent(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def dripping(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b" ")
            await asyncio.sleep(0.05)

    async def leaving(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    handlers = (silent, dripping, leaving, listing("qwen3"))
    ports = [await stack.enter_async_context(serving(handler)) for handler in handlers]
    found = await LocalDiscovery(Place("vllm", port) for port in ports).find_local_models()
    assert [one.names for one in found] == [("qwen3",)]


async def test_the_question_carries_no_key_and_no_cookie(
    stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("HTTP_PROXY", "http://user:canary@127.0.0.1:9")
    seen = list[str]()

    async def looking(request: web.Request) -> web.Response:
        seen.append(f"{request.method} {request.raw_path} {sorted(request.headers)} {await request.text()}")
        return web.json_response(LISTED, headers={"Set-Cookie": "a=canary"})

    port = await stack.enter_async_context(serving(looking))
    discovery = LocalDiscovery([Place("vllm", port)])
    await discovery.find_local_models()
    await discovery.find_local_models()
    assert seen == ["GET /v1/models ['Accept', 'Accept-Encoding', 'Host', 'User-Agent'] "] * 2


@pytest.mark.parametrize(
    ("owner", "provider"),
    [("llamacpp", "llamacpp"), ("vllm", "vllm"), ("library", "ollama"), ("somebody", "vllm"), ("", "vllm")],
)
async def test_the_owner_of_the_models_tells_which_server_listens_on_a_shared_port(
    stack: AsyncExitStack, owner: str, provider: str
) -> None:
    (one,) = await found_by(stack, listing("m", owner=owner))
    assert one.provider == provider


async def test_names_are_those_that_can_be_typed_each_once_and_chats_first(stack: AsyncExitStack) -> None:
    names = ("nomic-embed-text", "qwen3", "a\x1b[2J", "x" * 201, "", "qwen3", "bge-m3", "千问")
    (one,) = await found_by(stack, listing(*names))
    assert one.names == ("qwen3", "千问", "nomic-embed-text", "bge-m3")
    (many,) = await found_by(stack, listing(*(f"m{n}" for n in range(500))))
    assert len(many.names) == 100


async def test_a_scripted_provider_is_found(stack: AsyncExitStack) -> None:
    server = await stack.enter_async_context(OpenAIServer())
    (one,) = await LocalDiscovery([Place("ollama", int(server.url.split(":")[2].split("/")[0]))]).find_local_models()
    assert (one.base_url, one.names) == (server.url, ("scripted",))


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("", 11434), ("127.0.0.1:9999", 9999), ("0.0.0.0:9999", 9999), ("http://localhost:9999", 9999), ("localhost", 11434),
        ("192.168.1.2:9999", 11434), ("gpu.example:9999", 11434), ("https://localhost:9999", 11434), ("[::1", 11434),
        ("127.0.0.1:x", 11434), (":", 11434),
    ],
)  # fmt: skip
def test_ollama_is_looked_for_where_it_was_told_to_listen_on_this_machine(address: str, port: int) -> None:
    assert list_local_server_ports({"OLLAMA_HOST": address}) == (Place("ollama", port), *USUAL[1:])
    assert list_local_server_ports({}) == USUAL
