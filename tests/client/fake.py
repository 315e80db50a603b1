"""A server that answers what it was told to answer, and remembers what it was asked."""

import asyncio
import json
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Fake:
    """`on` queues answers for an address; the last one stays. What was not told is a 404 problem.

    `is_nexus`: whether its answers carry the mark of a nexus server."""

    url: str = ""
    is_nexus: bool = True
    seen: list[Seen] = field(default_factory=list)
    answers: dict[tuple[str, str], list[Answer]] = field(default_factory=lambda: defaultdict(list))

    def on(self, method: str, path: str, *answers: Answer) -> Self:
        self.answers[method, path] += answers
        return self

    def asked(self, method: str, path: str) -> list[Seen]:
        return [seen for seen in self.seen if (seen.method, seen.path) == (method, path)]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(Seen(request.method, request.raw_path.partition("?")[0], request.query, request.headers, body))
        queue = self.answers.get((request.method, request.raw_path.partition("?")[0]))
        if not queue:
            return await problem(404, title="There is no such thing", detail="Nothing was told.")(request)
        return await (queue.pop(0) if len(queue) > 1 else queue[0])(request)

    async def _mark(self, _: web.Request, response: web.StreamResponse) -> None:
        if self.is_nexus:
            response.headers["X-Request-Id"] = "req_1"

    async def start(self) -> web.AppRunner:
        application = web.Application()
        application.on_response_prepare.append(self._mark)
        application.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(application, shutdown_timeout=1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner


@contextmanager
def beside(fake: Fake) -> Iterator[Fake]:
    """The fake in a thread of its own, for what runs a loop itself."""
    started = threading.Event()
    ending: list[Callable[[], None]] = []

    async def served() -> None:
        runner, over, loop = await fake.start(), asyncio.Event(), asyncio.get_running_loop()
        ending.append(lambda: loop.call_soon_threadsafe(over.set))
        started.set()
        await over.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(served()))
    thread.start()
    assert started.wait(50)
    try:
        yield fake
    finally:
        ending[0]()
        thread.join(50)


def good(content: object, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(content, status=status)

    return answer


def text(content: bytes, content_type: str = "text/plain", status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=content, content_type=content_type, status=status)

    return answer


def nothing(status: int = 204, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


def problem(status: int, *, retry_after: str | None = None, **members: object) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        told = {"type": "urn:nexus:problem:x", "title": "No", "detail": "", "instance": "/x", "request_id": "req_1"}
        return web.json_response(
            {**told, "status": status, **members},
            status=status,
            content_type="application/problem+json",
            headers={"Retry-After": retry_after} if retry_after else None,
        )

    return answer


def dropped() -> Answer:
    """The connection is cut before a byte was answered."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    return answer


def frame(position: int | None, tag: str, /, **data: object) -> bytes:
    mark = "" if position is None else f"id: {position}\n"
    return f"{mark}event: {tag}\ndata: {json.dumps({'type': tag, **data})}\n\n".encode()


def events(*chunks: bytes, cut: bool = False, after: Callable[[], Awaitable[object]] | None = None) -> Answer:
    """A stream of these chunks, that then ends; or is cut off; or goes on once `after` has come."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for chunk in (b"retry: 5\n\n", *chunks):
            await response.write(chunk)
        if after is not None:
            await after()
        if cut:
            assert request.transport is not None
            request.transport.close()
        return response

    return answer


def listed(items: Sequence[object], next_cursor: str | None = None) -> Answer:
    return good({"items": items, "next_cursor": next_cursor})
