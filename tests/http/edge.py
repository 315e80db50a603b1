"""An application on a process in memory, a client in the same loop, and a reader of streams that are still going on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from litestar import Litestar
from msgspec import Struct, structs

from nexus.adapters.http.app import make_http_app
from nexus.adapters.http.streams import Streams
from nexus.adapters.token.authenticator import TokenAuthenticator
from nexus.domain.core.principal import LOCAL_OWNER
from nexus.domain.projects.admission import Limits
from nexus.domain.projects.starts import Opening
from nexus.jobs.lanes import Lanes
from tests.domain.builds.scripts import script
from tests.fakes.models import ScriptedModel
from tests.memory_app import MemoryApp, make_adapters, open_app

WANTED = {"requirement": "An agent that doubles numbers"}
OPEN = TokenAuthenticator(None)
NOBODYS = {
    "prj": "prj_01K00000000000000000000000",
    "agt": "agt_01K00000000000000000000000",
    "ses": "ses_01K00000000000000000000000",
    "msg": "msg_01K00000000000000000000000",
    "tsk": "tsk_01K00000000000000000000000",
    "tol": "tol_01K00000000000000000000000",
}


class Edge(Struct, frozen=True, kw_only=True):
    process: MemoryApp
    app: Litestar
    client: httpx.AsyncClient
    streams: Streams


class Site(Struct, frozen=True, kw_only=True):
    """What a build left: everything that a route can name."""

    edge: Edge
    project_id: str
    agent_id: str
    session_id: str

    @property
    def client(self) -> httpx.AsyncClient:
        return self.edge.client

    def will_say(self, *turns: Any) -> None:
        model: Any = self.edge.process.adapters.default_model
        model.add(*turns, purpose="reply")


@asynccontextmanager
async def open_edge(
    *,
    token: str | None = None,
    serving: bool = True,
    streams: Streams | None = None,
    queue: Lanes | None = None,
    admission: Limits = Limits(),
    model: ScriptedModel | None = None,
    **others: Any,
) -> AsyncIterator[Edge]:
    on = structs.replace(make_adapters(model or script()), queue=queue or Lanes(), admission=admission)
    async with open_app(on, serving=serving) as process:
        held = Streams() if streams is None else streams
        others.setdefault("authenticator", TokenAuthenticator(token))
        process.metrics.watch_open_streams(held.__len__)
        app = make_http_app(process.services, parts=process.parts, streams=held, metrics=process.metrics, **others)
        served: Any = app
        transport = httpx.ASGITransport(served, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
            yield Edge(process=process, app=app, client=client, streams=held)


@asynccontextmanager
async def open_site(**others: Any) -> AsyncIterator[Site]:
    """An edge with a built agent and an open session."""
    async with open_edge(**others) as edge:
        services = edge.process.services
        started = await services.builds.start(LOCAL_OWNER, Opening(requirement=WANTED["requirement"]))
        async for batch in await services.projects.stream_build_events(LOCAL_OWNER, started.project_id):
            if any(b'"build.completed"' in event for event in batch.events):
                break
        [agent_id] = (await services.projects.get(LOCAL_OWNER, started.project_id)).agent_ids
        session = await services.sessions.create_session(LOCAL_OWNER, agent_id)
        yield Site(edge=edge, project_id=started.project_id, agent_id=agent_id, session_id=session.session_id)


class Reader:
    """Reads an answer piece by piece, and may leave in the middle."""

    def __init__(self, app: Any, method: str, path: str, *, headers: Mapping[str, str] = {}, body: bytes = b"") -> None:
        target, _, query = path.partition("?")
        fields = {"host": "localhost", "content-type": "application/json", **headers}
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": target,
            "raw_path": target.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
        }
        self._app, self._body, self._asked = app, body, False
        self._left = asyncio.Event()
        self._heard: asyncio.Queue[Any] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self.status = 0
        self.headers: dict[str, str] = {}

    async def _receive(self) -> Any:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await self._heard.put(message)

    async def __aenter__(self) -> "Reader":
        self._task = asyncio.ensure_future(self._app(self.scope, self._receive, self._send))
        start = await self._heard.get()
        self.status = start["status"]
        self.headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return self

    async def piece(self) -> bytes:
        """What was sent in one go; empty at the end."""
        message = await self._heard.get()
        body: bytes = message.get("body", b"")
        return body

    async def rest(self) -> bytes:
        """Everything up to the end."""
        pieces = list[bytes]()
        while (message := await self._heard.get()).get("more_body"):
            pieces.append(message["body"])
        return b"".join([*pieces, message.get("body", b"")])

    async def leave(self) -> None:
        """The reader goes; answers once the application has noticed."""
        self._left.set()
        assert self._task is not None
        await self._task

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


def frames(text: str) -> list[dict[str, str]]:
    """The events of a stream, without comments and `retry`."""
    found = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.split("\n\n") if block.strip()]
    return [frame for frame in found if "event" in frame]


def tags(text: str) -> list[str]:
    return [frame["event"] for frame in frames(text)]
