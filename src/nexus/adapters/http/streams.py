"""Streams of events: an ASGI response that writes what is there in one go, and sees when its reader leaves."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol

import structlog
from msgspec import Struct

from nexus.domain.core.errors import NexusError
from nexus.domain.core.streams import Batch, PositionLost

Follow = Callable[[], Awaitable[AsyncIterator[Batch] | None]]
Send = Callable[[Any], Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]

LONGEST_SECONDS = 600.0
JITTER = 0.2
FAREWELL_SECONDS = 1.0

_HEADERS = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))

logger = structlog.get_logger()


class Encoder(Protocol):
    """How a protocol writes a stream, piece by piece."""

    media_type: str

    def encode_preamble(self) -> bytes:
        """What comes first, together with the first piece."""

    def encode_events(self, batch: Batch) -> bytes:
        """Events, in order."""

    def encode_ping(self) -> bytes:
        """That the stream lives."""

    def encode_reset(self, event: Struct) -> bytes:
        """That all before it is void: an event without a position."""

    def encode_reconnect(self) -> bytes:
        """That the reader should come again; the last piece."""


class Restart(NamedTuple):
    """What a reader gets whose position is no longer there: this event, then everything."""

    event: Struct
    follow: Follow


class Streams:
    """All streams that are open here. None lives longer than `longest` seconds, most of them a little less, so that those that came
    together do not come again together; `stop_all_streams` ends them all."""

    def __init__(self, *, longest: float = LONGEST_SECONDS) -> None:
        self._longest = longest
        self._open: set[asyncio.Timeout] = set()
        self.draining = False

    @asynccontextmanager
    async def limit_stream_duration(self, within: float | None = None) -> AsyncIterator[asyncio.Timeout]:
        """TimeoutError for what is inside, when its time is over or the server drains."""
        seconds = self._longest * random.uniform(1 - JITTER, 1) if within is None else within
        async with asyncio.timeout(0 if self.draining else seconds) as deadline:
            self._open.add(deadline)
            try:
                yield deadline
            finally:
                self._open.discard(deadline)

    def stop_all_streams(self) -> None:
        """Tells every stream to say goodbye, and those that come later to do so at once."""
        self.draining = True
        now = asyncio.get_running_loop().time()
        for deadline in self._open:
            if not deadline.expired():
                deadline.reschedule(now)

    def __len__(self) -> int:
        return len(self._open)


class EventStream:
    """The ASGI response. Without batches it is 204: over, and all of it was read."""

    def __init__(
        self,
        batches: AsyncIterator[Batch] | None,
        *,
        streams: Streams,
        encoder: Encoder,
        restart: Restart | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._batches, self._streams, self._restart, self._encoder = batches, streams, restart, encoder
        self._opening = encoder.encode_preamble()
        self._headers = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if self._batches is None:
            await send({"type": "http.response.start", "status": 204, "headers": self._headers})
            await send({"type": "http.response.body", "body": b""})
            return
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(_raise_on_disconnect(receive))
                fields = [(b"content-type", self._encoder.media_type.encode()), *_HEADERS, *self._headers]
                await send({"type": "http.response.start", "status": 200, "headers": fields})
                await self._stream_until_deadline(self._batches, send)
                watch.cancel()
        except* _Gone:
            pass

    async def _stream_until_deadline(self, batches: AsyncIterator[Batch], send: Send) -> None:
        """Everything until the end, or until this stream has to go; a reader without a last event comes again."""
        farewell = b""
        try:
            async with self._streams.limit_stream_duration() as deadline:
                await self._send_with_restart(batches, send)
                await self._send_body_chunk(send, b"", more=False)
            return
        except TimeoutError:
            if not deadline.expired():
                return
            farewell = self._encoder.encode_reconnect()
        except NexusError as error:
            logger.warning("stream.broken", reason=error.detail)
        except Exception:
            logger.exception("stream.crashed")
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._send_body_chunk(send, farewell, more=False)
        except TimeoutError:
            logger.info("stream.abandoned")

    async def _send_with_restart(self, batches: AsyncIterator[Batch], send: Send) -> None:
        try:
            await self._send_event_batches(batches, send)
        except PositionLost:
            if self._restart is None:
                raise
            await self._send_body_chunk(send, self._encoder.encode_reset(self._restart.event))
            if (anew := await self._restart.follow()) is not None:
                await self._send_event_batches(anew, send)

    async def _send_event_batches(self, batches: AsyncIterator[Batch], send: Send) -> None:
        encoder = self._encoder
        try:
            async for batch in batches:
                await self._send_body_chunk(
                    send, encoder.encode_events(batch) if batch.events else encoder.encode_ping()
                )
        finally:
            if isinstance(batches, AsyncGenerator):
                await batches.aclose()

    def _send_body_chunk(self, send: Send, piece: bytes, *, more: bool = True) -> Awaitable[None]:
        """A piece, behind what opens the stream if it is the first one."""
        body, self._opening = self._opening + piece, b""
        return send({"type": "http.response.body", "body": body, "more_body": more})


class _Gone(Exception):
    """The reader has left."""


async def _raise_on_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    raise _Gone
