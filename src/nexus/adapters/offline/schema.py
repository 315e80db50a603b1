"""The smallest document that a JSON schema allows, for purposes that have no rules here."""

from typing import Any

import msgspec

from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.models import JSON

_DEEPEST = 20


def minimal_document(schema: JSON) -> str:
    """JSON text. InvalidInput when the schema asks for something that only a language model could make up."""
    return msgspec.json.encode(_value(schema, schema, 0)).decode()


def _value(schema: JSON, root: JSON, depth: int) -> Any:
    if depth > _DEEPEST:
        raise InvalidInput("The offline model cannot answer a schema without an end.")
    if "$ref" in schema:
        return _value(_resolved(str(schema["$ref"]), root), root, depth + 1)
    for fixed in ("const", "default"):
        if fixed in schema:
            return schema[fixed]
    if schema.get("enum"):
        return schema["enum"][0]
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return None if {"type": "null"} in choices else _value(choices[0], root, depth + 1)
    if "pattern" in schema or "allOf" in schema:
        raise InvalidInput(
            "The offline model has no rules for this purpose; set NEXUS_MODEL__API_KEY to use a language model."
        )
    return _of_type(schema, root, depth)


def _of_type(schema: JSON, root: JSON, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "null")
    kind = ("null" if "null" in kind else kind[0]) if isinstance(kind, list) else kind
    match kind:
        case "object":
            properties = schema.get("properties", {})
            return {name: _value(properties.get(name, {}), root, depth + 1) for name in schema.get("required", [])}
        case "array":
            return [_value(schema.get("items", {}), root, depth + 1) for _ in range(schema.get("minItems", 0))]
        case "string":
            return "offline"[: schema.get("maxLength", 7)].ljust(schema.get("minLength", 0), ".")
        case "integer" | "number":
            return _number(schema, whole=kind == "integer")
        case "boolean":
            return False
    return None


def _number(schema: JSON, *, whole: bool) -> float:
    above = schema.get("exclusiveMinimum")
    least = float(schema.get("minimum", 0 if above is None else above + 1))
    value = min(max(0.0, least), float(schema.get("maximum", max(0.0, least))))
    return int(value) if whole else value


def _resolved(reference: str, root: JSON) -> JSON:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise InvalidInput(f"The schema has no {reference}.")
    return found
