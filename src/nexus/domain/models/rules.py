"""When to ask again, what an answer may look like, and how a model is told that it does not."""

import re
from typing import TypeVar

import msgspec
from msgspec import Struct

from nexus.domain.core.errors import Unavailable
from nexus.domain.core.values import JSON
from nexus.domain.ports.models import ChatMessage, ModelRequest

T = TypeVar("T")

REPAIRS = 3
_LONGEST_QUOTE = 20_000
_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FENCE = re.compile(r"```[ \t]*+\w*+[ \t]*+\r?\n")
_SINGLE = ("items", "additionalProperties", "not")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED = ("properties", "$defs")
_LENGTHS = ("minLength", "maxLength")
_DROPPED = ("default", "discriminator", "title", *_LENGTHS)
_KINDS = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


class Backoff(Struct, frozen=True, kw_only=True):
    """How patient a call is, in seconds. Pauses double from `first`, are cut at `longest` and spread by full jitter.

    No try begins later than `within` after the first."""

    tries: int = 4
    first: float = 0.5
    longest: float = 8.0
    longest_told: float = 30.0
    within: float = 180.0

    def compute_retry_pause(self, problem: Unavailable, *, tried: int, jitter: float) -> float | None:
        """How long to wait before trying again after `tried` tries, `jitter` being from 0 to 1; None when it is enough.

        A pause that the provider asked for is kept, with up to a second on top; one beyond `longest_told` is not waited for."""
        if tried >= self.tries:
            return None
        told = problem.facts.get("retry_after")
        if told is not None:
            return float(told) + jitter if float(told) <= self.longest_told else None
        return min(self.first * 2.0 ** (tried - 1), self.longest) * jitter


def make_answer_schema(kind: type[object]) -> JSON:
    """The JSON schema of a Struct as providers with strict answers take it.

    An object at the top, `$defs` kept, every field required, unknown ones refused; lengths, which such providers do not know,
    are said in the description."""
    schema = msgspec.json.schema(kind)
    defs = schema.get("$defs", {})
    name = schema.get("$ref", "").removeprefix("#/$defs/")
    top: JSON = defs.get(name, schema)
    if top.get("type") != "object" or "properties" not in top:
        raise TypeError(f"A model cannot be asked for {kind!r}: the kind must be a Struct with fields.")
    kept = {key: part for key, part in defs.items() if key != name or _mentions_name(defs, f"#/$defs/{name}")}
    return _make_schema_strict({**top, "$defs": kept} if kept else top)


def make_schema_name(purpose: str) -> str:
    """`build.intake` → `build_intake`: providers allow letters, digits, `_` and `-` only."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", purpose)[:64] or "answer"


def parse_answer(kind: type[T], text: str) -> T:
    """The answer as its kind. ValueError says exactly what is wrong with it."""
    try:
        return msgspec.json.decode(strip_markdown_fence(text), type=kind)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None


def strip_markdown_fence(text: str) -> str:
    """The document alone: without the thoughts before it and the code fence around it."""
    rest = _THOUGHTS.sub("", text).strip()
    if rest.startswith(("{", "[")):
        return rest
    opening = _FENCE.search(rest)
    end = rest.find("```", opening.end()) if opening else -1
    return rest[opening.end() : end].strip() if opening and end >= 0 else rest


def make_repair_request(request: ModelRequest, text: str, error: str) -> ModelRequest:
    """The same question, with the answer that was not usable and why. Only the latest one: the question must not grow."""
    schema = msgspec.json.encode(request.schema).decode()
    told = (
        f"That answer is not usable: {error}\n"
        f"Give the whole answer again, corrected: one JSON document and nothing else. It must fit this JSON schema:\n{schema}"
    )
    wrong = ChatMessage("assistant", text[:_LONGEST_QUOTE] or "(nothing)")
    return msgspec.structs.replace(request, messages=(*request.messages, wrong, ChatMessage("user", told)))


def _make_schema_strict(schema: JSON) -> JSON:
    strict = {key: _make_part_strict(key, part) for key, part in schema.items() if key not in _DROPPED}
    if said := _describe_lengths(schema):
        strict["description"] = " ".join(filter(None, (schema.get("description"), said)))
    if schema.get("type") == "object" and "properties" in schema:
        strict |= {"required": list(schema["properties"]), "additionalProperties": False}
    if "enum" in schema and "type" not in schema and len(kinds := {type(one) for one in schema["enum"]}) == 1:
        strict["type"] = _KINDS[kinds.pop()]
    return strict


def _make_part_strict(key: str, part: object) -> object:
    if key in _NAMED and isinstance(part, dict):
        return {name: _make_schema_strict(one) for name, one in part.items()}
    if key in _LISTED and isinstance(part, list):
        return [_make_schema_strict(one) for one in part]
    return _make_schema_strict(part) if key in _SINGLE and isinstance(part, dict) else part


def _describe_lengths(schema: JSON) -> str:
    least, most = (schema.get(key) for key in _LENGTHS)
    if least is None and most is None:
        return ""
    if most is None:
        return f"At least {least} characters."
    return f"At most {most} characters." if least is None else f"{least} to {most} characters."


def _mentions_name(part: object, reference: str) -> bool:
    if isinstance(part, dict):
        return part.get("$ref") == reference or any(_mentions_name(one, reference) for one in part.values())
    return isinstance(part, list) and any(_mentions_name(one, reference) for one in part)


def find_truncation_reason(purpose: str, reason: str) -> str | None:
    """Why an answer that did not come to its own end is of no use; None when it did."""
    if reason == "length":
        return f"The model's answer for {purpose} was cut off at its length limit."
    if reason == "content_filter":
        return f"The model's provider withheld the answer for {purpose} (content filter)."
    return None
