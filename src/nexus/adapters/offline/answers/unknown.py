"""Cards for tools that have none: another agent, or a tool of the user's own, which is called only with arguments that are certain."""

from collections.abc import Sequence

from nexus.adapters.offline.cards import CARDS, Card
from nexus.adapters.offline.cards.card import Frame
from nexus.adapters.offline.reading.tokens import CJK, stem, words_of
from nexus.domain.ports.models import JSON, ToolSpec

_KINDS = {"number": "number", "integer": "whole", "string": "text"}
_EMPTY = frozenset("a an the of to and or for in is as with that this tool agent value number text given".split())


def cards_for(tool: ToolSpec) -> Sequence[Card]:
    """The card of a tool; for one without, a card made of its schema; none for one whose arguments cannot be read for certain."""
    if tool.name in CARDS:
        return [CARDS[tool.name]]
    if is_agent(tool):
        return []
    made = _made(tool)
    return [made] if made else []


def is_agent(tool: ToolSpec) -> bool:
    """Another agent: asked with one message."""
    return tool.name.startswith("ask_") and list(tool.parameters.get("properties", {})) == ["message"]


def cards_of_agent(tool: ToolSpec) -> list[Card]:
    """The cards of which the description of an agent speaks."""
    spoken = _stems(f"{tool.name.removeprefix('ask_').replace('_', ' ')} {tool.description}")
    phrases = {
        card.tool: [*card.requests, *card.titles.values(), *(one for topic in card.topics.values() for one in topic)]
        for card in CARDS.values()
    }
    return [
        card
        for card in CARDS.values()
        if any(_stems(phrase) <= spoken for phrase in phrases[card.tool] if _stems(phrase))
    ]


def _stems(text: str) -> set[str]:
    words = [word for word in words_of(text) if word not in _EMPTY]
    chinese = "".join(word for word in words if CJK.match(word))
    return {stem(word) for word in words if not CJK.match(word)} | {
        chinese[at : at + 2] for at in range(len(chinese) - 1)
    }


def _made(tool: ToolSpec) -> Card | None:
    properties: dict[str, JSON] = tool.parameters.get("properties", {})
    kinds = {
        name: _KINDS.get(str(schema.get("type")), "") for name, schema in properties.items() if not schema.get("enum")
    }
    required = tool.parameters.get("required", [])
    if any(not kinds.get(name) for name in required):
        return None
    many = len([kind for kind in kinds.values() if kind]) > 1
    say = tuple(_chunk(name, kind, cued=many) for name, kind in kinds.items() if kind)
    spoken = (
        f"{tool.name.replace('_', ' ')} {tool.description} {' '.join(name.replace('_', ' ') for name in properties)}"
    )
    words = tuple(dict.fromkeys(word for word in words_of(spoken) if word not in _EMPTY))
    title = tool.name.replace("_", " ")
    return Card(
        tool=tool.name, titles={"en": title, "zh": title}, category="own", requests=(), examples={},
        words=words, glue=("of", "for", "with", "to", "in", "on", "="), frames=(Frame(say=say),),
    )  # fmt: skip


def _chunk(name: str, kind: str, *, cued: bool) -> str:
    return f"{name} =? {{{name}:{kind}}}" if cued else f"({name})? =? {{{name}:{kind}}}"


def nearest_agent(said: str, agents: Sequence[ToolSpec]) -> ToolSpec | None:
    """The one agent whose description speaks of what is said; None where there is none, or several."""
    spoken = _stems(said[:2000])
    near = [tool for tool in agents if spoken & _stems(tool.description)]
    return near[0] if len(near) == 1 else None
