"""Server-sent events out of bytes, however they were cut."""

from msgspec import Struct

MOST_BYTES = 16 * 1024 * 1024
"""More than any line or event of an honest server: what exceeds it is not read into memory."""


class TooLong(ValueError):
    """A line or an event without an end."""


class Frame(Struct, frozen=True):
    """One event as it was sent; `id` is the last one that the stream named."""

    event: str
    data: str
    id: str | None = None


class Parser:
    """Feed it chunks; it answers with the frames that they complete. `retry`: the pause the server wishes, in seconds."""

    def __init__(self) -> None:
        self.retry: float | None = None
        self._id: str | None = None
        self._event = ""
        self._lines = list[str]()
        self._parts = list[bytes]()
        self._held = 0
        self._after_return = False
        self._first = True

    def feed(self, chunk: bytes) -> list[Frame]:
        frames = list[Frame]()
        for line in self._complete(chunk):
            if (frame := self._take(line)) is not None:
                frames.append(frame)
        return frames

    def _complete(self, chunk: bytes) -> list[str]:
        """The lines that end in this chunk. A line feed that opens it may belong to a return that closed the last one."""
        if self._after_return and chunk:
            chunk, self._after_return = chunk.removeprefix(b"\n"), False
        if not chunk:
            return []
        self._after_return = chunk.endswith(b"\r")
        *ended, last = chunk.splitlines(keepends=True) or [b""]
        if last.endswith((b"\r", b"\n")):
            ended, last = [*ended, last], b""
        found = list[str]()
        for line in ended:
            found.append(self._text(b"".join([*self._parts, line]).rstrip(b"\r\n")))
            self._parts.clear()
        if found:
            self._held = sum(map(len, self._lines))
        if last:
            self._parts.append(last)
            self._hold(len(last))
        return found

    def _text(self, line: bytes) -> str:
        text = line.decode("utf-8", errors="replace")
        if self._first:
            text, self._first = text.removeprefix("\ufeff"), False
        return text

    def _hold(self, more: int) -> None:
        self._held += more
        if self._held > MOST_BYTES:
            raise TooLong(f"The stream sent more than {MOST_BYTES} bytes without an end.")

    def _take(self, line: str) -> Frame | None:
        if not line:
            return self._dispatched()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "data":
                self._lines.append(value)
                self._hold(len(value))
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdecimal():
                self.retry = int(value) / 1000
        return None

    def _dispatched(self) -> Frame | None:
        event, lines = self._event or "message", self._lines
        self._event, self._lines, self._held = "", [], 0
        return Frame(event, "\n".join(lines), self._id) if lines else None
