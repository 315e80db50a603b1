"""The limit: a relay on bare asyncio protocols that does nothing but decode the model's tokens and send them on as events.

No routes, no rows, no log, no resume; an event for every token, or with `--joined` for every read; one write for every read."""

import argparse
import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httptools
import msgspec
import uvloop

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"


class Words(msgspec.Struct):
    content: str | None = None


class Choice(msgspec.Struct):
    delta: Words


class Chunk(msgspec.Struct):
    choices: list[Choice]


class Asked(msgspec.Struct):
    content: str


class TextDelta(msgspec.Struct, tag="text.delta"):
    text: str


_chunk = msgspec.json.Decoder(Chunk).decode
_asked = msgspec.json.Decoder(Asked).decode
_encode = msgspec.json.Encoder().encode
_ITEM = _encode(
    {"project_id": "prj_" + "0" * 26, "requirement": "An agent that converts units. " * 8, "status": "completed"}
)


class Upstream(asyncio.Protocol):
    """A connection to the model, used again for the next answer."""

    def __init__(self, lost: Callable[["Upstream"], None]) -> None:
        self._lost, self._events = lost, b""
        self._reader: Relaying | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._lost(self)

    def ask(self, reader: "Relaying", request: bytes) -> None:
        self._reader, self._events = reader, b""
        self._parser = httptools.HttpResponseParser(self)
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)
        if self._reader and self._events:
            *whole, self._events = self._events.split(b"\n\n")
            self._reader.tell(whole)

    def on_body(self, body: bytes) -> None:
        self._events += body


class Relaying(asyncio.Protocol):
    """A connection of a reader."""

    def __init__(self, model: "Model") -> None:
        self._model, self._buffer, self._at = model, b"", 0
        self._upstream: Upstream | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._upstream:
            self._upstream.transport.close()

    def pause_writing(self) -> None:
        if self._upstream:
            self._upstream.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._upstream:
            self._upstream.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if head.startswith(b"GET") and found:
            self._buffer = b""
            self._transport.write(_JSON % (len(_ITEM), _ITEM))
        elif found:
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            if len(body) >= length:
                self._buffer = b""
                self._model.ask(self, _asked(body[:length]).content)

    def began(self, upstream: Upstream) -> None:
        self._upstream, self._at = upstream, 0
        self._transport.write(_HEAD)

    def tell(self, events: list[bytes]) -> None:
        ended = events[-1:] == [b"data: [DONE]"]
        texts = [
            choice.delta.content
            for event in (events[:-1] if ended else events)
            for choice in _chunk(event[6:]).choices
            if choice.delta.content
        ]
        if self._model.joined and texts:
            texts = ["".join(texts)]
        frames = b"".join([self._frame(text) for text in texts])
        if ended:
            self._end(frames + b"event: done\ndata: {}\n\n")
        elif frames:
            self._transport.write(_framed(frames))

    def _frame(self, text: str) -> bytes:
        self._at += 1
        return b"id: %d\nevent: text.delta\ndata: %b\n\n" % (self._at, _encode(TextDelta(text)))

    def _end(self, body: bytes) -> None:
        self._transport.write(_framed(body) + b"0\r\n\r\n")
        if self._upstream:
            self._model.give_back(self._upstream)
            self._upstream = None


class Model:
    """The connections to the model."""

    def __init__(self, host: str, port: int, *, joined: bool) -> None:
        self._host, self._port, self.joined = host, port, joined
        self._free = list[Upstream]()
        self._opening = set[asyncio.Task[None]]()

    def ask(self, reader: Relaying, content: str) -> None:
        body = _encode({"model": "bench", "stream": True, "messages": [{"role": "user", "content": content}]})
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: model\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        task = asyncio.ensure_future(self._asked(reader, head.encode() + body))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _asked(self, reader: Relaying, request: bytes) -> None:
        if self._free:
            upstream = self._free.pop()
        else:
            loop = asyncio.get_running_loop()
            _, upstream = await loop.create_connection(lambda: Upstream(self._gone), self._host, self._port)
        reader.began(upstream)
        upstream.ask(reader, request)

    def give_back(self, upstream: Upstream) -> None:
        self._free.append(upstream)

    def _gone(self, upstream: Upstream) -> None:
        if upstream in self._free:
            self._free.remove(upstream)


def _framed(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


async def _serve(port: int, model_url: str, joined: bool) -> None:
    address = urlsplit(model_url)
    model = Model(address.hostname or "127.0.0.1", address.port or 80, joined=joined)
    server = await asyncio.get_running_loop().create_server(lambda: Relaying(model), "127.0.0.1", port, backlog=8192)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model-url", required=True)
    parser.add_argument("--joined", action="store_true")
    given = parser.parse_args()
    uvloop.run(_serve(given.port, given.model_url, given.joined))
