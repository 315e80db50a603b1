"""What a function returned, as JSON; and what went wrong, as one line in the program's own words."""

import json
import math
import os
import sys
from types import TracebackType
from typing import Any

LONGEST_ERROR = 2000
DEEPEST_VALUE = 64
PLACE = "_nexus_place"
"""The attribute of an exception that came out of another process: where it was raised there."""


def encode_json(value: Any) -> bytes:
    """Text that holds half a character loses it: nobody could store or send it."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def write_line(pipe: int, line: bytes) -> None:
    line += b"\n"
    while line:
        line = line[os.write(pipe, line) :]


def convert_to_json(value: Any, depth: int = 0) -> Any:
    """Dataclasses become objects, sets and tuples lists, Decimal and dates text; TypeError for what has no sensible form."""
    if depth > DEEPEST_VALUE:
        raise TypeError(f"the result is nested more than {DEEPEST_VALUE} deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, dict):
        return {_convert_key_to_string(key): convert_to_json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [convert_to_json(item, depth + 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return [convert_to_json(item, depth + 1) for item in _sort_values(value)]
    fields = getattr(type(value), "__dataclass_fields__", None)
    if fields is not None:
        return {name: convert_to_json(getattr(value, name), depth + 1) for name in fields}
    return _convert_scalar(value, depth)


def _convert_scalar(value: Any, depth: int) -> Any:
    kinds = {kind.__name__ for kind in type(value).__mro__}
    if "Enum" in kinds:
        return convert_to_json(value.value, depth + 1)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"the result holds {value}, which JSON has no word for")
        return float(value)
    if kinds & {"date", "time"}:
        return value.isoformat()
    if kinds & {"Decimal", "UUID", "PurePath", "Fraction"}:
        return str(value)
    raise TypeError(f"the result holds a {type(value).__name__}, which is not JSON")


def _convert_key_to_string(key: Any) -> str:
    if isinstance(key, str):
        return str(key)
    plain = _convert_scalar(key, 0) if not isinstance(key, (bool, type(None))) else json.dumps(key)
    return plain if isinstance(plain, str) else json.dumps(plain)


def _sort_values(values: Any) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=repr)


def format_error(error: BaseException, root: str) -> str:
    """`ValueError: too small (tools/vat.py, line 12)`; paths of the machine do not appear."""
    place = vars(error).get(PLACE) or format_error_location(error, root)
    said = str(error.msg) if isinstance(error, SyntaxError) else format_error_text(error)
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return shorten_text(text.replace(f"{root}/", "").replace(sys.base_prefix + "/lib/", ""), LONGEST_ERROR) + place


def shorten_text(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def format_error_text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as failure:
        return f"(its text could not be made: {type(failure).__name__})"


def format_error_location(error: BaseException, root: str) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        path, line = error.filename, error.lineno
    else:
        path, line = _find_traceback_line(error.__traceback__, root)
    if not path.startswith(root + "/"):
        return ""
    return f" ({path[len(root) + 1 :]}, line {line})"


def _find_traceback_line(step: TracebackType | None, root: str) -> tuple[str, int]:
    """The last line of the program itself that the error came through."""
    found = ("", 0)
    while step is not None:
        path = step.tb_frame.f_code.co_filename
        if path.startswith(root + "/"):
            found = (path, step.tb_lineno)
        step = step.tb_next
    return found
