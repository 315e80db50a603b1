"""Cards for tools that have none (another agent, a tool of the user's own), and which tool speaks of what is said."""

from collections.abc import Sequence
from functools import lru_cache

from nexus.adapters.offline.cards import CARDS, Card
from nexus.adapters.offline.cards.card import Frame
from nexus.adapters.offline.reading.tokens import CJK, stem, words_of
from nexus.domain.core.values import JSON
from nexus.domain.ports.models import ToolSpec

_KINDS = {"number": "number", "integer": "whole", "string": "text"}
_EMPTY = frozenset("a an the of to and or for in is as with that this tool agent value number text given what".split())


def cards_for(tool: ToolSpec) -> Sequence[Card]:
    """The card of a tool, else one made of its schema; none where its arguments cannot be read for certain."""
    if tool.name in CARDS:
        return [CARDS[tool.name]]
    made = None if is_agent(tool) else _made(tool)
    return [made] if made else []


def is_agent(tool: ToolSpec) -> bool:
    """Another agent: asked with one message."""
    return tool.name.startswith("ask_") and list(tool.parameters.get("properties", {})) == ["message"]


def cards_of_agent(tool: ToolSpec) -> list[Card]:
    """The cards of which the description of an agent speaks."""
    spoken = _stems(f"{tool.name.removeprefix('ask_').replace('_', ' ')} {tool.description}")
    return [card for card in CARDS.values() if any(one and one <= spoken for one in map(_stems, _phrases(card)))]


def related_tool(said: str, tools: Sequence[ToolSpec]) -> ToolSpec | None:
    """The first of the tools with a card that has most in common with what is said."""
    known = [tool for tool in tools if tool.name in CARDS]
    spoken = _stems(said[:400])
    texts = {tool.name: " ".join(_phrases(card := CARDS[tool.name])) + " ".join(
        one.input for examples in card.examples.values() for one in examples) for tool in known}  # fmt: skip
    return max(known, key=lambda tool: len(spoken & _stems(texts[tool.name])), default=None)


def nearest_agent(said: str, agents: Sequence[ToolSpec]) -> ToolSpec | None:
    """The one agent whose description speaks of what is said; None where there is none, or several."""
    spoken = _stems(said[:2000])
    near = [tool for tool in agents if spoken & _stems(tool.description)]
    return near[0] if len(near) == 1 else None


def _phrases(card: Card) -> list[str]:
    return [*card.requests, *card.titles.values(), *(one for topic in card.topics.values() for one in topic)]


@lru_cache(maxsize=2048)
def _stems(text: str) -> frozenset[str]:
    words = [word for word in words_of(text) if word not in _EMPTY]
    chinese = "".join(word for word in words if CJK.match(word))
    pairs = {chinese[at : at + 2] for at in range(len(chinese) - 1)}
    return frozenset(pairs | {stem(word) for word in words if not CJK.match(word)})


def _made(tool: ToolSpec) -> Card | None:
    properties: dict[str, JSON] = tool.parameters.get("properties", {})
    kinds = {
        name: _KINDS.get(str(schema.get("type")), "") for name, schema in properties.items() if not schema.get("enum")
    }
    if any(not kinds.get(name) for name in tool.parameters.get("required", [])):
        return None
    read = {name: kind for name, kind in kinds.items() if kind}
    optional = "" if len(read) > 1 else "?"
    say = tuple(f"{name}{optional} =? {{{name}:{kind}}}" for name, kind in read.items())
    title = tool.name.replace("_", " ")
    words = words_of(f"{title} {tool.description} {' '.join(properties).replace('_', ' ')}")
    return Card(
        tool=tool.name, titles={"en": title, "zh": title}, category="own", requests=(), examples={},
        words=tuple(dict.fromkeys(word for word in words if word not in _EMPTY)),
        glue=("of/for/with/to/in/on/=",), frames=(Frame(say=say),),
    )  # fmt: skip
