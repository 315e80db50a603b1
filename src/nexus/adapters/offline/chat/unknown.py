"""Skills made up on the spot for tools that the offline model does not know: written by others, or other agents."""

import re

from nexus.adapters.offline.language.script import CJK, spaced
from nexus.adapters.offline.skills.arguments import read_arguments, wanted_by
from nexus.adapters.offline.skills.registry import SKILLS
from nexus.adapters.offline.skills.skill import Reading, Said, Skill, Topic
from nexus.domain.ports.models import ToolSpec

_COMMON = {
    "the",
    "and",
    "for",
    "with",
    "from",
    "that",
    "this",
    "tool",
    "agent",
    "computes",
    "compute",
    "convert",
    "converts",
    "returns",
    "return",
    "value",
    "values",
    "number",
    "text",
    "given",
    "into",
    "what",
    "how",
    "much",
    "many",
    "is",
    "are",
    "can",
    "you",
    "please",
}


def skill_for(tool: ToolSpec) -> Skill:
    """A skill that reads arguments by the tool's own schema. Its weight for a text is `closeness`."""
    title = tool.name.replace("_", " ")
    read = _read_message if is_agent(tool) else read_arguments
    return Skill(
        tool=tool.name,
        topic=Topic(en=title, zh=title, words=re.escape(title)),
        asks="",
        read=lambda said, spec: [read(said, spec)],
    )


def is_agent(tool: ToolSpec) -> bool:
    """Another agent: asked with one message."""
    return tool.name.startswith("ask_") and [one.name for one in wanted_by(tool)] == ["message"]


def closeness(said: Said, tool: ToolSpec) -> int:
    """How much a text speaks of a tool: shared words, those of its name twice, and the skills that both are about."""
    named, told = (
        _stems(tool.name.replace("_", " ")),
        _stems(f"{tool.description} {' '.join(one.name.replace('_', ' ') for one in wanted_by(tool))}"),
    )
    spoken = _stems(said.text[:2000])
    score = 2 * len(spoken & named) + len(spoken & (told - named))
    if is_agent(tool):
        about = f"{tool.name.replace('_', ' ')} {tool.description}"
        shared = [
            skill
            for skill in SKILLS.values()
            if re.search(skill.topic.words, spaced(about), re.IGNORECASE) and _asked(skill, said)
        ]
        score += max((skill.weight for skill in shared), default=0)
    return score


def _asked(skill: Skill, said: Said) -> bool:
    """Whether the text itself has what the skill needs."""
    if not re.search(skill.asks, spaced(said.plain), re.IGNORECASE | re.DOTALL) or skill.read is None:
        return bool(skill.read is None and re.search(skill.asks, spaced(said.plain), re.IGNORECASE))
    readings = skill.read(said, ToolSpec(skill.tool, "", {"properties": _ANY, "required": []}))
    return any(not reading.missing for reading in readings) and bool(readings)


_ANY = {name: {"type": "number"} for name in ("principal", "annual_rate_percent", "years")} | {
    "items": {"type": "array"}, "descending": {"type": "boolean"}, "unique": {"type": "boolean"}
}  # fmt: skip


def _read_message(said: Said, tool: ToolSpec) -> Reading:
    return Reading({"message": said.text})


def _stems(text: str) -> set[str]:
    words = {word[:6] for word in re.findall(r"[a-z]{3,}", text.lower()) if word not in _COMMON}
    chinese = "".join(CJK.findall(text))
    return words | {chinese[at : at + 2] for at in range(len(chinese) - 1)}
