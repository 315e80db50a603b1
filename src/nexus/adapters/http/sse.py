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

    def encode_preamble(self) -> bytes:
        return b"retry: 2000\n\n"

    def encode_events(self, batch: Batch) -> bytes:
        return b"".join(
            [b"id: %d\n%b" % (at, _encode_event(event)) for at, event in enumerate(batch.events, batch.first)]
        )

    def encode_ping(self) -> bytes:
        return b": ping\n\n"

    def encode_reset(self, event: Struct) -> bytes:
        return _encode_event(msgspec.json.encode(event))

    def encode_reconnect(self) -> bytes:
        return _encode_event(msgspec.json.encode(Reconnect()))


def _encode_event(event: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (_decode(event).type.encode(), event)
