"""Streams of events that survive their connections: each event comes once, in order, up to the one that ends it."""

from collections.abc import AsyncGenerator, Callable, Set
from contextlib import aclosing
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from nexus.client.errors import Dropped, NotNexus, Unreachable
from nexus.client.pauses import parse_retry_after
from nexus.client.requests import Request
from nexus.client.sse import Frame, Parser, TooLong
from nexus.client.transport import AWAY, DROPPED, MARK, Transport, describe_response

BUILD_ENDS = frozenset({"build.completed", "build.failed", "build.cancelled"})
REPLY_ENDS = frozenset({"reply.completed", "reply.failed", "reply.cancelled", "reply.interrupted"})
RECONNECT = "reconnect"
RESET = "reply.reset"
LATER = AWAY | {429}


class Event(Struct, frozen=True, kw_only=True):
    """`position` is where a reader goes on; `tag` names what happened, `data` tells it. `reply.reset`: what came before is void."""

    position: int
    tag: str
    data: dict[str, Any]


class Following:
    """One reader of one stream. `resumed` makes the request that goes on; `opening` is the first one where that is another."""

    def __init__(
        self,
        transport: Transport,
        *,
        resumed: Callable[[], Request | None],
        ends: Set[str],
        opening: Request | None = None,
        after: int = 0,
        heard: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self._transport, self._resumed, self._opening = transport, resumed, opening
        self._ends, self._heard = ends, heard
        self._position, self._failures, self._over = after, 0, False
        self._wished: float | None = None

    async def stream_events(self) -> AsyncGenerator[Event, None]:
        """ApiError when the server refuses; Unreachable when it stays away for too long."""
        while not self._over:
            async with aclosing(self._read_until_disconnect()) as events:
                async for event in events:
                    yield event

    async def _read_until_disconnect(self) -> AsyncGenerator[Event, None]:
        """What one connection brings; a pause where it ends before the stream."""
        try:
            async with (
                self._transport.open_response_stream(self._make_stream_request()) as response,
                aclosing(self._read_response_events(response)) as events,
            ):
                async for event in events:
                    yield event
            if not self._over:
                raise Dropped(Unreachable(self._transport.url, "the stream stopped before its end"), self._wished)
        except Dropped as dropped:
            await self._pause_before_retry(dropped)
        except (*DROPPED, TooLong) as error:
            await self._pause_before_retry(Dropped(self._transport.make_connection_error(error), self._wished))

    async def _pause_before_retry(self, dropped: Dropped) -> None:
        self._failures += 1
        pauses = self._transport.pauses
        never_answered = not self._transport.answered
        if self._failures >= (pauses.first_contact if never_answered else pauses.streams):
            raise dropped.failure from dropped
        then = f"going on from event {self._position}" if self._position else "trying again"
        self._transport.notice(f"{dropped.failure}; {then} …")
        await self._transport.sleep(pauses.compute_retry_delay(self._failures, wished=dropped.wished))

    def _make_stream_request(self) -> Request:
        request = self._resumed() or self._opening
        assert request is not None
        headers = {"Accept": "text/event-stream", **request.headers}
        if self._position:
            headers["Last-Event-ID"] = str(self._position)
        return msgspec.structs.replace(request, headers=headers)

    async def _check_stream_response(self, response: aiohttp.ClientResponse) -> None:
        if response.status == 204 and MARK in response.headers:
            self._over = True
        elif response.status in LATER:
            raise Dropped(
                await self._transport.parse_error_response(response),
                parse_retry_after(response.headers.get("Retry-After")),
            )
        elif response.status != 200:
            raise await self._transport.parse_error_response(response)
        elif response.content_type != "text/event-stream":
            raise NotNexus(self._transport.url, describe_response(response))

    async def _read_response_events(self, response: aiohttp.ClientResponse) -> AsyncGenerator[Event, None]:
        await self._check_stream_response(response)
        parser = Parser()
        async for chunk in response.content.iter_any():
            for frame in parser.parse_sse_chunk(chunk):
                self._wished = parser.retry
                if frame.event == RECONNECT:
                    return
                if (event := self._parse_unseen_event(frame)) is not None:
                    yield event
                if self._over:
                    return
            if parser.pings:
                self._failures = 0

    def _parse_unseen_event(self, frame: Frame) -> Event | None:
        """The event, unless it was heard already. A reset without a position says that the stream begins anew."""
        if frame.id is None and frame.event != RESET:
            return None
        try:
            position = int(frame.id or 0)
            event = Event(position=position, tag=frame.event, data=msgspec.json.decode(frame.data, type=dict[str, Any]))
        except (ValueError, RecursionError) as error:
            raise NotNexus(self._transport.url, f"it sends events of another kind: {error}") from error
        if frame.id is not None and position <= self._position:
            return None
        self._position, self._failures, self._over = position, 0, frame.event in self._ends
        self._heard(event)
        return event
