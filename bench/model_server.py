"""A model provider that costs next to nothing: every question is answered with so many equal tokens.

A message that holds `stream 500 20ms` is answered with 500 tokens, 20 ms apart; without a delay each stream gets a token in
every turn of the loop, in a write of its own, for as long as its reader keeps up. `silent` says nothing after the first token."""

import argparse
import asyncio
import re
from typing import Any

import uvloop

TOKEN = " lorem"
WANTED = re.compile(rb"stream (\d+) (\d+)ms( silent)?")
DEFAULT = (b"20", b"0", None)

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_START = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
_MODELS = b'{"object":"list","data":[{"id":"bench","object":"model"}]}'


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


def _event(delta: str, finish: str = "null") -> bytes:
    frame = '{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench","choices":'
    return f'data: {frame}[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}\n\n'.encode()


_ROLE = _chunk(_event('{"role":"assistant","content":""}'))
_TOKEN = _chunk(_event(f'{{"content":"{TOKEN}"}}'))
_USAGE = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench","choices":[],'
    b'"usage":{"prompt_tokens":10,"completion_tokens":%d,"total_tokens":%d}}\n\n'
)
_DONE = _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Floods:
    """The streams without a delay: a token each in every turn."""

    def __init__(self) -> None:
        self._open = set["Answering"]()

    def add(self, stream: "Answering") -> None:
        if not self._open:
            asyncio.get_running_loop().call_soon(self._turn)
        self._open.add(stream)

    def remove(self, stream: "Answering") -> None:
        self._open.discard(stream)

    def _turn(self) -> None:
        for stream in list(self._open):
            stream.tell()
        if self._open:
            asyncio.get_running_loop().call_soon(self._turn)


class Answering(asyncio.Protocol):
    """One connection; one answer at a time."""

    def __init__(self, floods: Floods) -> None:
        self._floods, self._buffer = floods, b""
        self._left = self._wanted = 0
        self._delay = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._stop()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or len(body) < (needed := int(length[1]) if length else 0):
            return
        self._buffer = body[needed:]
        if head.startswith(b"GET"):
            answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            self._transport.write(answer % (len(_MODELS), _MODELS))
        else:
            self._begin(*(WANTED.findall(body) or [DEFAULT])[-1])

    def _begin(self, tokens: bytes, delay: bytes, silent: bytes | None) -> None:
        self._left = self._wanted = int(tokens)
        self._delay = int(delay) / 1000
        self._transport.write(_START + _ROLE)
        if silent:
            self._transport.write(_TOKEN)
        elif self._delay:
            self._tick()
        else:
            self._floods.add(self)

    def _tick(self) -> None:
        self.tell()
        if self._left >= 0:
            self._timer = asyncio.get_running_loop().call_later(self._delay, self._tick)

    def tell(self) -> None:
        """The next token, or the end."""
        if self._left > 0:
            self._transport.write(_TOKEN)
        else:
            usage = _USAGE % (self._wanted, self._wanted + 10)
            self._transport.write(_chunk(_event("{}", '"stop"')) + _chunk(usage) + _DONE)
            self._stop()
        self._left -= 1

    def pause_writing(self) -> None:
        self._floods.remove(self)

    def resume_writing(self) -> None:
        if self._left >= 0 and self._wanted and not self._delay:
            self._floods.add(self)

    def _stop(self) -> None:
        self._floods.remove(self)
        if self._timer:
            self._timer.cancel()


async def _serve(port: int) -> None:
    floods = Floods()
    server = await asyncio.get_running_loop().create_server(lambda: Answering(floods), "127.0.0.1", port, backlog=8192)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(_serve(parser.parse_args().port))
