"""A model's arguments, held against the JSON schema of a tool."""

import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from nexus.domain.core.values import JSON
from nexus.domain.ports.models import ToolSpec
from nexus.domain.tools.model import ToolError

MOST = 200_000
_SHOWN = 200
_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "是": True, "否": False}


class _Wrong(Exception):
    """One value that does not fit: where, and a sentence."""

    def __init__(self, pointer: str, message: str) -> None:
        self.pointer, self.message = pointer, message


def parse_tool_arguments(spec: ToolSpec, text: str) -> JSON:
    """The arguments that a model wrote as JSON, checked and coerced. ToolError says everything that is wrong."""
    if len(text) > MOST:
        raise ToolError(f"The arguments of {spec.name} are longer than {MOST} characters.")
    try:
        value = msgspec.json.decode(text) if text.strip() else {}
    except (msgspec.DecodeError, RecursionError):
        raise ToolError(f"The arguments of {spec.name} are not valid JSON.") from None
    if not isinstance(value, dict):
        raise ToolError(f"The arguments of {spec.name} must be one JSON object.")
    return coerce_tool_arguments(spec, value)


def coerce_tool_arguments(spec: ToolSpec, arguments: Mapping[str, Any]) -> JSON:
    """The arguments as the schema wants them: `"5"` becomes 5 where a number is wanted; nothing is guessed beyond that."""
    properties: JSON = spec.parameters.get("properties", {})
    required = spec.parameters.get("required", [])
    wrong, fitting = list[_Wrong](), dict[str, Any]()
    for name, value in arguments.items():
        try:
            if name not in properties:
                raise _Wrong(f"/{name}", f"is unknown; possible are {', '.join(properties) or 'none'}")
            if value is not None or name in required or _is_null_allowed(properties[name]):
                fitting[name] = _coerce_argument_to_schema(properties[name], value, f"/{name}")
        except _Wrong as found:
            wrong.append(found)
    wrong += [_Wrong(f"/{name}", "is missing") for name in required if name not in arguments]
    if wrong:
        errors = [{"pointer": found.pointer[:_SHOWN], "message": found.message} for found in wrong[:_SHOWN]]
        said = "; ".join(f"{found.pointer[1:_SHOWN]} {found.message}" for found in wrong[:10])
        raise ToolError(f"The arguments of {spec.name} do not fit: {said}.", errors=errors)
    return fitting


def _is_null_allowed(schema: JSON) -> bool:
    if not schema.keys() - {"description", "default"} or "null" in schema.get("type", ""):
        return True
    return any(map(_is_null_allowed, schema.get("anyOf", [])))


def _coerce_argument_to_schema(schema: JSON, value: Any, pointer: str) -> Any:
    name = schema.get("type")
    if "anyOf" in schema or isinstance(name, list):
        return _coerce_to_any_of(schema.get("anyOf") or [{"type": one} for one in name or ()], value, pointer)
    fitting = _coerce_to_type(name, schema, value, pointer) if name else value
    if "enum" in schema and not any(fitting == one and type(fitting) is type(one) for one in schema["enum"]):
        raise _Wrong(pointer, f"must be one of {', '.join(map(str, schema['enum']))}")
    return fitting


def _coerce_to_any_of(choices: list[JSON], value: Any, pointer: str) -> Any:
    """The value by the first choice that it fits, one that fits as it stands before one that has to be read into it."""
    read = list[Any]()
    for choice in choices:
        with suppress(_Wrong):
            read.append(_coerce_argument_to_schema(choice, value, pointer))
    if not read:
        wanted = " or ".join(_WORDS.get(choice.get("type", ""), "something else") for choice in choices)
        raise _Wrong(pointer, f"must be {wanted}")
    return next((one for one in read if type(one) is type(value) and one == value), read[0])


def _coerce_to_type(name: str, schema: JSON, value: Any, pointer: str) -> Any:
    if name in ("array", "object") and isinstance(value, str):
        value = _parse_nested_json(value)
    match name:
        case "string" if isinstance(value, str):
            return value
        case "string" if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        case "boolean" if isinstance(value, bool):
            return value
        case "boolean" if isinstance(value, str) and value.strip().lower() in _TRUTH:
            return _TRUTH[value.strip().lower()]
        case "integer" | "number" if not isinstance(value, bool):
            return _coerce_number(name, value, pointer)
        case "array" if isinstance(value, list | tuple):
            return [
                _coerce_argument_to_schema(schema.get("items", {}), one, f"{pointer}/{at}")
                for at, one in enumerate(value)
            ]
        case "object" if isinstance(value, Mapping):
            inner = schema.get("additionalProperties", {})
            return {str(key): _coerce_argument_to_schema(inner, one, f"{pointer}/{key}") for key, one in value.items()}
        case "null" if value is None:
            return None
    raise _Wrong(pointer, f"must be {_WORDS.get(name, name)}")


def _coerce_number(name: str, value: Any, pointer: str) -> int | float:
    if isinstance(value, str) and len(value) <= 60:
        value = _parse_number(value)
    if isinstance(value, float) and (name == "number" or value.is_integer()) and abs(value) < 1e308:
        return value if name == "number" else int(value)
    if isinstance(value, int) and abs(value) < 10**308:
        return value
    raise _Wrong(pointer, f"must be {_WORDS[name]}")


def _parse_number(text: str) -> int | float | None:
    """`1,200.5` and `１２` are numbers; `nan` and `1_000` are not."""
    plain = unicodedata.normalize("NFKC", text).strip().replace(",", "")
    if "_" in plain or not any(character.isdigit() for character in plain):
        return None
    for reader in (int, float):
        with suppress(ValueError):
            return reader(plain)
    return None


def _parse_nested_json(text: str) -> Any:
    """Some models write a list or an object as text that holds JSON."""
    with suppress(msgspec.DecodeError, RecursionError):
        return msgspec.json.decode(text)
    return text
