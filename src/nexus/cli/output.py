"""Where a command writes: results to stdout, progress and complaints to stderr, nothing that could steer a terminal."""

import os
import shutil
import sys
from dataclasses import dataclass, field
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

from nexus.cli.terminal import escape_json, fit_line, make_printable

if TYPE_CHECKING:
    from msgspec import Struct

MARKS = {"ok": "✔", "warn": "!", "fail": "✘", True: "✔", False: "✘"}
"""What a check begins with: its state, or whether it passed."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """`interactive`: whether somebody types, `columns`: how wide the terminal is; None asks the streams. `verbatim`: texts of agents are
    shown as they are written."""

    stdin: TextIO = field(default_factory=lambda: sys.stdin)
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)
    json: bool = False
    verbatim: bool = False
    interactive: bool | None = None
    columns: int | None = None

    @property
    def is_interactive(self) -> bool:
        return self.stdin.isatty() if self.interactive is None else self.interactive

    def accept_any_text(self) -> None:
        """No text ends a command because a stream's encoding lacks it, or because what is read is none."""
        for stream in (self.stdout, self.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")
        if isinstance(self.stdin, TextIOWrapper):
            self.stdin.reconfigure(errors="surrogateescape")

    @property
    def formats(self) -> bool:
        """Whether Markdown is shown as what it means: to people, on a terminal that can."""
        is_able = self.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")
        return is_able and not (self.json or self.verbatim)

    def write_line(self, text: str = "") -> None:
        self.stdout.write(f"{make_printable(text)}\n")

    def write_check(self, state: str | bool, text: str, more: str | None = None) -> None:
        """How a check stands, and what there is `more` to say of it."""
        self.write_line(f"{MARKS[state]} {text}")
        if more:
            self.write_line(f"    {more}")

    def write_text(self, piece: str) -> None:
        """A piece of text as it comes."""
        self.stdout.write(make_printable(piece))
        self.stdout.flush()

    def add_note(self, text: str) -> None:
        """For people who watch: never part of the result."""
        self.stdout.flush()
        self.stderr.write(f"{make_printable(text)}\n")
        self.stderr.flush()

    def dim_text(self, text: str) -> None:
        self.stdout.flush()
        shown = fit_line(text)
        self.stderr.write(f"\x1b[2m{shown}\x1b[0m\n" if self.stderr.isatty() else f"{shown}\n")
        self.stderr.flush()

    @property
    def width_limit(self) -> int | None:
        """How many columns stdout has; None where it is no terminal."""
        if self.columns is not None:
            return self.columns
        return shutil.get_terminal_size().columns if self.stdout.isatty() else None

    def write_result(self, value: object, text: str) -> None:
        """The result: one JSON document for programs, the text for people."""
        if self.json:
            self.write_document(value)
        else:
            self.write_line(text)

    def write_document(self, value: object, *, indent: int | None = 2) -> None:
        """The result as one JSON document: as it is for programs; with escapes, which mean the same, where a terminal or another encoding
        shows it."""
        utf8 = (self.stdout.encoding or "utf-8").replace("-", "").casefold() == "utf8"
        document = _encode_json(value, indent)
        if self.width_limit is not None or not utf8:
            document = escape_json(document, ascii_only=not utf8)
        self.stdout.write(f"{document}\n")

    def json_line(self, value: object) -> None:
        self.write_document(value, indent=None)
        self.stdout.flush()

    def write_file(self, content: bytes) -> None:
        """A file's content: as it is for programs, harmless for a terminal."""
        buffer = getattr(self.stdout, "buffer", None)
        if self.stdout.isatty() or buffer is None:
            self.stdout.write(make_printable(content.decode(errors="replace")))
            return
        self.stdout.flush()
        buffer.write(content)
        buffer.flush()

    def write_details(self, view: "Struct", **more: list[str]) -> None:
        """One thing, a field a line for people; what is empty is left out. Of what there is `more` to tell, each entry is a line."""
        import msgspec

        fields = msgspec.structs.asdict(view)
        if self.json:
            self.write_document(fields | more)
            return
        fields |= {name: "\n".join(lines) for name, lines in more.items()}
        present = {name: format_words(value) for name, value in fields.items() if value not in (None, "", [], {})}
        width = max(map(len, present), default=0)
        for name, text in present.items():
            for number, line in enumerate(make_printable(text).splitlines() or [""]):
                self.write_line(f"{'' if number else name.replace('_', ' '):<{width}}  {line}")

    def flush(self) -> None:
        self.stdout.flush()
        self.stderr.flush()

    def discard_rest(self) -> None:
        """Nobody reads any more: what is still buffered goes nowhere, quietly."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.stdout.fileno())
        os.close(nowhere)


def _encode_json(value: object, indent: int | None) -> str:
    """JSON on one line, or indented."""
    import msgspec

    try:
        return msgspec.json.format(msgspec.json.encode(value), indent=indent or -1).decode()
    except UnicodeEncodeError:  # half a character, from the name of a file or an argument
        import json

        return json.dumps(msgspec.to_builtins(value), indent=indent)


def format_words(value: object) -> str:
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
