"""Readings of one message by one card: a reading counts only when it consumes everything that was said."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

from msgspec import Struct

from nexus.adapters.offline.cards import Card
from nexus.adapters.offline.cards.card import Frame
from nexus.adapters.offline.reading.message import Asked, Bound, Message
from nexus.adapters.offline.reading.patterns import Node, literal, pattern, slots_of
from nexus.adapters.offline.reading.words import FILLERS
from nexus.domain.core.values import JSON
from nexus.domain.ports.models import ToolSpec
from nexus.domain.tools.library.units import unit_named

_MOST_EACH = 8
_SPANS = ("days", "weeks", "months", "years", "business_days")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_FOLLOWING = literal(
    "and what_about how_about what_if now then also instead but or for with at over in 那 如果 换成 改成 再 也 还有 呢 要是 若".split()
)


class Reading(Struct, frozen=True, kw_only=True):
    """What a card understands a message as. `taken` names what comes from the turn before."""

    card: Card
    frame: Frame
    bound: Mapping[str, Bound]
    arguments: JSON = {}
    missing: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()

    @property
    def doubts(self) -> list[Bound]:
        return [one for one in self.bound.values() if one.doubt]

    @property
    def complete(self) -> bool:
        return not (self.missing or self.doubts)


@lru_cache(maxsize=256)
def _vocabulary(phrases: tuple[str, ...]) -> tuple[Node, ...]:
    return tuple(pattern(phrase) for phrase in phrases)


def message_of(asked: Asked, today: date, card: Card) -> Message:
    """The message with the lists of the card."""
    lists = {name: _vocabulary(found) for name, found in card.lists.items()}
    choices = {
        name: [(literal(said.split("/")), value) for said, value in found.items()]
        for name, found in card.choices.items()
    }
    return Message(asked, today, lists, choices)


def readings(message: Message, card: Card, tool: ToolSpec) -> Iterator[Reading]:
    """All frames of a card that consume the whole message; those that lack arguments name them."""
    for frame in card.frames:
        found = _consumed(message, card, frame)
        if found:
            yield from _built(card, frame, min(found, key=lambda one: len(_lacking(one, card, frame, tool))), tool)


def following(message: Message, before: Reading, tool: ToolSpec) -> Iterator[Reading]:
    """The reading of the turn before, with what this message says anew: slots, their cues and words of a frame."""
    card, known = before.card, _parts(before.bound.values()) - {"today"}
    found_readings: list[Reading] = []
    for frame in sorted(card.frames, key=lambda one: one is not before.frame):
        is_same = frame is before.frame
        if not is_same and not known <= slot_names(frame):
            continue
        for found in _consumed(message, card, frame, follows=True, evident=is_same)[:1]:
            if len(found) > 1 or not (is_same or frame.bare):
                taken = tuple(name for name in before.bound if name not in found)
                found_readings += _built(card, frame, _merged(before.bound, found), tool, taken)
    yield from sorted(found_readings, key=lambda one: not one.complete)[:1]


def _merged(before: Mapping[str, Bound], found: Mapping[str, Bound]) -> dict[str, Bound]:
    """What was bound with what is said anew; `5 miles` after `10 km to miles` is meant in kilometres."""
    merged, name = {**before, **found}, "value+from_unit"
    is_turned = name in found and name in before and "to_unit" in before.keys() - found.keys()
    if is_turned and unit_named(found[name].value[1]) == unit_named(before["to_unit"].value):
        merged["to_unit"] = Bound("to_unit", before[name].value[1])
    return merged


def _consumed(
    message: Message, card: Card, frame: Frame, *, follows: bool = False, evident: bool = False
) -> list[dict[str, Bound]]:
    """What the slots hold in every way to consume the message: each chunk once, words of the card freely."""
    if not message.readable:
        return []
    chunks = _vocabulary((*frame.say, *(card.follows if follows else ())))
    words, glue = _vocabulary(frame.words or card.words), [*_vocabulary(card.glue), *([_FOLLOWING] if follows else [])]
    end, found, seen = len(message.tokens), list[dict[str, Bound]](), set[tuple[int, frozenset[str], bool]]()
    open_: list[tuple[int, frozenset[str], bool, tuple[Bound, ...]]] = [(0, frozenset(), frame.bare or evident, ())]
    while open_ and message.steps > 0:
        at, used, evident, bound = open_.pop()
        if (at, used, evident) in seen:
            continue
        seen.add((at, used, evident))
        has_material = message.asked.material is None or any(one.material for one in bound)
        if at == end and evident and has_material:
            found.append({"today": Bound("today", message.today.isoformat())} | {one.name: one for one in bound})
        steps = [
            (stop, used | names, evident, bound + more)
            for number, node in enumerate(chunks) if str(number) not in used
            for stop, more in message.match(node, at, True)
            if (stop > at or more) and _is_single(more) and not (names := {str(number), *_parts(more)}) & used
        ]  # fmt: skip
        steps += [(stop, used, True, bound) for node in words for stop, _ in message.match(node, at, True)]
        steps += [(stop, used, evident, bound) for node in glue for stop, _ in message.match(node, at, True)]
        steps += [(stop, used, evident, bound) for stop in message.literal(FILLERS, at)]
        open_ += reversed(steps)
    return found


def _parts(bound: Iterable[Bound]) -> set[str]:
    """The names that are bound: no two chunks may hold the same."""
    return {part for one in bound for part in one.name.split("+")}


def _is_single(bound: Sequence[Bound]) -> bool:
    """Whether no name is bound twice."""
    return len(_parts(bound)) == sum(one.name.count("+") + 1 for one in bound)


def _values(bound: Iterable[Bound]) -> dict[str, Any]:
    """By the names of slots; a slot `value+from_unit` holds two."""
    pairs = [(one.name.split("+"), one.value if "+" in one.name else [one.value]) for one in bound]
    return {name: value for names, values in pairs for name, value in zip(names, values, strict=True)}


def _lacking(bound: Mapping[str, Bound], card: Card, frame: Frame, tool: ToolSpec) -> tuple[str, ...]:
    """The names that the frame or the tool needs and the message does not hold."""
    values = _values(bound.values())
    wanted = _PLACEHOLDER.findall(str(frame.args))
    wanted += [name for name in tool.parameters.get("required", []) if name not in frame.args]
    if frame.each:
        entry = {part for slot in _slots(card.lists[frame.each]) for part in slot.split("+")}
        wanted = [frame.each, *(name for name in wanted if name not in entry)]
    return tuple(dict.fromkeys(name for name in wanted if name not in values))


def _slots(phrases: Sequence[str]) -> list[str]:
    return [slot.name for node in _vocabulary(tuple(phrases)) for slot in slots_of(node)]


def slot_names(frame: Frame) -> set[str]:
    """The names of all slots of a frame."""
    return {part for slot in _slots(frame.say) for part in slot.split("+")}


def _built(
    card: Card, frame: Frame, bound: Mapping[str, Bound], tool: ToolSpec, taken: tuple[str, ...] = ()
) -> Iterator[Reading]:
    """One reading, or one for each entry of the list that the frame is about."""
    missing = _lacking(bound, card, frame, tool)
    if missing:
        yield Reading(card=card, frame=frame, bound=bound, missing=missing, taken=taken)
        return
    found: list[JSON] = []
    for entry in bound[frame.each].value[:_MOST_EACH] if frame.each else [{}]:
        values = _values([*bound.values(), *(Bound(name, value) for name, value in entry.items())])
        if frame.negative:
            values |= {name: -values[name] for name in _SPANS if name in values}
        arguments = _fitted({name: _filled(part, values) for name, part in frame.args.items()}, values, tool)
        if arguments is None:
            return
        found.append(arguments)
    other = () if all(map(_is_one_kind, found)) else ("same_kind",)
    for arguments in found:
        yield Reading(card=card, frame=frame, bound=bound, arguments=arguments, missing=other, taken=taken)


def _is_one_kind(arguments: JSON) -> bool:
    """Whether a conversion stays within one kind of units."""
    units = [arguments[name] for name in ("from_unit", "to_unit") if name in arguments]
    return len({unit_named(unit).kind for unit in units}) < 2


def _filled(part: Any, values: Mapping[str, Any]) -> Any:
    """A template with its names filled in; one that is a name alone keeps the type of its value."""
    if isinstance(part, list):
        return [_filled(one, values) for one in part]
    if not isinstance(part, str):
        return part
    alone = _PLACEHOLDER.fullmatch(part)
    return values[alone[1]] if alone else part.format_map(values)


def _fitted(arguments: JSON, values: Mapping[str, Any], tool: ToolSpec) -> JSON | None:
    """The arguments that the tool's schema takes; None where a value is not of its type."""
    properties = tool.parameters.get("properties", {})
    given = {name: value for name, value in values.items() if name in properties} | arguments
    types = {"integer": int, "number": int | float}
    for name, value in given.items():
        kind = properties.get(name, {}).get("type")
        if name not in properties or (kind in types and not isinstance(value, types[kind])):
            return None
    return given
