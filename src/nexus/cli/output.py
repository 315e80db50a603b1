"""Where a command writes: results to stdout, progress and complaints to stderr, nothing that could steer a terminal."""

import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TextIO, TypeVar

T = TypeVar("T")
Columns = Mapping[str, Callable[[T], object]]

_STEERING = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
_STEERING |= dict.fromkeys((0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))


def printable(text: str) -> str:
    """Without what would move the cursor, recolour the terminal or turn the reading direction."""
    return text.translate(_STEERING)


def one_line(text: str, width: int = 200) -> str:
    flat = " ".join(printable(text).split())
    return flat if len(flat) <= width else f"{flat[: width - 1]}…"


def cells(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


@dataclass(frozen=True, kw_only=True)
class Output:
    """`terminal` and `err_terminal`: whether people look at it; None asks the streams."""

    stdin: TextIO | None = None
    stdout: TextIO | None = None
    stderr: TextIO | None = None
    json: bool = False
    interactive: bool | None = None

    @property
    def out(self) -> TextIO:
        return self.stdout or sys.stdout

    @property
    def err(self) -> TextIO:
        return self.stderr or sys.stderr

    @property
    def source(self) -> TextIO:
        return self.stdin or sys.stdin

    @property
    def is_interactive(self) -> bool:
        """Whether somebody types at the other end."""
        return self.source.isatty() if self.interactive is None else self.interactive

    def speaking(self, *, json: bool) -> "Output":
        return replace(self, json=json)

    def line(self, text: str = "") -> None:
        self.out.write(f"{printable(text)}\n")

    def text(self, piece: str) -> None:
        """A piece of text as it comes."""
        self.out.write(printable(piece))
        self.out.flush()

    def note(self, text: str) -> None:
        """For people who watch: never part of the result."""
        self.out.flush()
        self.err.write(f"{printable(text)}\n")
        self.err.flush()

    def dim(self, text: str) -> None:
        self.out.flush()
        shown = one_line(text)
        self.err.write(f"\x1b[2m{shown}\x1b[0m\n" if self.err.isatty() else f"{shown}\n")
        self.err.flush()

    def document(self, value: object) -> None:
        """The result as one JSON document."""
        import msgspec

        self.out.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")

    def json_line(self, value: object) -> None:
        import msgspec

        self.out.write(msgspec.json.encode(value).decode() + "\n")
        self.out.flush()

    def raw(self, content: bytes) -> None:
        """A file's content: as it is for programs, harmless for a terminal."""
        buffer = getattr(self.out, "buffer", None)
        if self.out.isatty() or buffer is None:
            self.out.write(printable(content.decode(errors="replace")))
            return
        self.out.flush()
        buffer.write(content)
        buffer.flush()

    def table(self, rows: Iterable[T], columns: Columns[T], *, empty: str) -> None:
        """Aligned columns; `empty` is said to people where there is no row."""
        shown = [[one_line(_word(value(row))) for value in columns.values()] for row in rows]
        if not shown:
            self.note(empty)
            return
        lines = [list(columns), *shown]
        widths = [max(cells(line[column]) for line in lines) for column in range(len(columns))]
        room = shutil.get_terminal_size().columns if self.out.isatty() else None
        for line in lines:
            self.line(_fitted(line, widths, room))

    def details(self, value: Mapping[str, object]) -> None:
        """One thing, a field a line; what is empty is left out."""
        present = {
            name.replace("_", " "): _word(field) for name, field in value.items() if field not in (None, "", [], {})
        }
        width = max(map(len, present), default=0)
        for name, field in present.items():
            first, *more = printable(field).splitlines() or [""]
            self.line(f"{name:<{width}}  {first}")
            for line in more:
                self.line(f"{'':<{width}}  {line}")

    def ask(self, prompt: str) -> str | None:
        """A line that somebody types; None at the end of input."""
        if self.stdin is None and self.source.isatty() and self.out.isatty():
            try:
                import readline  # noqa: F401
            except ImportError:
                pass
            try:
                return input(prompt)
            except EOFError:
                self.out.write("\n")
                return None
        self.err.write(prompt)
        self.err.flush()
        return self.source.readline() or None

    def flush(self) -> None:
        self.out.flush()
        self.err.flush()

    def abandon(self) -> None:
        """Nobody reads any more: what is still buffered goes nowhere, quietly."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.out.fileno())
        os.close(nowhere)


def _fitted(line: Sequence[str], widths: Sequence[int], room: int | None) -> str:
    text = "  ".join(field + " " * (width - cells(field)) for field, width in zip(line, widths, strict=True)).rstrip()
    if room is None or cells(text) <= room:
        return text
    while cells(text) >= room:
        text = text[:-1]
    return f"{text}…"


def _word(value: object) -> str:
    import msgspec

    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case list() if all(isinstance(item, str) for item in value):
            return ", ".join(value)
        case dict() | list():
            return msgspec.json.encode(value).decode()
    return str(value)
