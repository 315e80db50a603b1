"""What a requirement speaks of, and what serves it: a library tool, a template, a formula, or nothing here."""

import itertools
import re

from msgspec import Struct

from nexus.adapters.offline.build.gaps import GAPS, Gap
from nexus.adapters.offline.language.script import spaced
from nexus.adapters.offline.skills.registry import LIBRARY_SKILLS
from nexus.adapters.offline.skills.skill import Topic
from nexus.adapters.offline.templates.formula import planned_formula
from nexus.adapters.offline.templates.registry import TEMPLATES
from nexus.adapters.offline.templates.template import planned
from nexus.domain.builds.outputs import LibraryTool, PlannedTool

_COMPANIONS = {"query_csv": ("describe_csv",), "date_difference": ("add_to_date",)}
RIVALS = {
    "add_tax": "line_items_total", "average_of": "number_statistics", "format_duration": "convert_units", "convert_temperature": "convert_units",
    "count_words": "text_statistics",
}  # fmt: skip
"""Templates that are not needed where the library tool serves."""
_STOP = {
    "a",
    "an",
    "the",
    "and",
    "or",
    "of",
    "for",
    "to",
    "in",
    "on",
    "with",
    "from",
    "that",
    "which",
    "this",
    "agent",
    "tool",
    "user",
    "users",
    "text",
    "value",
    "values",
    "number",
    "numbers",
    "by",
    "it",
    "its",
    "as",
    "is",
    "are",
    "be",
    "into",
    "per",
    "any",
    "all",
    "given",
    "returns",
    "compute",
    "computes",
    "one",
    "how",
    "many",
    "works",
    "out",
    "tells",
    "lists",
    "example",
}
_MOST = 6


class Found(Struct, frozen=True):
    """Something a text speaks of: the name of its tool, or the gap."""

    topic: Topic
    start: int
    end: int
    library: str | None = None
    template: str | None = None
    gap: Gap | None = None


class Served(Struct, frozen=True, kw_only=True):
    """What one requirement gets."""

    library: tuple[str, ...] = ()
    new: tuple[PlannedTool, ...] = ()
    gaps: tuple[Gap, ...] = ()

    @property
    def tools(self) -> list[str]:
        return [*self.library, *(tool.name for tool in self.new)]

    @property
    def empty(self) -> bool:
        return not (self.library or self.new or self.gaps)


def needs_in(text: str) -> list[Found]:
    """Everything that a text speaks of, in its order. What stands inside of a gap (`translate mails`) is part of the gap."""
    gaps = [Found(gap.topic, *match.span(), gap=gap) for gap in GAPS if (match := _search(gap.topic, text))]
    found = [
        Found(skill.topic, *match.span(), library=name)
        for name, skill in LIBRARY_SKILLS.items()
        if (match := _search(skill.topic, text))
    ]
    found += [
        Found(template.topic, *match.span(), template=name)
        for name, template in TEMPLATES.items()
        if (match := _search(template.topic, text))
    ]
    free = [one for one in found if not any(gap.start <= one.start < gap.end for gap in gaps)]
    free = [one for one in free if one.library != "calculate" or len(free) == 1 or not _is_calculator(text, one)]
    chosen = {one.library for one in free if one.library}
    free = [one for one in free if RIVALS.get(one.template or "") not in chosen]
    alone = [
        gap
        for gap in gaps
        if not any(other is not gap and other.start <= gap.start and gap.end < other.end for other in gaps)
    ]
    return sorted([*free, *alone], key=lambda one: one.start)


def served(text: str, library: list[LibraryTool]) -> Served:
    """What serves a requirement, from the library that is offered first."""
    offered = {tool.name for tool in library}
    found = needs_in(text)
    tools = [one.library for one in found if one.library in offered and one.library]
    tools += [also for tool in tools for also in _COMPANIONS.get(tool, ()) if also in offered]
    new = [planned(TEMPLATES[one.template]) for one in found if one.template]
    new += [
        planned(TEMPLATES[name])
        for name, rival in RIVALS.items()
        if rival not in offered and _search(TEMPLATES[name].topic, text)
    ]
    gaps = tuple(one.gap for one in found if one.gap)
    if not tools and not new and not gaps:
        formula = planned_formula(text)
        tools, new = ([], [formula]) if formula else (_by_description(text, library), [])
    distinct = {tool.name: tool for tool in new}
    return Served(library=tuple(dict.fromkeys(tools))[:_MOST], new=tuple(distinct.values())[:_MOST], gaps=gaps)


def _is_calculator(text: str, found: Found) -> bool:
    """The word alone: a tip calculator computes tips, not sums."""
    return spaced(text)[found.start : found.end].lower() in ("calculator", "计算器")


def _search(topic: Topic, text: str) -> re.Match[str] | None:
    return re.search(topic.words, spaced(text), re.IGNORECASE)


def _by_description(text: str, library: list[LibraryTool]) -> list[str]:
    """Tools without a skill here, by the words that their description shares with the requirement."""
    spoken = _stems(text)
    scored = [
        (len(spoken & _stems(f"{tool.name.replace('_', ' ')} {tool.description}")), tool.name)
        for tool in library
        if tool.name not in LIBRARY_SKILLS
    ]
    best = sorted((one for one in scored if one[0] >= 2), reverse=True)
    return [name for _, name in best[:2]]


def _stems(text: str) -> set[str]:
    words = {word[:6] for word in re.findall(r"[a-z]{3,}", text.lower()) if word not in _STOP}
    chinese = re.findall(r"[一-鿿]", text)
    return words | {first + second for first, second in itertools.pairwise(chinese)}
