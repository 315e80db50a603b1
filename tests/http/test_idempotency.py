"""The same key many times at once, over the real application: one work, and the first one's answer for all."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from msgspec import structs

from nexus.adapters.http.app import make_http_app
from nexus.adapters.http.streams import Streams
from nexus.domain.ports.database import Query, TableDriver
from nexus.domain.ports.rows import Item, Place, Write
from tests.domain.builds.scripts import doubling
from tests.fakes.models import Gate, turn
from tests.http.edge import OPEN, WANTED, Site, open_site, tags
from tests.memory_app import make_adapters, open_app

TIMES = 20
KEY = {"idempotency-key": "the same"}


class Interleaving:
    """A store whose answers take their time, each another: what goes on at once is truly mixed."""

    def __init__(self, driver: TableDriver) -> None:
        self._driver, self._random = driver, random.Random(7)

    async def _pass(self) -> None:
        for _ in range(self._random.randrange(6)):
            await asyncio.sleep(0)

    async def read_rows(self, places: Sequence[Place]) -> list[Item | None]:
        await self._pass()
        return await self._driver.read_rows(places)

    async def query_rows(self, query: Query[Any]) -> tuple[list[Item], bool]:
        await self._pass()
        return await self._driver.query_rows(query)

    async def write_rows(self, writes: Sequence[Write]) -> None:
        await self._pass()
        await self._driver.write_rows(writes)
        await self._pass()


@asynccontextmanager
async def two_processes(site: Site) -> AsyncIterator[list[httpx.AsyncClient]]:
    """The application of the site, and a second one over the same store."""
    async with AsyncExitStack() as stack:
        clients = list[httpx.AsyncClient]()
        for name in ("w2", "w3"):
            other = make_adapters(like=site.edge.process.adapters, worker_id=name, clock=site.edge.process.clock)
            process = await stack.enter_async_context(
                open_app(structs.replace(other, tables=Interleaving(other.tables)))
            )
            app: Any = make_http_app(
                process.services, parts=process.parts, authenticator=OPEN, streams=Streams(), metrics=process.metrics
            )
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            client = httpx.AsyncClient(transport=transport, base_url="http://localhost:8000")
            clients.append(await stack.enter_async_context(client))
        yield clients


async def send_to_all(clients: Sequence[httpx.AsyncClient], url: str, body: dict[str, object]) -> list[httpx.Response]:
    each = (clients[number % len(clients)].post(url, json=body, headers=KEY) for number in range(TIMES))
    return await asyncio.gather(*each)


def one_answer(answers: list[httpx.Response]) -> Any:
    """What all of them said."""
    assert {answer.status_code for answer in answers} <= {200, 201, 202}, {answer.text for answer in answers}
    assert len({answer.content for answer in answers}) == 1
    return answers[0].json()


async def a_project(site: Site, clients: Sequence[httpx.AsyncClient]) -> None:
    made = one_answer(await send_to_all(clients, "/api/v2/projects", WANTED))
    projects = (await site.client.get("/api/v2/projects")).json()["items"]
    assert [project["project_id"] for project in projects] == [made["project_id"], site.project_id]


async def a_restart(site: Site, clients: Sequence[httpx.AsyncClient]) -> None:
    url = f"/api/v2/projects/{site.project_id}"
    made = one_answer(await send_to_all(clients, f"{url}/control", {"action": "restart", "from_stage": "deployment"}))
    assert made["build_no"] == 2
    assert (await site.client.get(url)).json()["build_no"] == 2


async def a_session(site: Site, clients: Sequence[httpx.AsyncClient]) -> None:
    made = one_answer(await send_to_all(clients, f"/api/v2/agents/{site.agent_id}/sessions", {"display_name": "Chat"}))
    sessions = (await site.client.get("/api/v2/sessions")).json()["items"]
    assert {session["session_id"] for session in sessions} == {made["session_id"], site.session_id}


async def a_deployment(site: Site, clients: Sequence[httpx.AsyncClient]) -> None:
    made = one_answer(await send_to_all(clients, f"/api/v2/agents/{site.agent_id}/deployments", {"version": 1}))
    assert made["version"] == 1


async def a_message(site: Site, clients: Sequence[httpx.AsyncClient]) -> None:
    gate = Gate()
    site.will_say(turn(gate, "Hello."))
    url = f"/api/v2/sessions/{site.session_id}"
    made = one_answer(await send_to_all(clients, f"{url}/messages", {"content": "Hello"}))
    gate.opened.set()
    await ended(site, made["reply_id"])
    assert [message["role"] for message in await messages(site)] == ["user", "assistant"]


async def a_message_whose_reply_is_over(site: Site, clients: Sequence[httpx.AsyncClient]) -> None:
    before = asked(site)
    site.will_say(turn("Hello."))
    answers = await send_to_all(clients, f"/api/v2/sessions/{site.session_id}/messages", {"content": "Hello"})
    await ended(site, one_answer(answers)["reply_id"])
    assert asked(site) == before + 1


async def a_stream(site: Site, clients: Sequence[httpx.AsyncClient]) -> None:
    before = asked(site)
    site.will_say(turn("Hello ", "you."))
    answers = await send_to_all(clients, f"/api/v2/sessions/{site.session_id}/stream", {"content": "Hello"})
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.headers["content-location"] for answer in answers}) == 1
    assert {tags(answer.text)[-1] for answer in answers} == {"reply.completed"}
    assert asked(site) == before + 1


async def a_regeneration(site: Site, clients: Sequence[httpx.AsyncClient]) -> None:
    site.will_say(turn("One."), turn("Two."))
    url = f"/api/v2/sessions/{site.session_id}"
    said = await site.client.post(f"{url}/messages", json={"content": "Hello"}, headers={"prefer": "wait=10"})
    made = one_answer(await send_to_all(clients, f"{url}/messages/{said.json()['reply_id']}/regenerate", {}))
    await ended(site, made["reply_id"])
    assert [message["content"] for message in await messages(site)] == ["Hello", "Two."]


async def an_invocation(site: Site, clients: Sequence[httpx.AsyncClient]) -> None:
    gate, before = Gate(), asked(site)
    [calls, words] = doubling()
    site.will_say(turn(gate, *calls.pieces), words)
    url = f"/api/v2/agents/{site.agent_id}"
    sending = asyncio.ensure_future(send_to_all(clients, f"{url}/invoke", {"content": "double 2"}))
    await gate.reached.wait()
    gate.opened.set()
    made = one_answer(await sending)
    assert (made["status"], made["output_text"]) == ("success", "That is 4.")
    assert asked(site) == before + 2
    assert (await site.client.get(f"{url}/invocations")).json()["items"] == [made]


async def a_failed_invocation(site: Site, clients: Sequence[httpx.AsyncClient]) -> None:
    made = one_answer(await send_to_all(clients, f"/api/v2/agents/{site.agent_id}/invoke", {"content": "no script"}))
    assert made["status"] == "failed"


def asked(site: Site) -> int:
    """How often the model was asked so far."""
    model: Any = site.edge.process.adapters.default_model
    return len(model.requests)


async def ended(site: Site, reply_id: str) -> None:
    await site.client.get(f"/api/v2/sessions/{site.session_id}/replies/{reply_id}/events")


async def messages(site: Site) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await site.client.get(f"/api/v2/sessions/{site.session_id}/messages")).json()[
        "items"
    ]
    return found


Request = Callable[[Site, Sequence[httpx.AsyncClient]], Awaitable[None]]
REQUESTS: list[Request] = [
    a_project, a_restart, a_session, a_deployment, a_message, a_message_whose_reply_is_over, a_stream, a_regeneration, an_invocation, a_failed_invocation,
]  # fmt: skip


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("request_of", REQUESTS, ids=lambda made: made.__name__)
async def test_the_same_key_at_once_does_the_work_once_and_answers_all_alike(
    request_of: Request, processes: int
) -> None:
    async with open_site() as site, two_processes(site) as clients:
        await request_of(site, clients[:processes])


async def test_the_key_is_looked_up_before_the_request_is_refused() -> None:
    async with open_site() as site:
        site.will_say(turn("Hello."))
        url = f"/api/v2/sessions/{site.session_id}"
        first = await site.client.post(f"{url}/messages", json={"content": "Hello"}, headers=KEY)
        session = await site.client.post(f"/api/v2/agents/{site.agent_id}/sessions", json={}, headers=KEY)
        await ended(site, first.json()["reply_id"])
        assert (await site.client.delete(f"/api/v2/agents/{site.agent_id}")).status_code == 204
        assert (await site.client.post(f"/api/v2/agents/{site.agent_id}/sessions", json={})).status_code == 404
        again = await site.client.post(f"/api/v2/agents/{site.agent_id}/sessions", json={}, headers=KEY)
        assert again.content == session.content
