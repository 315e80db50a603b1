"""What people hand in: texts on the command line, from a file and through a pipe, and what they type: lines with editing and history,
pasted texts and blocks as one, and commands."""

import re
import select
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from nexus.cli.exits import USAGE, Ended
from nexus.cli.output import Output

MOST_CHARACTERS = 200_000
PROMPT, GOES_ON = "> ", "… "
QUOTES = '"""'
PASTED_SECONDS = 0.03
"""How soon the next line of a pasted text comes, where the terminal does not mark it."""

Read = Callable[[str], str | None]
"""A line, without its end, after a prompt; None at the end of input."""


class Typed(NamedTuple):
    """A text, or the name of a command."""

    text: str
    command: str | None = None


def read_typed_entry(read: Read) -> Typed | None:
    """The next thing that is said; None at the end. What is quoted, or has several lines, is a text as it stands."""
    if (first := read(PROMPT)) is None:
        return None
    if first.lstrip().startswith(QUOTES):
        return Typed(_read_quoted_text(first.lstrip().removeprefix(QUOTES), read))
    if "\n" in first.strip():
        return Typed(first)
    line = first.strip()
    if re.match(r"[/／]{2}", line):
        return Typed(line[1:])
    if command := re.fullmatch(r"[/／]([\w?-]*)(\s.*)?", line):
        return Typed(line, command[1].casefold())
    return Typed(line)


def _read_quoted_text(text: str, read: Read) -> str:
    while not text.rstrip().endswith(QUOTES):
        if (line := read(GOES_ON)) is None:
            raise Ended(USAGE, f"A text that began with {QUOTES} has no {QUOTES} at its end; it was not sent.")
        text = f"{text}\n{line}"
    return text.rstrip().removesuffix(QUOTES)


def read_piped_entries(output: Output) -> Iterator[Typed]:
    """All of a stdin at which nobody sits."""
    while (one := read_typed_entry(lambda _: _read_stream_line(output.stdin))) is not None:
        yield one


def make_line_reader(output: Output) -> Read:
    """Reads from whoever sits at the terminal."""
    if not (output.stdin.isatty() and output.stdout.isatty()):
        return lambda prompt: _read_unedited_line(output, prompt)
    if _load_line_editing():
        return _read_edited_line
    return lambda prompt: _read_pasted_lines(_read_edited_line(prompt))


def _load_line_editing() -> bool:
    """Loads line editing and history; whether it also takes a pasted text as one line."""
    try:
        import readline
    except ImportError:
        return False
    if "libedit" in (readline.__doc__ or ""):
        return False
    readline.parse_and_bind("set enable-bracketed-paste on")
    return True


def _read_edited_line(prompt: str) -> str | None:
    try:
        return input(prompt)
    except EOFError:
        sys.stdout.write("\n")
        return None


def _read_pasted_lines(line: str | None) -> str | None:
    """Lines that are there at once belong together."""
    while line is not None and select.select([sys.stdin], [], [], PASTED_SECONDS)[0] and (more := sys.stdin.readline()):
        line = f"{line}\n{more.removesuffix(chr(10))}"
    return line


def _read_unedited_line(output: Output, prompt: str) -> str | None:
    output.stderr.write(prompt)
    output.stderr.flush()
    return _read_stream_line(output.stdin)


def _read_stream_line(source: TextIO) -> str | None:
    line = source.readline()
    return line.removesuffix("\n") if line else None


def read_text_or_stdin(text: str, output: Output) -> str:
    """The text itself; `-` stands for what comes through stdin."""
    return strip_and_check_text(output.stdin.read(MOST_CHARACTERS + 1) if text == "-" else text)


def read_file_or_stdin(path: str, output: Output) -> str:
    """The text of a file; `-` stands for stdin."""
    if path == "-":
        return read_text_or_stdin(path, output)
    try:
        with Path(path).open(encoding="utf-8") as file:
            return strip_and_check_text(file.read(MOST_CHARACTERS + 1))
    except OSError as error:
        raise Ended(USAGE, f"{path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise Ended(USAGE, f"{path} is not UTF-8 text.") from error


def strip_and_check_text(text: str) -> str:
    """Without white space around it. Ended for nothing at all, for too much, and for bytes that are no text."""
    if not text.strip():
        raise Ended(USAGE, "There is no text.")
    if len(text) > MOST_CHARACTERS:
        raise Ended(USAGE, f"The text is longer than {MOST_CHARACTERS} characters.")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Ended(USAGE, "The text is not UTF-8.")
    return text.strip()
