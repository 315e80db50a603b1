"""Texts that people hand in: on the command line, from a file, through a pipe."""

from pathlib import Path

from nexus.cli.exits import USAGE, Ended
from nexus.cli.output import Output

MOST_CHARACTERS = 200_000


def message_of(text: str, output: Output) -> str:
    """The text itself; `-` stands for what comes through stdin."""
    return check_text(output.stdin.read(MOST_CHARACTERS + 1) if text == "-" else text)


def content_of(path: str, output: Output) -> str:
    """The text of a file; `-` stands for stdin."""
    if path == "-":
        return message_of(path, output)
    try:
        with Path(path).open(encoding="utf-8") as file:
            return check_text(file.read(MOST_CHARACTERS + 1))
    except OSError as error:
        raise Ended(USAGE, f"{path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise Ended(USAGE, f"{path} is not UTF-8 text.") from error


def check_text(text: str) -> str:
    """Without white space around it. Ended for nothing at all, for too much, and for bytes that are no text."""
    if not text.strip():
        raise Ended(USAGE, "There is no text.")
    if len(text) > MOST_CHARACTERS:
        raise Ended(USAGE, f"The text is longer than {MOST_CHARACTERS} characters.")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Ended(USAGE, "The text is not UTF-8.")
    return text.strip()
