"""A model provider of our own: speaks the chat-completions wire over real sockets, and says what its script says.

In a test `async with OpenAIServer(answers={"build_intake": [{...}]}, chat=["Hello", Say(status=500)]) as server`, as a process
`python -m tests.openai_server --port 0 --script FILE [--log FILE]`. The script is the JSON of `Script`. An answer is a text, a
document (a JSON object, sent as its text), or a behaviour: a `Say`, which a script file writes as `{"say": {...}}`.

A request is answered from the list of its schema's name, else from `chat`, in order; the last answer of a list repeats.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct


class Call(Struct, frozen=True):
    """A tool call; sent in fragments of its arguments."""

    name: str
    arguments: dict[str, Any] | str = {}
    id: str = ""

    @property
    def text(self) -> str:
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments, ensure_ascii=False)


class Say(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One behaviour. `pieces` are the text as it is cut, else `text` is cut every `cut` characters; times are seconds.

    `stall`, `drop` and `garbage` happen after the text, in place of an end. `usage=None` counts nothing.
    """

    text: str = ""
    pieces: tuple[str, ...] = ()
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    finish: str | None = None
    usage: tuple[int, int] | None = (10, 5)
    cut: int = 12
    first_byte: float = 0
    delay: float = 0
    status: int = 200
    retry_after: str | None = None
    error: str = "scripted failure"
    garbage: bool = False
    stall: bool = False
    drop: bool = False

    @property
    def ending(self) -> str:
        return self.finish or ("tool_calls" if self.calls else "stop")


Answer = str | dict[str, Any] | Say


class Script(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`refuses`: fields of a request that are answered 400 by name (`json_schema` and `json_object` are `response_format`s)."""

    answers: Mapping[str, Sequence[Any]] = {}
    chat: Sequence[Any] = ("Hello.",)
    refuses: tuple[str, ...] = ()
    api_key: str = ""


class OpenAIServer:
    """`requests` are the bodies seen, `calls` counts them by schema name (`chat` for none), `connections` those ever made."""

    def __init__(
        self,
        *,
        answers: Mapping[str, Sequence[Answer]] | None = None,
        chat: Sequence[Answer] = ("Hello.",),
        refuses: Sequence[str] = (),
        api_key: str = "",
        port: int = 0,
        log: Path | None = None,
    ) -> None:
        self.requests: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()
        self.left = 0
        self._peers: set[tuple[str, int]] = set()
        self._script = Script(answers=answers or {}, chat=chat, refuses=tuple(refuses), api_key=api_key)
        self._port = port
        self._log = log
        self._writing = asyncio.Lock()
        self._someone_left = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The base URL that a client is given."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def connections(self) -> int:
        return len(self._peers)

    async def departed(self, count: int = 1) -> None:
        """Returns once so many clients have closed their connection in the middle of an answer."""
        async with self._someone_left:
            await self._someone_left.wait_for(lambda: self.left >= count)

    async def __aenter__(self) -> "OpenAIServer":
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._completions)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "scripted", "object": "model"}]})

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self._peers.add(request.transport.get_extra_info("peername") if request.transport else ("", 0))
        await self._note(body)
        if self._script.api_key and request.headers.get("Authorization") != f"Bearer {self._script.api_key}":
            return _refused(401, f"Incorrect API key provided: {request.headers.get('Authorization', '')}")
        if named := self._not_understood(body):
            return _refused(400, f"Unsupported parameter: {named}")
        topic = self._topic(body)
        say = _said(self._next(topic))
        self.calls[topic] += 1
        try:
            return await self._answered(request, body, say, f"chatcmpl-{self.calls.total()}")
        except (asyncio.CancelledError, ConnectionError):
            async with self._someone_left:
                self.left += 1
                self._someone_left.notify_all()
            raise

    async def _answered(self, request: web.Request, body: dict[str, Any], say: Say, chat_id: str) -> web.StreamResponse:
        await asyncio.sleep(say.first_byte)
        if say.status != 200:
            return _refused(say.status, say.error, retry_after=say.retry_after)
        if not body.get("stream"):
            return web.json_response(_whole(say, chat_id, body))
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for chunk in _chunks(say, chat_id, body):
            await answer.write(b"data: " + chunk + b"\n\n")
            await asyncio.sleep(say.delay)
        if say.stall:
            await asyncio.Event().wait()
        if say.drop:
            if request.transport is not None:
                request.transport.close()
            return answer
        await answer.write(b"data: {garbage\n\n" if say.garbage else b"data: [DONE]\n\n")
        await asyncio.sleep(say.delay)
        await answer.write_eof()
        return answer

    async def _note(self, body: dict[str, Any]) -> None:
        self.requests.append(body)
        if self._log is not None:
            line = json.dumps(body, ensure_ascii=False)
            async with self._writing:
                await asyncio.to_thread(_append, self._log, line)

    def _not_understood(self, body: dict[str, Any]) -> str:
        kind = (body.get("response_format") or {}).get("type")
        for field in self._script.refuses:
            if field in body:
                return field
            if field == kind:
                return f"response_format of type {kind}"
        return ""

    def _topic(self, body: dict[str, Any]) -> str:
        """The schema's name: as given, or as told in the prompt by a client that had to put it there."""
        name = ((body.get("response_format") or {}).get("json_schema") or {}).get("name")
        if name:
            return str(name)
        first = str(body["messages"][0].get("content") or "") if body.get("messages") else ""
        return next((topic for topic in self._script.answers if f"JSON schema {topic}:" in first), "chat")

    def _next(self, topic: str) -> Any:
        queue = self._script.answers.get(topic) or self._script.chat
        return queue[min(self.calls[topic], len(queue) - 1)]


def _said(answer: Any) -> Say:
    if isinstance(answer, Say):
        return answer
    if isinstance(answer, dict) and set(answer) == {"say"}:
        return msgspec.convert(answer["say"], Say)
    return Say(text=answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False))


