"""Rows and conditions in DynamoDB's own words."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from nexus.domain.ports.rows import Item, Key, When

Attributes = dict[str, Any]
"""A row as the client takes it: `{"field": {"S": "text"}}`."""

ESCAPE = "\x00"


class SpilledValue(Struct, frozen=True):
    """In the place of a value that is kept beside its row; `size` is its length in bytes. As an attribute it is a set, which nothing else is:
    no value that a user chooses can look like one."""

    digest: str
    size: int

    def encode_attribute(self) -> dict[str, Any]:
        return {"SS": [f"sha256:{self.digest}:{self.size}"]}

    @classmethod
    def decode_attribute(cls, texts: Sequence[str]) -> "SpilledValue":
        _, digest, size = texts[0].split(":")
        return cls(digest, int(size))


class Request:
    """One request. Its expressions name fields and values by placeholder, so that no reserved word bites."""

    def __init__(self, **parts: Any) -> None:
        self._parts = parts
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def add_name_placeholder(self, field: str) -> str:
        return self._names.setdefault(field, f"#{len(self._names)}")

    def add_value_placeholder(self, value: Any) -> str:
        place = f":{len(self._values)}"
        self._values[place] = encode_dynamo_value(value)
        return place

    def make_condition_clauses(self, when: When, key: str) -> list[str]:
        """A clause for each part of the condition; the field `key` is in every row."""
        clauses = [] if when.exists is None else [self._make_exists_clause(key, when.exists)]
        for field, allowed in when.fields.items():
            values = ", ".join(self.add_value_placeholder(value) for value in allowed if value is not None)
            either = [f"{self.add_name_placeholder(field)} IN ({values})"] if values else []
            either += [self._make_exists_clause(field, False)] if None in allowed else []
            clauses.append(f"({' OR '.join(either)})")
        for field, bound in when.below.items():
            clauses.append(
                f"({self._make_exists_clause(field, False)} OR {self.add_name_placeholder(field)} < {self.add_value_placeholder(bound)})"
            )
        return clauses

    def make_update_expression(self, fields: Item, add: Mapping[str, int]) -> str:
        """An update expression; None removes a field."""
        clauses = {
            "SET": [
                f"{self.add_name_placeholder(field)} = {self.add_value_placeholder(value)}"
                for field, value in fields.items()
                if value is not None
            ],
            "REMOVE": [self.add_name_placeholder(field) for field, value in fields.items() if value is None],
            "ADD": [
                f"{self.add_name_placeholder(field)} {self.add_value_placeholder(count)}"
                for field, count in add.items()
            ],
        }
        return " ".join(f"{verb} {', '.join(some)}" for verb, some in clauses.items() if some)

    def make_client_arguments(self, **parts: Any) -> dict[str, Any]:
        """The request as the client wants it: with nothing empty in it."""
        names = {place: field for field, place in self._names.items()}
        expressed = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": self._values}
        return {part: value for part, value in (self._parts | parts | expressed).items() if value not in (None, "", {})}

    def _make_exists_clause(self, field: str, present: bool) -> str:
        return f"attribute_{'' if present else 'not_'}exists({self.add_name_placeholder(field)})"


def _escape_key(key: str) -> str:
    """DynamoDB refuses an empty name inside a map."""
    return ESCAPE + key if not key or key.startswith(ESCAPE) else key


def encode_dynamo_key(fields: Sequence[str], values: Key) -> Attributes:
    return {field: encode_dynamo_value(value) for field, value in zip(fields, values, strict=False)}


def encode_dynamo_item(item: Item) -> Attributes:
    return {field: encode_dynamo_value(value) for field, value in item.items()}


def decode_dynamo_item(attributes: Mapping[str, Any]) -> Item:
    return {field: decode_dynamo_value(value) for field, value in attributes.items()}


def encode_dynamo_value(value: Any) -> dict[str, Any]:
    match value:
        case str():
            return {"S": value}
        case bool():
            return {"BOOL": value}
        case int() | float():
            return {"N": repr(value)}
        case None:
            return {"NULL": True}
        case SpilledValue():
            return value.encode_attribute()
        case dict():
            return {"M": {_escape_key(key): encode_dynamo_value(part) for key, part in value.items()}}
    return {"L": [encode_dynamo_value(part) for part in value]}


def decode_dynamo_value(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return int(content) if content.lstrip("-").isdigit() else float(content)
        case "M":
            return {key.removeprefix(ESCAPE): decode_dynamo_value(part) for key, part in content.items()}
        case "L":
            return [decode_dynamo_value(part) for part in content]
        case "NULL":
            return None
        case "SS":
            return SpilledValue.decode_attribute(content)
    return content
