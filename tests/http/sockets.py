"""A server on a real socket of this machine, and peers that send it bytes."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from nexus.adapters.http.connections import Bounds
from nexus.adapters.http.server import open_listening_socket, serve_asgi_app

PATIENCE = 20.0


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the body; at `/stream` it speaks until its reader leaves; at `/deaf` it reads nothing."""
    start = {"type": "http.response.start", "status": 200, "headers": []}
    if scope["path"] == "/stream":
        await send(start)
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    body, more = b"", scope["path"] != "/deaf"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    await send(start)
    await send({"type": "http.response.body", "body": b"heard " + body})


@asynccontextmanager
async def serving(app: Any = echo, **bounds: Any) -> AsyncIterator[int]:
    """The port of an application that is served within these bounds."""
    listener = open_listening_socket("127.0.0.1", 0)
    async with serve_asgi_app(app, listener, Bounds(**bounds)):
        yield listener.getsockname()[1]


class Peer:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Sends, as far as the server takes it."""
        try:
            self._writer.write(data)
            await asyncio.wait_for(self._writer.drain(), PATIENCE)
        except ConnectionError:
            pass

    async def until(self, mark: bytes) -> bytes:
        return await asyncio.wait_for(self._reader.readuntil(mark), PATIENCE)

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        heard = bytearray()
        try:
            while piece := await asyncio.wait_for(self._reader.read(65536), PATIENCE):
                heard += piece
        except ConnectionError:
            pass
        return bytes(heard)

    async def status(self) -> int:
        """Of an answer behind which the connection ends; 0 where there was none."""
        heard = await self.rest()
        return int(heard.split(b" ", 2)[1]) if heard.startswith(b"HTTP/1.1 ") else 0

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            pass


@asynccontextmanager
async def peer(port: int, *, address: str = "127.0.0.1") -> AsyncIterator[Peer]:
    connection = socket.socket()
    connection.setblocking(False)
    connection.bind((address, 0))
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    one = Peer(*await asyncio.open_connection(sock=connection))
    try:
        yield one
    finally:
        await one.close()
