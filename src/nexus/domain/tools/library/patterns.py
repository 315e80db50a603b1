"""What can be found in a text by its form."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from nexus.domain.tools.library.numbers import check_count
from nexus.domain.tools.library.words import check_size
from nexus.domain.tools.model import ToolError

if TYPE_CHECKING:
    import regex

_SECONDS = 2.0
_MOST_FOUND = 1000
_LONGEST_PATTERN = 500
_MOST_REPEATS = 10_000
_LONGEST_SEARCHED = 200_000
_REPEAT = re.compile(r"\{(\d*)(?:,(\d*))?\}")
_UNBOUNDED = re.compile(r"\(\?(?:R|[+-]?\d|&|P>|\(DEFINE)|\{(?=[^}]*[eids])[eids<>=,+\d\s]*[}:]|\\L<")
_LINES = 500
Kind = Literal["email", "url", "ipv4", "date", "time", "number", "phone", "uuid", "log_level"]

_FORMS: Mapping[str, str] = {
    "email": r"(?<![\w.+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}(?![A-Za-z0-9-])",
    "url": r"\b(?:https?|ftp)://[^\s\u3000<>\"'`，。；、！？）】》”’]+",
    "ipv4": r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d]|\.\d)",
    "date": r"(?<!\d)(?:\d{4}-\d{1,2}-\d{1,2}|\d{4}/\d{1,2}/\d{1,2}|\d{4}\.\d{1,2}\.\d{1,2}|\d{4}年\d{1,2}月\d{1,2}[日号]?|\d{1,2}[/.]\d{1,2}[/.]\d{4})(?!\d)"
    r"|\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.? \d{1,2}(?:st|nd|rd|th)?,? \d{4}\b",
    "time": r"(?<![\d:])(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d{1,6})?)?(?:\s?[AaPp][Mm]\b)?(?![\d:])",
    "number": r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][+-]?\d+)?%?(?![A-Za-z_]|\.?\d)",
    "phone": r"(?<![\w.-])(?:\+\d{1,3}[ -]?)?(?:\(\d{2,4}\)[ -]?)?\d{2,4}(?:[ -]?\d{2,4}){1,4}(?![\w]|\.\d)",
    "uuid": r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b",
    "log_level": r"\b(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL|SEVERE)\b",
}
_DISGUISED = ("date", "ipv4", "uuid", "time", "url")
"""What has the digits of a phone number and is none."""
_LEVELS = ("TRACE", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL")
_SAME_LEVEL = {"WARN": "WARNING", "FATAL": "CRITICAL", "SEVERE": "CRITICAL", "ERR": "ERROR"}
_LEVEL = re.compile(
    r"\b(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERR(?:OR)?|CRITICAL|FATAL|SEVERE)\b", re.IGNORECASE | re.ASCII
)
_STAMP = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})?|\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4}|[A-Z][a-z]{2} +\d{1,2} \d{2}:\d{2}:\d{2}")  # fmt: skip


def extract_pattern(text: str, pattern: str, group: int = 0, ignore_case: bool = False) -> dict[str, Any]:
    """Finds all places of a text that match a regular expression.

    Args:
        text: The text to search.
        pattern: The regular expression, in Python's syntax.
        group: Which group of the pattern to list; 0 is the whole match.
        ignore_case: Whether upper and lower case are the same.
    """
    text, compiled = check_size(text, _LONGEST_SEARCHED), _compile_user_pattern(pattern, ignore_case)
    if not 0 <= group <= compiled.groups:
        raise ToolError(f"The pattern has groups 0 to {compiled.groups}, there is no group {group}.")
    found = [(match.group(group) or "", *match.span(group)) for match in _find_all_matches(compiled, text)]
    return _make_matches_result([{"match": match, "start": start, "end": end} for match, start, end in found], "match")


def extract_entities(text: str, kind: Kind) -> dict[str, Any]:
    """Lists the email addresses, web addresses, IPv4 addresses, dates, times, numbers, phone numbers, UUIDs or log levels in a text.

    Args:
        text: The text to search.
        kind: What to look for.
    """
    if kind not in _FORMS:
        raise ToolError(f"kind must be one of {', '.join(_FORMS)}.")
    text = check_size(text)
    for other in _DISGUISED if kind == "phone" else ():
        text = _compile_entity_pattern(other).sub(lambda found: "\n" * len(found[0]), text)
    entities: dict[str, dict[str, Any]] = {}
    for match in _find_all_matches(_compile_entity_pattern(kind), text):
        value = _strip_url_punctuation(match.group()) if kind == "url" else match.group()
        if not _CHECKS.get(kind, bool)(value):
            continue
        entity = entities.setdefault(value, {"value": value, "count": 0, "start": match.start()})
        entity["count"] += 1
    return {"kind": kind, **_make_matches_result(list(entities.values()), "value")}


def parse_log_lines(text: str, level: str = "", contains: str = "", limit: int = 100) -> dict[str, Any]:
    """Reads log lines (plain or JSON): time, level and message of each, how many there are of each level, and those that are asked for.

    Lines without a time or level of their own, such as stack traces, belong to the entry before.

    Args:
        text: The log.
        level: The least level to list: debug, info, warning, error or critical. Empty lists all.
        contains: Only entries that hold this text, whatever its case.
        limit: How many entries to list, at most 500.
    """
    least = _normalize_log_level(level) if level.strip() else ""
    if level.strip() and least not in _LEVELS:
        raise ToolError(f"level must be one of {', '.join(name.lower() for name in _LEVELS)}.")
    check_count(limit, "limit", _LINES)
    entries = _parse_log_entries(check_size(text))
    sought = contains.lower()
    wanted = [
        entry for entry in entries if _is_log_level_at_least(entry["level"], least) and sought in entry["line"].lower()
    ]
    return {
        "entries": wanted[:limit],
        "matching": len(wanted),
        "total": len(entries),
        "levels": dict(Counter(entry["level"] or "none" for entry in entries)),
        "text": "\n".join(entry["line"] for entry in wanted[:limit]) or "No entry matches.",
    }


@cache
def _compile_entity_pattern(kind: str) -> "regex.Pattern[str]":
    import regex  # not above: see _compiled

    return regex.compile(_FORMS[kind], regex.ASCII)


def _compile_user_pattern(pattern: str, ignore_case: bool) -> "regex.Pattern[str]":
    """Repeats of repeats, recursion and fuzzy matching are refused: unbounded, compiling alone could take all memory."""
    if not 0 < len(pattern) <= _LONGEST_PATTERN:
        raise ToolError(f"A pattern has from 1 to {_LONGEST_PATTERN} characters.")
    counts = [max(int(count or 0) for count in repeat) for repeat in _REPEAT.findall(pattern)]
    if math.prod(max(1, count) for count in counts) > _MOST_REPEATS:
        raise ToolError(f"The pattern repeats more than {_MOST_REPEATS} times; make it simpler.")
    if _UNBOUNDED.search(pattern):
        raise ToolError("Recursion and fuzzy matching are not possible in a pattern.")
    import regex  # not above: a start would wait 70 ms for what most servers never search

    try:
        return regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)
    except (regex.error, RecursionError, OverflowError, ValueError) as error:
        raise ToolError(f"The pattern is not a regular expression: {error}") from None


def _find_all_matches(compiled: "regex.Pattern[str]", text: str) -> list["regex.Match[str]"]:
    """All matches, the first thousand; a pattern that takes too long is stopped."""
    found: list[regex.Match[str]] = []
    try:
        for match in compiled.finditer(text, timeout=_SECONDS, concurrent=True):
            found.append(match)
            if len(found) >= _MOST_FOUND:
                break
    except TimeoutError:
        raise ToolError("The pattern takes too long on this text; make it simpler.") from None
    return found


def _make_matches_result(found: list[dict[str, Any]], field: str) -> dict[str, Any]:
    shown = "\n".join(str(one[field]) for one in found[:100])
    return {"matches": found, "count": len(found), "text": shown or "Nothing was found."}


def _strip_url_punctuation(value: str) -> str:
    """Without the punctuation of the sentence around it."""
    value = value.rstrip(".,;:!?")
    while value.endswith(")") and value.count(")") > value.count("("):
        value = value[:-1].rstrip(".,;:!?")
    return value


def _is_ipv4(value: str) -> bool:
    return all(part == str(int(part)) and int(part) < 256 for part in value.split("."))


def _is_calendar_date(value: str) -> bool:
    """Numeric dates must be in the calendar; day and month may stand either way round where the year is last."""
    numbers = [int(number) for number in re.findall(r"\d+", value)]
    if len(numbers) != 3:
        return True
    first, middle, last = numbers
    for day in ((first, middle, last), (last, middle, first), (last, first, middle)):
        try:
            return bool(date(*day))
        except ValueError:
            continue
    return False


def _is_phone_number(value: str) -> bool:
    return 7 <= sum(character.isdigit() for character in value) <= 15


_CHECKS: Mapping[str, Callable[[str], bool]] = {"ipv4": _is_ipv4, "date": _is_calendar_date, "phone": _is_phone_number}


def _parse_log_entries(text: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    lines: list[list[str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        entry = _parse_json_log_line(line) or _parse_plain_log_line(line)
        if entries and not entry["time"] and not entry["level"] and (line[0].isspace() or entries[-1]["time"]):
            lines[-1].append(line)
        else:
            entries.append({"number": number, **entry})
            lines.append([line])
    return [{**entry, "line": "\n".join(own)} for entry, own in zip(entries, lines, strict=True)]


def _parse_plain_log_line(line: str) -> dict[str, str]:
    stamp = _STAMP.search(line[:200])
    level = _LEVEL.search(line[:300])
    ends = max(stamp.end() if stamp else 0, level.end() if level else 0)
    return {
        "time": stamp.group() if stamp else "",
        "level": _normalize_log_level(level.group()) if level else "",
        "message": line[ends:].strip(" ]:-|\t"),
    }


def _parse_json_log_line(line: str) -> dict[str, str] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    found = {
        field: next((str(entry[name]) for name in names if entry.get(name) is not None), "")
        for field, names in _FIELDS.items()
    }
    return found | {"level": _normalize_log_level(found["level"])}


_FIELDS = {
    "time": ("time", "timestamp", "ts", "@timestamp"),
    "level": ("level", "severity", "levelname", "log_level"),
    "message": ("message", "msg", "event"),
}


def _normalize_log_level(text: str) -> str:
    upper = text.strip().upper()
    return _SAME_LEVEL.get(upper, upper)


def _is_log_level_at_least(level: str, least: str) -> bool:
    return not least or (level in _LEVELS and _LEVELS.index(level) >= _LEVELS.index(least))
