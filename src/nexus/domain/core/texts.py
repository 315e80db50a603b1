"""How long a text is, in the ways that matter here, and how it is shown where it could steer a display."""

import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches

import msgspec

from nexus.domain.core.errors import InvalidInput

_STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of characters that move a cursor, colour a terminal, turn the reading direction or break a line."""
_UNSEEN = (*_STEERING, "Zs")
_EMPTY = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and signs whose glyph is empty: fillers of Hangul, the Braille pattern without dots."""
_JOINERS = "\u200c\u200d"
"""Of these, what scripts and emoji need."""
_CONTROLS = ("Cc", "Zl", "Zp")


def is_cjk(character: str) -> bool:
    return (
        "\u2e80" <= character <= "\u9fff"
        or "\uac00" <= character <= "\ud7af"
        or "\uf900" <= character <= "\ufaff"
        or character >= "\U00020000"
    )


def estimate_tokens(text: str) -> int:
    """About how many tokens a model sees in it: a CJK character is one, four others are one."""
    wide = sum(map(is_cjk, text))
    return wide + (len(text) - wide + 3) // 4


def truncate_to_bytes(text: str, most: int) -> str:
    """The text, cut so that it takes at most so many bytes where it is stored: as JSON, without the quotes."""
    encoded = msgspec.json.encode(text.encode(errors="replace").decode())
    if len(encoded) - 2 <= most:
        return text
    for end in range(most - 2, most - 8, -1):  # the last character, or its escape, may be cut in two
        with suppress(ValueError):
            return str(msgspec.json.decode(encoded[:end] + b'"')) + "…"
    raise AssertionError("six bytes hold every escape")


def check_message_text(text: str, pointer: str = "/content") -> None:
    """InvalidInput where nothing of it can be seen: blanks of any width, control and format characters, empty glyphs."""
    if _is_invisible(text):
        message = "A message says something: this one has blanks alone."
        raise InvalidInput(message, errors=[{"pointer": pointer, "message": message}])


def check_name(name: str, pointer: str) -> None:
    """InvalidInput for a name of people's things of which nothing can be seen, or which is no single line of text."""
    if _is_invisible(name) or any(unicodedata.category(one) in _CONTROLS for one in name):
        message = "A name is one line that can be seen, without control characters."
        raise InvalidInput(message, errors=[{"pointer": pointer, "message": message}])


def _is_invisible(text: str) -> bool:
    return all(unicodedata.category(one) in _UNSEEN or one in _EMPTY or "\ufe00" <= one <= "\ufe0f" for one in text)


def format_plural_count(number: int, noun: str) -> str:
    """`1 case`, `2 cases`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def escape_controls(text: str) -> str:
    """The text with control, bidi and lone surrogate characters as `\\x1b` or `\\u202e`; line feeds and tabs stay."""
    if text.isprintable():
        return text
    return "".join(_escape_character(one) if one not in "\n\t" + _JOINERS else one for one in text)


def find_nearest_word(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    return next(iter(get_close_matches(name[:100], list(known), n=1)), None)


def make_single_line(text: str) -> str:
    """The text on one line, blanks joined, control characters escaped."""
    return escape_controls(" ".join(text.split()))


def _escape_character(character: str) -> str:
    if unicodedata.category(character) not in _STEERING:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
