"""Server-sent events: how browsers read a stream."""

import msgspec
from msgspec import Struct

from nexus.domain.core.streams import Batch
from nexus.wire.events import Reconnect


class _Tagged(Struct):
    type: str


_decode = msgspec.json.Decoder(_Tagged).decode


class ServerSentEvents:
    """`id` is the position, `event` the tag, `data` the event."""

    media_type = "text/event-stream; charset=utf-8"

    def open(self) -> bytes:
        return b"retry: 2000\n\n"

    def frames(self, batch: Batch) -> bytes:
        return b"".join([b"id: %d\n%b" % (at, _encode(event)) for at, event in enumerate(batch.events, batch.first)])

    def ping(self) -> bytes:
        return b": ping\n\n"

    def reset(self, event: Struct) -> bytes:
        return _encode(msgspec.json.encode(event))

    def reconnect(self) -> bytes:
        return _encode(msgspec.json.encode(Reconnect()))


def _encode(event: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (_decode(event).type.encode(), event)
