"""Finds the arguments of any tool in a text: by cues where there are some, else by the names, types and descriptions of its schema."""

import re
from typing import Any

from msgspec import Struct

from nexus.adapters.offline.language.dates import dates_in, without_dates
from nexus.adapters.offline.language.numbers import NUMBER, number
from nexus.adapters.offline.language.script import payload, quoted
from nexus.adapters.offline.skills.skill import Cues, Reading, Said
from nexus.domain.ports.models import JSON, ToolSpec

_KINDS = {"number": "number", "integer": "integer", "string": "text", "boolean": "truth"}
_UNITS = {
    "kg": r"kg|kilos?|kilograms?|公斤|千克", "g": r"g|grams?|克", "cm": r"cm|centimet(?:er|re)s?|厘米|公分", "m": r"m|met(?:er|re)s?|米", "km": r"km|公里|千米",
    "percent": "%", "rate": "%", "pct": "%", "years": r"[\s-]*(?:years?|yrs?)\b|年", "months": r"[\s-]*months?\b|个?月", "days": r"[\s-]*days?\b|天",
    "hours": r"hours?|hrs?|h\b|小时", "minutes": r"min(?:ute)?s?\b|分钟", "seconds": r"sec(?:ond)?s?\b|秒", "people": r"people|persons?|friends|ways|个?人",
}  # fmt: skip
_URL = re.compile(r"https?://[^\s<>\"'，。）)]+")


class Wanted(Struct, frozen=True, kw_only=True):
    """A parameter of a tool, reduced to what matters for finding its value."""

    name: str
    kind: str
    required: bool
    choices: tuple[str, ...] = ()
    description: str = ""

    @property
    def numeric(self) -> bool:
        return self.kind in ("number", "integer")


def wanted_by(tool: ToolSpec) -> list[Wanted]:
    """The parameters of a tool in the order of its schema."""
    required = tool.parameters.get("required", [])
    properties = tool.parameters.get("properties", {})
    return [_wanted(name, schema, name in required) for name, schema in properties.items() if isinstance(schema, dict)]


def fitting(tool: ToolSpec, arguments: JSON) -> Reading:
    """Only what the tool takes, and the names of what it still needs."""
    known = {one.name: one for one in wanted_by(tool)}
    kept = {name: value for name, value in arguments.items() if name in known and value is not None}
    return Reading(kept, tuple(name for name, one in known.items() if one.required and name not in kept))


def read_arguments(said: Said, tool: ToolSpec, cues: Cues | None = None) -> Reading:
    """What the text holds for the tool. Earlier arguments fill what a follow-up leaves out."""
    search = _Search(said)
    wanted = wanted_by(tool)
    for one in wanted:
        search.by_cues(one, (cues or {}).get(one.name, ()))
    for one in wanted:
        search.by_name(one)
    if said.previous is not None:
        return fitting(tool, {**said.previous, **search.changes(wanted, said.previous)})
    for one in wanted:
        if one.required or one.kind in ("numbers", "texts"):
            search.by_kind(one, wanted)
    return fitting(tool, search.found)


def _wanted(name: str, schema: JSON, required: bool) -> Wanted:
    shapes = [schema, *schema.get("anyOf", [])]
    kinds = [kind for shape in shapes for kind in _listed(shape.get("type"))]
    kind = next((kind for kind in kinds if kind != "null"), "string")
    if kind == "array":
        items: JSON = next((shape.get("items", {}) for shape in shapes if "array" in _listed(shape.get("type"))), {})
        kind = {"number": "numbers", "integer": "numbers", "string": "texts"}.get(
            str(items.get("type", "string")), "objects"
        )
    choices = tuple(str(choice) for shape in shapes for choice in shape.get("enum", []))
    return Wanted(
        name=name,
        kind=_KINDS.get(kind, kind),
        required=required,
        choices=choices,
        description=str(schema.get("description", "")),
    )


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


