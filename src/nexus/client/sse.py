"""Server-sent events out of bytes, however they were cut."""

from collections.abc import Iterator

from msgspec import Struct

MOST_BYTES = 16 * 1024 * 1024
"""More than any line or event of an honest server: what exceeds it is not read into memory."""

LINE_BYTES = 16
"""What a line takes in memory beside its text."""


class TooLong(ValueError):
    """A line or an event without an end."""


class Frame(Struct, frozen=True):
    """One event as it was sent; `id` only where the event itself named one."""

    event: str
    data: str
    id: str | None = None


class Parser:
    """Feed it chunks; it answers with the frames that they complete. `retry`: the pause the server wishes, in seconds;
    `pings`: how many comments came, which say no more than that the stream lives."""

    def __init__(self) -> None:
        self.retry: float | None = None
        self.pings = 0
        self._id: str | None = None
        self._event = ""
        self._lines = list[str]()
        self._gathered = 0
        self._rest = bytearray()
        self._after_return = False
        self._first = True

    def parse_sse_chunk(self, chunk: bytes) -> list[Frame]:
        frames = [frame for line in self._split_lines(chunk) if (frame := self._handle_line(line)) is not None]
        if self._gathered + len(self._rest) > MOST_BYTES:
            raise TooLong(f"The stream sent more than {MOST_BYTES} bytes without an end.")
        return frames

    def _split_lines(self, chunk: bytes) -> Iterator[str]:
        """The lines that end in this chunk. A line feed that opens it may belong to a return that closed the last one."""
        if self._after_return and chunk:
            chunk, self._after_return = chunk.removeprefix(b"\n"), False
        for line in chunk.splitlines(keepends=True):
            self._rest += line
            if line.endswith((b"\r", b"\n")):
                yield self._decode_line(bytes(self._rest).rstrip(b"\r\n"))
                self._rest.clear()
        self._after_return = self._after_return or chunk.endswith(b"\r")

    def _decode_line(self, line: bytes) -> str:
        text = line.decode("utf-8", errors="replace")
        if self._first:
            text, self._first = text.removeprefix("\ufeff"), False
        return text

    def _handle_line(self, line: str) -> Frame | None:
        if not line:
            return self._finish_frame()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "":
                self.pings += 1
            case "data":
                self._lines.append(value)
                self._gathered += len(value) + LINE_BYTES
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdecimal() and len(value) < 10:
                self.retry = int(value) / 1000
        return None

    def _finish_frame(self) -> Frame | None:
        frame = Frame(self._event or "message", "\n".join(self._lines), self._id) if self._lines else None
        self._event, self._lines, self._gathered, self._id = "", [], 0, None
        return frame
