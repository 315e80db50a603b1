"""The stream response alone: frames, endings, goodbyes."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from nexus.adapters.http import streams as http_streams
from nexus.adapters.http.sse import ServerSentEvents
from nexus.adapters.http.streams import Restart, Streams
from nexus.domain.core.errors import Unavailable
from nexus.domain.core.streams import Batch
from nexus.domain.ports.log import Beyond, Trimmed
from nexus.domain.runtime.model import TextDelta
from nexus.domain.sessions.model import LOG_LOST, ReplyCompleted
from nexus.settings import Settings, parse_environment

SSE = ServerSentEvents()
RETRY, PING, RECONNECT, RESET, frames = (
    SSE.encode_preamble(),
    SSE.encode_ping(),
    SSE.encode_reconnect(),
    SSE.encode_reset(LOG_LOST),
    SSE.encode_events,
)
EventStream = partial(http_streams.EventStream, encoder=SSE)


def event(tag: str, text: str = "") -> bytes:
    return b'{"type":"%b","text":"%b"}' % (tag.encode(), text.encode())


async def follow(*batches: Batch, then: Exception | asyncio.Event | None = None) -> AsyncIterator[Batch]:
    for batch in batches:
        yield batch
    if isinstance(then, Exception):
        raise then
    if then is not None:
        await then.wait()


class Socket:
    """What an ASGI server would do; `left` makes the reader leave."""

    def __init__(self, *, full: bool = False) -> None:
        self.sent: list[Any] = []
        self.left, self.wrote, self._full = asyncio.Event(), asyncio.Event(), full

    async def receive(self) -> Any:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        self.wrote.set()
        if self._full and message["type"] == "http.response.body":
            await asyncio.Event().wait()

    @property
    def bodies(self) -> list[bytes]:
        return [message["body"] for message in self.sent if message["type"] == "http.response.body"]

    @property
    def ended(self) -> bool:
        return self.sent[-1]["type"] == "http.response.body" and not self.sent[-1].get("more_body")


async def ran(stream: http_streams.EventStream, socket: Socket | None = None) -> Socket:
    socket = socket or Socket()
    await asyncio.wait_for(stream({"type": "http"}, socket.receive, socket.send), 50)
    return socket


def test_a_batch_is_one_block_of_frames() -> None:
    assert frames(Batch(7, [event("a.b", "你好"), event("c")])) == (
        'id: 7\nevent: a.b\ndata: {"type":"a.b","text":"你好"}\n\nid: 8\nevent: c\ndata: {"type":"c","text":""}\n\n'.encode()
    )


def test_the_tag_of_an_event_is_read_as_json() -> None:
    """Not by counting quotes: it may stand anywhere in the event, and hold what JSON escapes."""
    assert frames(Batch(1, [b'{"text": "say \\"type\\":", "type": "a\\u002eb"}'])).startswith(b"id: 1\nevent: a.b\n")


class JsonLines:
    """Another protocol: a line an event, of typed events."""

    media_type = "application/jsonl"

    def encode_preamble(self) -> bytes:
        return b""

    def encode_events(self, batch: Batch) -> bytes:
        said = [msgspec.json.decode(one, type=TextDelta | ReplyCompleted) for one in batch.events]
        return b"".join(b"%b\n" % one.text.encode() for one in said if isinstance(one, TextDelta))

    def encode_ping(self) -> bytes:
        return b"\n"

    def encode_reset(self, event: Struct) -> bytes:
        return b"anew\n"

    def encode_reconnect(self) -> bytes:
        return b"again\n"


async def test_another_protocol_brings_its_encoder_and_hears_the_same_events() -> None:
    said = [TextDelta("one"), TextDelta("two"), ReplyCompleted("msg_1", "end")]
    batches = follow(Batch(1, [msgspec.json.encode(one) for one in said]), Batch(4, ()))
    socket = await ran(http_streams.EventStream(batches, streams=Streams(), encoder=JsonLines()))
    assert socket.bodies == [b"one\ntwo\n", b"\n", b""]
    assert dict(socket.sent[0]["headers"])[b"content-type"] == b"application/jsonl"


async def test_a_stream_says_retry_with_its_first_piece_and_ends_with_its_iterator() -> None:
    socket = await ran(EventStream(follow(Batch(1, [event("a")]), Batch(2, ())), streams=Streams()))
    assert socket.bodies == [RETRY + frames(Batch(1, [event("a")])), PING, b""]
    assert socket.ended
    headers = dict(socket.sent[0]["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"cache-control"] == b"no-cache"
    assert headers[b"x-accel-buffering"] == b"no"
    assert b"connection" not in headers


async def test_nothing_left_to_read_is_204() -> None:
    socket = await ran(EventStream(None, streams=Streams()))
    assert socket.sent[0]["status"] == 204
    assert socket.bodies == [b""]


@pytest.mark.parametrize("lost", [Beyond(), Trimmed()])
async def test_a_reader_who_knows_more_than_the_log_hears_everything_anew(lost: Exception) -> None:
    async def again() -> AsyncIterator[Batch]:
        return follow(Batch(1, [event("reply.completed")]))

    socket = await ran(EventStream(follow(then=lost), streams=Streams(), restart=Restart(LOG_LOST, again)))
    assert socket.bodies == [RETRY + RESET, frames(Batch(1, [event("reply.completed")])), b""]
    assert RESET.startswith(b'event: reply.reset\ndata: {"type":"reply.reset","reason":"')


@pytest.mark.parametrize("error", [Unavailable("secret"), ValueError("secret")])
async def test_a_stream_that_breaks_ends_without_a_word_of_why(error: Exception) -> None:
    socket = await ran(EventStream(follow(Batch(1, [event("a")]), then=error), streams=Streams()))
    assert socket.ended
    assert b"secret" not in b"".join(socket.bodies)


async def test_a_drain_ends_open_streams_and_those_that_come_later() -> None:
    streams, socket = Streams(), Socket()
    stream = EventStream(follow(Batch(1, [event("a")]), then=asyncio.Event()), streams=streams)
    running = asyncio.ensure_future(ran(stream, socket))
    while not socket.bodies:
        socket.wrote.clear()
        await socket.wrote.wait()
    assert len(streams) == 1
    streams.stop_all_streams()
    await running
    assert socket.bodies[-1] == RECONNECT
    assert socket.ended
    assert RECONNECT == b'event: reconnect\ndata: {"type":"reconnect"}\n\n'
    assert len(streams) == 0
    late = await ran(EventStream(follow(then=asyncio.Event()), streams=streams))
    assert late.bodies == [RETRY + RECONNECT]


async def test_a_stream_that_grew_old_asks_its_reader_to_come_again() -> None:
    socket = await ran(EventStream(follow(then=asyncio.Event()), streams=Streams(longest=0.01)))
    assert socket.bodies == [RETRY + RECONNECT]


async def test_no_stream_grows_older_than_it_may_and_those_that_came_together_do_not_end_together() -> None:
    streams, now = Streams(longest=600), asyncio.get_running_loop().time()
    ends = set[float]()
    for _ in range(200):
        async with streams.limit_stream_duration() as deadline:
            ends.add(round((deadline.when() or 0) - now))
    assert max(ends) <= 600 + 1
    assert min(ends) >= 480 - 1
    assert len(ends) > 20


async def test_a_stream_is_ten_minutes_old_at_most_unless_the_settings_say_otherwise() -> None:
    assert Settings().limits.stream_seconds == 600
    assert parse_environment({"NEXUS_LIMITS__STREAM_SECONDS": "30"}).limits.stream_seconds == 30


async def test_a_reader_that_leaves_ends_the_stream_and_closes_what_it_followed() -> None:
    closed = asyncio.Event()

    async def followed() -> AsyncIterator[Batch]:
        try:
            yield Batch(1, [event("a")])
            await asyncio.Event().wait()
        finally:
            closed.set()

    streams, socket = Streams(), Socket()
    running = asyncio.ensure_future(ran(EventStream(followed(), streams=streams), socket))
    while not socket.bodies:
        socket.wrote.clear()
        await socket.wrote.wait()
    socket.left.set()
    await running
    assert closed.is_set()
    assert len(streams) == 0


async def test_a_reader_that_takes_nothing_does_not_hold_up_a_drain() -> None:
    streams, socket = Streams(), Socket(full=True)
    running = asyncio.ensure_future(ran(EventStream(follow(), streams=streams), socket))
    await socket.wrote.wait()
    while not socket.bodies:
        await asyncio.sleep(0)
    streams.stop_all_streams()
    await running
    assert len(streams) == 0


async def test_being_cancelled_is_not_taken_for_a_reader_that_left() -> None:
    socket = Socket()
    stream = EventStream(follow(then=asyncio.Event()), streams=Streams())
    running = asyncio.ensure_future(stream({"type": "http"}, socket.receive, socket.send))
    await socket.wrote.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
