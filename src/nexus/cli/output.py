"""Where a command writes: results to stdout, progress and complaints to stderr, nothing that could steer a terminal."""

import os
import shutil
import sys
from dataclasses import dataclass, field
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

from nexus.cli.terminal import escape_json_controls, remove_control_chars, truncate_to_one_line

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

    def ignore_encoding_errors(self) -> None:
        """No text ends a command because a stream's encoding lacks it, or because what is read is none."""
        for stream in (self.stdout, self.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")
        if isinstance(self.stdin, TextIOWrapper):
            self.stdin.reconfigure(errors="surrogateescape")

    @property
    def is_markdown_rendered(self) -> bool:
        """Whether Markdown is shown as what it means: to people, on a terminal that can."""
        is_able = self.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")
        return is_able and not (self.json or self.verbatim)

    def write_line(self, text: str = "") -> None:
        self.stdout.write(f"{remove_control_chars(text)}\n")

    def write_check_result(self, state: str | bool, text: str, more: str | None = None) -> None:
        """How a check stands, and what there is `more` to say of it."""
        self.write_line(f"{MARKS[state]} {text}")
        if more:
            self.write_line(f"    {more}")

    def write_text(self, piece: str) -> None:
        """A piece of text as it comes."""
        self.stdout.write(remove_control_chars(piece))
        self.stdout.flush()

    def write_note(self, text: str) -> None:
        """For people who watch: never part of the result."""
        self.stdout.flush()
        self.stderr.write(f"{remove_control_chars(text)}\n")
        self.stderr.flush()

    def write_dimmed_line(self, text: str) -> None:
        self.stdout.flush()
        shown = truncate_to_one_line(text)
        self.stderr.write(f"\x1b[2m{shown}\x1b[0m\n" if self.stderr.isatty() else f"{shown}\n")
        self.stderr.flush()

    @property
    def terminal_width(self) -> int | None:
        """How many columns stdout has; None where it is no terminal."""
        if self.columns is not None:
            return self.columns
        return shutil.get_terminal_size().columns if self.stdout.isatty() else None

    def write_result(self, value: object, text: str) -> None:
        """The result: one JSON document for programs, the text for people."""
        if self.json:
            self.write_json_document(value)
        else:
            self.write_line(text)

    def write_json_document(self, value: object, *, indent: int | None = 2) -> None:
        """The result as one JSON document: as it is for programs; with escapes, which mean the same, where a terminal or another encoding
        shows it."""
        utf8 = (self.stdout.encoding or "utf-8").replace("-", "").casefold() == "utf8"
        document = _format_json(value, indent)
        if self.terminal_width is not None or not utf8:
            document = escape_json_controls(document, ascii_only=not utf8)
        self.stdout.write(f"{document}\n")

    def write_json_line(self, value: object) -> None:
        self.write_json_document(value, indent=None)
        self.stdout.flush()

    def write_file_content(self, content: bytes) -> None:
        """A file's content: as it is for programs, harmless for a terminal."""
        buffer = getattr(self.stdout, "buffer", None)
        if self.stdout.isatty() or buffer is None:
            self.stdout.write(remove_control_chars(content.decode(errors="replace")))
            return
        self.stdout.flush()
        buffer.write(content)
        buffer.flush()

    def write_object_fields(self, view: "Struct", **more: list[str]) -> None:
        """One thing, a field a line for people; what is empty is left out. Of what there is `more` to tell, each entry is a line."""
        import msgspec

        fields = msgspec.structs.asdict(view)
        if self.json:
            self.write_json_document(fields | more)
            return
        fields |= {name: "\n".join(lines) for name, lines in more.items()}
        present = {name: format_field_value(value) for name, value in fields.items() if value not in (None, "", [], {})}
        width = max(map(len, present), default=0)
        for name, text in present.items():
            for number, line in enumerate(remove_control_chars(text).splitlines() or [""]):
                self.write_line(f"{'' if number else name.replace('_', ' '):<{width}}  {line}")

    def flush(self) -> None:
        self.stdout.flush()
        self.stderr.flush()

    def discard_buffered_output(self) -> None:
        """Nobody reads any more: what is still buffered goes nowhere, quietly."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.stdout.fileno())
        os.close(nowhere)


def _format_json(value: object, indent: int | None) -> str:
    """JSON on one line, or indented."""
    import msgspec

    try:
        return msgspec.json.format(msgspec.json.encode(value), indent=indent or -1).decode()
    except UnicodeEncodeError:  # half a character, from the name of a file or an argument
        import json

        return json.dumps(msgspec.to_builtins(value), indent=indent)


def format_field_value(value: object) -> str:
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
