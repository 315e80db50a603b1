"""Text that is safe on a terminal."""

import re

_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and newline, C1 among them
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u206a-\u206f\ufff9-\ufffb"  # what turns the direction, or hides text in text
    "\u2028\u2029\ud800-\udfff]"  # separators of lines, and halves of characters, which no stream takes
)
_LOOKALIKES = {"\u2028": "\n", "\u2029": "\n"}


def remove_control_chars(text: str) -> str:
    """Without what would move the cursor, recolour the terminal or turn the reading direction; halves of characters become `�`."""
    return _STEERING.sub(_replace_control_char, text)


def _replace_control_char(found: re.Match[str]) -> str:
    character = found.group()
    return "\ufffd" if "\ud800" <= character <= "\udfff" else _LOOKALIKES.get(character, "")


def escape_json_controls(document: str, *, ascii_only: bool = False) -> str:
    """The same JSON, with escapes for what would steer a terminal; `ascii_only`: for all that is not ASCII."""
    if ascii_only:
        return re.sub(r"[^\n\x20-\x7e]", _make_unicode_escape, document)
    return _STEERING.sub(_make_unicode_escape, document)


def _make_unicode_escape(found: re.Match[str]) -> str:
    units = found.group().encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def truncate_to_one_line(text: str, width: int = 200) -> str:
    """At most so many characters, on one line."""
    flat = " ".join(remove_control_chars(text).split())
    return flat if len(flat) <= width else f"{flat[: width - 1]}…"
