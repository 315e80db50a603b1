"""Which tools a message asks for, and with which arguments."""

import re
from datetime import date

from msgspec import Struct

from nexus.adapters.offline.chat.conversation import Conversation, arguments_of
from nexus.adapters.offline.chat.unknown import closeness, is_agent, skill_for
from nexus.adapters.offline.language.script import language_of, payload, questions, spaced
from nexus.adapters.offline.skills.arguments import fitting, read_arguments
from nexus.adapters.offline.skills.registry import SKILLS
from nexus.adapters.offline.skills.skill import Reading, Said, Skill
from nexus.domain.ports.models import JSON, ToolSpec

_FOLLOWS = re.compile(
    r"^\s*(?:(?:and|what about|how about|what if|now|then|also|instead|same|but|or|ok|in|with|at|over)\b|那|如果|换成|改成|再|也|还有)|呢\s*[?？]?\s*$",
    re.IGNORECASE,
)
_LITTLE = {
    "and",
    "what",
    "about",
    "how",
    "if",
    "now",
    "then",
    "also",
    "the",
    "same",
    "for",
    "with",
    "instead",
    "at",
    "over",
    "in",
    "to",
    "of",
    "a",
    "an",
    "is",
    "it",
    "but",
    "or",
    "please",
    "would",
    "be",
    "do",
    "days",
    "day",
    "years",
    "year",
    "months",
    "month",
    "rate",
    "percent",
    "people",
    "weeks",
    "later",
    "ago",
    "by",
}
_NEAR, _MOST_CALLS, _MOST_PARTS = 3, 8, 20


class Wish(Struct, frozen=True):
    """A call that a message asks for; with `missing`, one that cannot be made yet."""

    skill: Skill
    tool: ToolSpec
    arguments: JSON
    missing: tuple[str, ...] = ()


def wishes(conversation: Conversation, tools: tuple[ToolSpec, ...], today: date) -> list[Wish]:
    """The calls to make now. One wish with `missing` when something is asked for but not all is told; empty when nothing fits."""
    said = conversation.said
    found = asked(said, tools, today)
    if found and not any(wish.missing for wish in found):
        return found
    followed = _followed(conversation, tools, today)
    if followed:
        return [followed]
    return _completed(conversation, tools, today) or found


def asked(text: str, tools: tuple[ToolSpec, ...], today: date) -> list[Wish]:
    """What a text asks for by itself: question by question, or as a whole when its parts do not stand alone."""
    parts = [text] if _is_material(text) else questions(text) or [text]
    parts = parts if len(parts) <= _MOST_PARTS else [text]
    found, left = list[Wish](), list[str]()
    for part in parts:
        wish = _best(part, tools, today, language_of(text)) if len(parts) > 1 else []
        complete = [one for one in wish if not one.missing]
        found += complete
        left += [] if complete else [part]
    if left:
        rest = _best(text if not found else " ".join(left), tools, today, language_of(text))
        found += rest if not found else [one for one in rest if not one.missing]
    distinct = {(wish.tool.name, repr(wish.arguments)): wish for wish in found}
    return list(distinct.values())[:_MOST_CALLS]


def _is_material(text: str) -> bool:
    behind = payload(text)
    return "\n" in text.strip() or "```" in text or len(behind) > 60 or bool(re.search(r"[{\[]\s*[\"{\[]", text))


def _best(text: str, tools: tuple[ToolSpec, ...], today: date, language: str) -> list[Wish]:
    """The heaviest skill that the text asks for and whose arguments it holds; else the heaviest that lacks some."""
    said = Said.of(text, today, "zh" if language == "zh" else "en")
    candidates = sorted(_candidates(said, tools), key=lambda one: -one[0])
    lacking: list[Wish] = []
    for _, skill, tool in candidates:
        readings = [_fit(reading, tool) for reading in _readings(skill, said, tool)]
        complete = [reading for reading in readings if not reading.missing]
        if complete:
            return [Wish(skill, tool, reading.arguments) for reading in complete]
        if readings and not lacking:
            lacking = [Wish(skill, tool, readings[0].arguments, readings[0].missing)]
    return lacking


def _candidates(said: Said, tools: tuple[ToolSpec, ...]) -> list[tuple[int, Skill, ToolSpec]]:
    found = []
    for tool in tools:
        skill = SKILLS.get(tool.name)
        if skill is not None and re.search(skill.asks, spaced(said.plain), re.IGNORECASE | re.DOTALL):
            found.append((skill.weight, skill, tool))
        elif skill is None and (near := closeness(said, tool)) >= _NEAR:
            found.append((near, skill_for(tool), tool))
        elif skill is None and len(tools) == 1 and not is_agent(tool) and re.search(r"\d", said.plain):
            found.append((1, skill_for(tool), tool))
    return found


def _readings(skill: Skill, said: Said, tool: ToolSpec) -> list[Reading]:
    return skill.read(said, tool) if skill.read else [read_arguments(said, tool, skill.cues)]


def _fit(reading: Reading, tool: ToolSpec) -> Reading:
    """What the schema takes; a reading's own word on what is missing counts too."""
    fitted = fitting(tool, reading.arguments)
    return Reading(
        fitted.arguments,
        tuple(dict.fromkeys([*fitted.missing, *(name for name in reading.missing if name not in fitted.arguments)])),
    )


def _followed(conversation: Conversation, tools: tuple[ToolSpec, ...], today: date) -> Wish | None:
    """`and 20 km?`: the last call again, with what is said anew."""
    text = conversation.said
    previous = _previous(conversation, tools, today)
    if previous is None or not _is_follow_up(text) or not previous.skill.follows:
        return None
    said = Said.of(text, today)
    said = Said(text=said.text, plain=said.plain, language=said.language, today=today, previous=previous.arguments)
    for reading in (_fit(reading, previous.tool) for reading in _readings(previous.skill, said, previous.tool)):
        if not reading.missing and reading.arguments != previous.arguments:
            return Wish(previous.skill, previous.tool, reading.arguments)
    return None


def _is_follow_up(text: str) -> bool:
    words = [word for word in re.findall(r"[a-z]{3,}", text.lower()) if word not in _LITTLE]
    return len(text) <= 120 and (bool(_FOLLOWS.search(text)) or len(words) <= 2)


def _previous(conversation: Conversation, tools: tuple[ToolSpec, ...], today: date) -> Wish | None:
    """The last call that was made; told by its message when it was answered from what a user said earlier."""
    offered = {tool.name: tool for tool in tools}
    call = conversation.last_call
    if call and call.name in offered and not is_agent(offered[call.name]):
        tool = offered[call.name]
        return Wish(SKILLS.get(tool.name) or skill_for(tool), tool, fitting(tool, arguments_of(call)).arguments)
    for text in conversation.earlier if call is None else []:
        if found := [wish for wish in asked(text, tools, today) if not wish.missing]:
            return found[-1]
    return None


def _completed(conversation: Conversation, tools: tuple[ToolSpec, ...], today: date) -> list[Wish]:
    """What was asked before and lacked something that is said now."""
    for before in conversation.earlier[:1]:
        earlier = asked(before, tools, today)
        if not earlier or not any(wish.missing for wish in earlier):
            return []
        together = _best(f"{before.rstrip('?？.。 ')} {conversation.said}", tools, today, language_of(before))
        return [wish for wish in together if not wish.missing]
    return []