def _refused(status: int, message: str, retry_after: str | None = None) -> web.Response:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    fault = {"message": message, "type": "scripted", "code": None}
    return web.json_response({"error": fault}, status=status, headers=headers)


def _usage(say: Say) -> dict[str, int] | None:
    if say.usage is None:
        return None
    return {"prompt_tokens": say.usage[0], "completion_tokens": say.usage[1], "total_tokens": sum(say.usage)}


def _calls(say: Say) -> list[dict[str, Any]]:
    functions = [{"name": call.name, "arguments": call.text} for call in say.calls]
    ids = [call.id or f"call_{n}" for n, call in enumerate(say.calls)]
    return [
        {"index": n, "id": ids[n], "type": "function", "function": function} for n, function in enumerate(functions)
    ]


def _whole(say: Say, chat_id: str, body: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": say.text or "".join(say.pieces)}
    if say.calls:
        message["tool_calls"] = _calls(say)
    choice = {"index": 0, "message": message, "finish_reason": say.ending}
    return {
        "id": chat_id,
        "object": "chat.completion",
        "model": body.get("model"),
        "choices": [choice],
        "usage": _usage(say),
    }


def _chunks(say: Say, chat_id: str, body: dict[str, Any]) -> list[bytes]:
    """The events of a stream up to `[DONE]`; with no end where the behaviour breaks it off."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if say.reasoning:
        deltas.append({"reasoning_content": say.reasoning})
    deltas += [{"content": piece} for piece in say.pieces or _cut(say.text, say.cut)]
    for call in _calls(say):
        first, *rest = _cut(call["function"]["arguments"], say.cut) or [""]
        deltas.append({"tool_calls": [{**call, "function": {**call["function"], "arguments": first}}]})
        deltas += [{"tool_calls": [{"index": call["index"], "function": {"arguments": part}}]} for part in rest]
    choices: list[list[dict[str, Any]]] = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    frame = {"id": chat_id, "object": "chat.completion.chunk", "created": 0, "model": body.get("model")}
    if say.stall or say.drop or say.garbage:
        return [msgspec.json.encode({**frame, "choices": one}) for one in choices]
    choices.append([{"index": 0, "delta": {}, "finish_reason": say.ending}])
    frames: list[dict[str, Any]] = [{**frame, "choices": one} for one in choices]
    if say.usage is not None and (body.get("stream_options") or {}).get("include_usage"):
        frames.append({**frame, "choices": [], "usage": _usage(say)})
    return [msgspec.json.encode(one) for one in frames]


def _cut(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def _append(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


async def _serve(port: int, script: Script, log: Path | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with OpenAIServer(**msgspec.structs.asdict(script), port=port, log=log) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="A scripted model provider on the chat-completions wire.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one; the base URL is printed")
    parser.add_argument("--script", type=Path, help="JSON: answers by schema name, chat, refuses, api_key")
    parser.add_argument("--log", type=Path, help="each request's body, one JSON line, synced to disk")
    given = parser.parse_args()
    script = msgspec.json.decode(given.script.read_bytes(), type=Script) if given.script else Script()
    asyncio.run(_serve(given.port, script, given.log))


if __name__ == "__main__":
    main()