class _Search:
    """One reading of one text: what has been found, and the text that is left."""

    def __init__(self, said: Said) -> None:
        self.said = said
        self.found: JSON = {}
        self.rest = without_dates(said.plain, said.today)
        self.quotes = quoted(said.text)
        self.dates = [one.iso for one in dates_in(said.plain, said.today)]

    def by_cues(self, one: Wanted, cues: Any) -> None:
        if isinstance(cues, dict):
            value = next(
                (value for value, pattern in cues.items() if re.search(pattern, self.said.plain, re.IGNORECASE)), None
            )
            if value is not None:
                self.found[one.name] = (
                    number(value) if one.numeric else value if one.kind == "text" else value == "true"
                )
            return
        for cue in cues:
            if one.name not in self.found:
                self._match(one, cue)

    def by_name(self, one: Wanted) -> None:
        """By the words of the parameter's own name: `weight_kg` is a number before `kg` or after `weight`."""
        if one.name in self.found:
            return
        words = one.name.split("_")
        if one.choices:
            said = self.said.plain.lower()
            value = next(
                (choice for choice in one.choices if re.search(rf"(?<![a-z]){re.escape(choice.lower())}", said)), None
            )
            if value is not None:
                self.found[one.name] = value
        elif one.numeric:
            spoken = "|".join(re.escape(word) for word in words if len(word) > 2 and word not in _UNITS)
            phrase = r"[\s_]+".join(map(re.escape, words))
            for cue in (
                [rf"\b{phrase}\b\W{{0,3}}(?:is |of |为|是)?\s*({NUMBER})"]
                + [rf"({NUMBER})\s*(?:{_UNITS[word]})(?![A-Za-z])" for word in words if word in _UNITS]
                + ([rf"\b(?:{spoken})\w*\D{{0,12}}?({NUMBER})"] if spoken else [])
            ):
                if one.name not in self.found:
                    self._match(one, cue)

    def by_kind(self, one: Wanted, wanted: list[Wanted]) -> None:
        if one.name in self.found:
            return
        value: Any = None
        if one.numeric:
            value = self._next_number(one)
        elif one.kind == "numbers":
            value = [number(found) for found in re.findall(NUMBER, self._material())] or None
        elif one.kind == "texts":
            value = (
                [part.strip() for part in re.split(r"[,，、;；\n]", payload(self.said.text)) if part.strip()]
                or self.quotes
                or None
            )
        elif one.kind == "truth":
            value = False
        elif one.kind == "text" and not one.choices:
            value = self._text(one, alone=sum(other.kind == "text" and other.required for other in wanted) == 1)
        if value is not None:
            self.found[one.name] = value

    def changes(self, wanted: list[Wanted], previous: JSON) -> JSON:
        """What a follow-up says anew: what has a cue, else its only number for the first number of the earlier call, or a new text."""
        left = re.findall(NUMBER, self.rest)
        numeric = [one for one in wanted if one.numeric and one.name in previous and one.name not in self.found]
        if left and numeric and not any(one.numeric for one in wanted if one.name in self.found):
            self.by_kind(numeric[0], wanted)
        for one in wanted:
            if one.kind in ("numbers", "texts") or (
                one.kind == "text" and one.name in previous and not one.choices and (self.quotes or self.dates)
            ):
                self.by_kind(one, wanted)
        return self.found

    def _match(self, one: Wanted, cue: str) -> None:
        text = self.rest if one.numeric else self.said.text
        found = re.search(cue.replace("{n}", f"({NUMBER})"), text, re.IGNORECASE | re.DOTALL)
        if not found:
            return
        value = next((group for group in found.groups() if group), found[0]).strip()
        if one.numeric:
            start = found.start() + found[0].find(value)
            self.rest = self.rest[:start] + "\0" * len(value) + self.rest[start + len(value) :]
            self._keep_number(one, value)
        elif value:
            self.found[one.name] = [value] if one.kind == "texts" else value

    def _keep_number(self, one: Wanted, text: str) -> None:
        value = number(text)
        if one.kind == "number" or isinstance(value, int):
            self.found[one.name] = value

    def _next_number(self, one: Wanted) -> float | None:
        found = re.search(NUMBER, self.rest)
        if not found or (one.kind == "integer" and not isinstance(number(found[0]), int)):
            return None
        self.rest = self.rest[: found.start()] + "\0" * len(found[0]) + self.rest[found.end() :]
        return number(found[0])

    def _material(self) -> str:
        return payload(self.rest) if re.search(NUMBER, payload(self.rest)) else self.rest

    def _text(self, one: Wanted, alone: bool) -> str | None:
        told = f"{one.name} {one.description}".lower()
        if "url" in told and (address := _URL.search(self.said.text)):
            return address[0]
        if re.search(r"\bdate|\bday\b|日期", told):
            return self.dates.pop(0) if self.dates else None
        if self.quotes:
            return self.quotes.pop(0)
        return payload(self.said.text) or (self.said.text.strip() if alone else None) or None
