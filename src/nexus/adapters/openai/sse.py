"""Server-sent events out of raw reads."""

import codecs
import io

from nexus.domain.core.errors import Unavailable

_LONGEST_EVENT = 4 * 1024 * 1024
_DONE = b"[DONE]"


class Splitter:
    """Bytes in, as the network cut them; the `data` of whole events out. An event that never ends in a blank line is none.

    `done` is true once `[DONE]` came: what follows it is not looked at."""

    __slots__ = ("_decoder", "_rest", "done")

    def __init__(self) -> None:
        self.done = False
        self._rest = bytearray()
        bytes_and_mark = codecs.getincrementaldecoder("utf-8-sig")(errors="surrogateescape")
        self._decoder = io.IncrementalNewlineDecoder(bytes_and_mark, translate=True)

    def split_sse_payloads(self, piece: bytes) -> list[bytes]:
        """The payloads that `piece` completed, without empty ones. Unavailable when one event grows beyond all bounds."""
        if self.done:
            return []
        searched = max(len(self._rest) - 1, 0)
        self._rest += self._decoder.decode(piece).encode(errors="surrogateescape")
        end = self._rest.rfind(b"\n\n", searched)
        if end < 0:
            if len(self._rest) > _LONGEST_EVENT:
                raise Unavailable("The model provider sent an event that does not end.")
            return []
        whole = bytes(self._rest[:end])
        del self._rest[: end + 2]
        return self._extract_event_payloads(whole)

    def _extract_event_payloads(self, events: bytes) -> list[bytes]:
        found = []
        for event in events.split(b"\n\n"):
            payload = event[6:] if event.startswith(b"data: ") and b"\n" not in event else _join_data_lines(event)
            if payload == _DONE:
                self.done = True
                break
            if payload:
                found.append(payload)
        return found


def _join_data_lines(event: bytes) -> bytes:
    lines = (line for line in event.split(b"\n") if line == b"data" or line.startswith(b"data:"))
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines)
