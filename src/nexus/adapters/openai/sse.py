"""Server-sent events out of raw reads."""

from nexus.domain.core.errors import Unavailable

_LONGEST_EVENT = 4 * 1024 * 1024
_DONE = b"[DONE]"


class Splitter:
    """Bytes in, as the network cut them; the `data` of whole events out. An event that never ends in a blank line is none.

    `done` is true once `[DONE]` came: what follows it is not looked at.
    """

    __slots__ = ("_held", "_rest", "_started", "done")

    def __init__(self) -> None:
        self.done = False
        self._rest = bytearray()
        self._held = False
        self._started = False

    def feed(self, piece: bytes) -> list[bytes]:
        """The payloads that `piece` completed, without empty ones. Unavailable when one event grows beyond all bounds."""
        if self.done or not piece:
            return []
        searched = max(len(self._rest) - 1, 0)
        self._rest += self._with_line_feeds(piece)
        if not self._started:
            if not self._past_the_mark():
                return []
            searched = 0
        end = self._rest.rfind(b"\n\n", searched)
        if end < 0:
            if len(self._rest) > _LONGEST_EVENT:
                raise Unavailable("The model provider sent an event that does not end.")
            return []
        whole = bytes(self._rest[:end])
        del self._rest[: end + 2]
        return self._payloads(whole)

    def _with_line_feeds(self, piece: bytes) -> bytes:
        """Lines may end in CRLF, LF or CR. A CR at the very end waits: its LF may be the next byte."""
        if self._held:
            piece = b"\r" + piece
            self._held = False
        if b"\r" not in piece:
            return piece
        if piece.endswith(b"\r"):
            piece, self._held = piece[:-1], True
        return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _past_the_mark(self) -> bool:
        """Drops a byte order mark at the start of the stream; False while it is not all here."""
        mark = b"\xef\xbb\xbf"
        if len(self._rest) < len(mark) and mark.startswith(self._rest):
            return False
        if self._rest.startswith(mark):
            del self._rest[: len(mark)]
        self._started = True
        return True

    def _payloads(self, events: bytes) -> list[bytes]:
        found = []
        for event in events.split(b"\n\n"):
            payload = event[6:] if event.startswith(b"data: ") and b"\n" not in event else _joined_lines(event)
            if payload == _DONE:
                self.done = True
                break
            if payload:
                found.append(payload)
        return found


def _joined_lines(event: bytes) -> bytes:
    return b"\n".join(_value(line) for line in event.split(b"\n") if line == b"data" or line.startswith(b"data:"))


def _value(line: bytes) -> bytes:
    value = line[5:]
    return value[1:] if value.startswith(b" ") else value
