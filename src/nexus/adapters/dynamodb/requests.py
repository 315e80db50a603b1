"""Rows and conditions in DynamoDB's own words."""

from collections.abc import Mapping, Sequence
from typing import Any

from nexus.domain.ports.rows import Item, Key, When

Attributes = dict[str, Any]
"""A row as the client takes it: `{"field": {"S": "text"}}`."""


ESCAPE = "\x00"


class Request:
    """One request. Its expressions name fields and values by placeholder, so that no reserved word bites."""

    def __init__(self, **parts: Any) -> None:
        self._parts = parts
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def name(self, field: str) -> str:
        return self._names.setdefault(field, f"#{len(self._names)}")

    def value(self, value: Any) -> str:
        place = f":{len(self._values)}"
        self._values[place] = encode_value(value)
        return place

    def conditions(self, when: When, key: str) -> list[str]:
        """A clause for each part of the condition; the field `key` is in every row."""
        clauses = [] if when.exists is None else [self._require_presence(key, when.exists)]
        for field, allowed in when.fields.items():
            values = ", ".join(self.value(value) for value in allowed if value is not None)
            either = [f"{self.name(field)} IN ({values})"] if values else []
            either += [self._require_presence(field, False)] if None in allowed else []
            clauses.append(f"({' OR '.join(either)})")
        for field, bound in when.below.items():
            clauses.append(f"({self._require_presence(field, False)} OR {self.name(field)} < {self.value(bound)})")
        return clauses

    def update(self, fields: Item, add: Mapping[str, int]) -> str:
        """An update expression; None removes a field."""
        clauses = {
            "SET": [
                f"{self.name(field)} = {self.value(value)}" for field, value in fields.items() if value is not None
            ],
            "REMOVE": [self.name(field) for field, value in fields.items() if value is None],
            "ADD": [f"{self.name(field)} {self.value(count)}" for field, count in add.items()],
        }
        return " ".join(f"{verb} {', '.join(some)}" for verb, some in clauses.items() if some)

    def build(self, **parts: Any) -> dict[str, Any]:
        """The request as the client wants it: with nothing empty in it."""
        names = {place: field for field, place in self._names.items()}
        expressed = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": self._values}
        return {part: value for part, value in (self._parts | parts | expressed).items() if value not in (None, "", {})}

    def _require_presence(self, field: str, present: bool) -> str:
        return f"attribute_{'' if present else 'not_'}exists({self.name(field)})"


def _escape_key(key: str) -> str:
    """DynamoDB refuses an empty name inside a map."""
    return ESCAPE + key if not key or key.startswith(ESCAPE) else key


def key_of(fields: Sequence[str], values: Key) -> Attributes:
    return {field: encode_value(value) for field, value in zip(fields, values, strict=False)}


def attributes(item: Item) -> Attributes:
    return {field: encode_value(value) for field, value in item.items()}


def item_of(attributes: Mapping[str, Any]) -> Item:
    return {field: decode_value(value) for field, value in attributes.items()}


def encode_value(value: Any) -> dict[str, Any]:
    match value:
        case str():
            return {"S": value}
        case bool():
            return {"BOOL": value}
        case int() | float():
            return {"N": repr(value)}
        case None:
            return {"NULL": True}
        case dict():
            return {"M": {_escape_key(key): encode_value(part) for key, part in value.items()}}
    return {"L": [encode_value(part) for part in value]}


def decode_value(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return int(content) if content.lstrip("-").isdigit() else float(content)
        case "M":
            return {key.removeprefix(ESCAPE): decode_value(part) for key, part in content.items()}
        case "L":
            return [decode_value(part) for part in content]
        case "NULL":
            return None
    return content
