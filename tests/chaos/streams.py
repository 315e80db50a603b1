"""Readers of event streams, light enough for thousands: a socket, a position, and what was heard."""

import asyncio
import json
import socket
from typing import Any, NamedTuple
from urllib.parse import urlsplit

JSON = dict[str, Any]
REFUSED_SECONDS = 0.5
"""How long a reader waits before it asks again where it was refused."""


class Heard(NamedTuple):
    position: int
    tag: str
    data: JSON


class Reader:
    """Follows one address. `listen` reads until the stream ends or is cut, and may be called again: it goes on after `position`.
    With a `pace` it takes no more than so many bytes a second."""

    def __init__(self, url: str, *, receive_buffer: int = 0, keep: bool = True, pace: int = 0) -> None:
        parts = urlsplit(url)
        self.host, self.port, self.path = parts.hostname or "", parts.port or 80, parts.path
        self.position = 0
        self.heard: list[Heard] = []
        self.status = 0
        self.told_to_reconnect = 0
        self.over = False
        self.last_tag, self.reads = "", 0
        self._rest = b""
        self._buffer, self._keep, self._pace = receive_buffer, keep, pace
        self.writer: asyncio.StreamWriter | None = None
        self.reader: asyncio.StreamReader | None = None

    async def open(self) -> None:
        """Asks, and reads the head of the answer."""
        connection = socket.socket()
        connection.setblocking(False)
        if self._buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer)
        try:
            await asyncio.get_running_loop().sock_connect(connection, (self.host, self.port))
        except OSError:
            connection.close()
            raise
        limit = self._buffer or 2**16
        self.reader, self.writer = await asyncio.open_connection(sock=connection, limit=limit)
        after = f"Last-Event-ID: {self.position}\r\n" if self.position else ""
        ask = f"GET {self.path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nAccept: text/event-stream\r\n{after}\r\n"
        self.writer.write(ask.encode())
        head = await self.reader.readuntil(b"\r\n\r\n")
        self._rest = b""
        self.status = int(head.split(b" ", 2)[1])

    async def listen(self, *, pieces: int | None = None) -> None:
        """Hears events until the stream ends; of `pieces` reads, no more."""
        assert self.reader is not None
        count = 0
        while self.status == 200 and (pieces is None or count < pieces):
            size = int((await self.reader.readline()).strip() or b"0", 16)
            if size == 0:
                break
            self._rest += (await self.reader.readexactly(size + 2))[:-2]
            *frames, self._rest = self._rest.split(b"\n\n")
            for frame in frames:
                self._take(frame.decode())
            count += 1
            self.reads += 1
        self.over = self.over or self.status == 204

    async def hear(self, tag: str) -> None:
        """Listens until such an event has come."""
        while self.last_tag != tag:
            before = self.reads
            await self.listen(pieces=1)
            if self.reads == before:
                raise asyncio.IncompleteReadError(b"", None)

    def _take(self, frame: str) -> None:
        fields = dict(line.split(": ", 1) for line in frame.splitlines() if ": " in line and not line.startswith(":"))
        tag = fields.get("event", "")
        if tag == "reconnect":
            self.told_to_reconnect += 1
        if "id" not in fields:
            return
        self.position, self.last_tag = int(fields["id"]), tag
        if self._keep:
            self.heard.append(Heard(self.position, tag, json.loads(fields["data"])))
        self.over = tag.split(".")[-1] in ("completed", "failed", "cancelled", "interrupted") and tag[:5] in (
            "reply",
            "build",
        )

    @property
    def own_port(self) -> int:
        assert self.writer is not None
        port: int = self.writer.get_extra_info("sockname")[1]
        return port

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    async def sip(self) -> None:
        """What is open already, at this reader's pace, to the end of the connection or until cancelled."""
        assert self.reader is not None
        source, self.reader = self.reader, asyncio.StreamReader()
        listening = asyncio.ensure_future(self.follow_open())
        try:
            while some := await source.read(self._pace):
                self.reader.feed_data(some)
                await asyncio.sleep(1)
        except OSError:
            return
        finally:
            self.reader.feed_eof()
            await listening

    async def follow_open(self) -> None:
        """What is open already, to the end of the connection."""
        try:
            await self.listen()
        except (OSError, asyncio.IncompleteReadError, ValueError):
            return
        finally:
            self.close()

    async def follow(self, *, within: float = 60) -> None:
        """To the end, coming again as often as it takes."""
        async with asyncio.timeout(within):
            while not self.over:
                try:
                    await self.open()
                    await self.listen()
                    if self.status not in (200, 204):
                        await asyncio.sleep(REFUSED_SECONDS)
                except (OSError, asyncio.IncompleteReadError, ValueError):
                    await asyncio.sleep(0.05)
                finally:
                    self.close()
