"""Readings of one message by one card: a reading counts only when it consumes everything that was said."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from nexus.adapters.offline.cards import Card, Frame
from nexus.adapters.offline.reading.message import Bound, Message
from nexus.adapters.offline.reading.patterns import parse_pattern
from nexus.domain.core.values import JSON
from nexus.domain.ports.models import ToolSpec
from nexus.domain.tools.library.units import find_unit

_MOST_EACH, _MOST_WAYS = 8, 16
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Reading(Struct, frozen=True, kw_only=True):
    """What a card understands a message as; `calls` are arguments of its tool. `taken` names what comes from the turn before."""

    card: Card
    frame: Frame
    bound: Bound
    calls: tuple[JSON, ...] = ()
    missing: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()

    @property
    def answer_topic(self) -> str:
        return str(self.bound.get("about", self.frame.about))


def list_interpretations(message: Message, card: Card, tool: ToolSpec) -> Iterator[Reading]:
    """What each frame of a card that consumes the whole message makes of it; those that lack arguments name them."""
    for frame in card.frames:
        ways = islice(message.match_frame(card, frame), _MOST_WAYS)
        built = [_add_tool_calls(Reading(card=card, frame=frame, bound=bound), message, tool) for bound in ways]
        yield from sorted(built, key=lambda one: len(one.missing))[:1]


def interpret_follow_up(message: Message, before: Reading, tool: ToolSpec) -> Reading | None:
    """The reading of the turn before, with what this message says anew: slots, and the words of a frame."""
    card, found = before.card, list[Reading]()
    for frame in sorted(card.frames, key=lambda one: one is not before.frame):
        is_same = frame is before.frame
        if is_same or before.bound.keys() <= list_slot_names(frame):
            bound = next(message.match_frame(card, frame, follows=True, evident=is_same), None)
            if bound or (bound is not None and not (is_same or frame.bare)):
                taken, merged = (
                    tuple(name for name in before.bound if name not in bound),
                    _merge_slot_values(before.bound, bound),
                )
                found.append(_add_tool_calls(Reading(card=card, frame=frame, bound=merged, taken=taken), message, tool))
    return min(found, key=lambda one: not one.calls, default=None)


def _merge_slot_values(before: Bound, found: Bound) -> Bound:
    """What was bound with what is said anew; `5 miles` after `10 km to miles` is meant in kilometres."""
    merged = {**before, **found}
    is_turned = "from_unit" in found and "to_unit" in before.keys() - found.keys()
    if is_turned and find_unit(found["from_unit"]) == find_unit(before["to_unit"]):
        merged["to_unit"] = before.get("from_unit", before["to_unit"])
    return merged


def list_slot_names(frame: Frame) -> set[str]:
    """The names of all slots of a frame."""
    items = [item for text in (*frame.say, *frame.often) for item in parse_pattern(text)]
    return {name for item in items for name in item.name.split("+") if name} | {frame.into or "each"}


def _add_tool_calls(reading: Reading, message: Message, tool: ToolSpec) -> Reading:
    """With the calls that it asks for, one for each entry of a list that is no argument itself; or with what they lack."""
    frame, known = reading.frame, {"today": message.today.isoformat(), **reading.bound}
    entries = [{**known, **entry} for entry in reading.bound.get("each", ({},))[:_MOST_EACH]]
    required = [name for name in tool.parameters.get("required", ()) if name not in frame.args]
    wanted = dict.fromkeys([*_PLACEHOLDER.findall(str(frame.args)), *required])
    if missing := tuple(name for name in wanted if name not in entries[0]):
        return replace(reading, missing=missing)
    calls = tuple(_make_tool_arguments(frame, values, tool) for values in entries)
    if not all(map(_has_same_unit_kind, calls)):
        return replace(reading, missing=("same_kind",))
    return replace(reading, calls=calls if all(calls) else ())


def _has_same_unit_kind(arguments: JSON) -> bool:
    """Whether a conversion stays within one kind of units."""
    units = [arguments[name] for name in ("from_unit", "to_unit") if name in arguments]
    return len({find_unit(unit).kind for unit in units}) < 2


def _make_tool_arguments(frame: Frame, values: Mapping[str, Any], tool: ToolSpec) -> JSON:
    """The arguments that the tool's schema takes; empty where a value is not of its type."""
    properties, types = tool.parameters.get("properties", {}), {"integer": int, "number": int | float}
    given = {name: value for name, value in values.items() if name in properties}
    given |= {name: _fill_placeholders(part, values) for name, part in frame.args.items()}
    kinds = {name: types.get(properties.get(name, {}).get("type"), object) for name in given}
    return given if all(isinstance(given[name], kind) for name, kind in kinds.items()) else {}


def _fill_placeholders(part: Any, values: Mapping[str, Any]) -> Any:
    """A template with its names filled in; one that is a name alone keeps the type of its value."""
    if isinstance(part, list):
        return [_fill_placeholders(one, values) for one in part]
    if not isinstance(part, str):
        return part
    alone = _PLACEHOLDER.fullmatch(part)
    return values[alone[1]] if alone else part.format_map(values)
