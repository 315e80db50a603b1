"""The small language in which cards say how people ask, as nodes that a message is matched with.

Spaces part words; `a/b` is either, `a_b` two words behind each other, `x?` may be missing, `( … | … )` groups,
`{name:kind}` is a slot, and what `~` stands before follows at once. Chinese words need no spaces; `@m` is a Chinese
measure word. Harmless words (`FILLERS`) and stops may stand anywhere between.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct

from nexus.adapters.offline.reading.tokens import plain, tokens_of

_PART = re.compile(r"~?\{[^}]*\}\??|~?\(|\)\?|\)|\||[^\s(){}|]+")
_MEASURES = "本 支 个 件 张 台 箱 瓶 盒 包 把 套 只 条 斤 公斤 份 杯 双 块 辆 部 枝 根 顶 盏 袋 桶 米 次 小时".split()


class Literal(Struct, frozen=True):
    """One of several words or phrases, by their first token."""

    words: Mapping[str, Sequence[tuple[str, ...]]]


class Slot(Struct, frozen=True):
    name: str
    kind: str


class Sequel(Struct, frozen=True):
    parts: tuple[Any, ...]


class Choice(Struct, frozen=True):
    parts: tuple[Any, ...]


class Tight(Struct, frozen=True):
    """What must follow without a harmless word between."""

    part: Any


Node = Literal | Slot | Sequel | Choice | Tight


def literal(phrases: Sequence[str]) -> Literal:
    """The phrases of a word, with `_` between the tokens of one."""
    words: dict[str, list[tuple[str, ...]]] = {}
    for phrase in phrases:
        tokens = tuple(token.word for token in tokens_of(plain(phrase.replace("_", " "))))
        words.setdefault(tokens[0], []).append(tokens)
    return Literal({first: sorted(found, key=len, reverse=True) for first, found in words.items()})


@lru_cache(maxsize=4096)
def pattern(text: str) -> Node:
    """The pattern of a text. ValueError where a bracket stays open."""
    parts = _PART.findall(text)[::-1]
    node = _choice(parts)
    if parts:
        raise ValueError(f"{text!r} is not a pattern.")
    return node


def slots_of(node: Node) -> Iterator[Slot]:
    """All slots of a pattern."""
    if isinstance(node, Slot):
        yield node
    elif not isinstance(node, Literal):
        for part in [node.part] if isinstance(node, Tight) else node.parts:
            yield from slots_of(part)


def _choice(parts: list[str]) -> Node:
    """Takes alternatives from the end of the list, up to the bracket that closes them."""
    choices: list[Node] = [_sequel(parts)]
    while parts and parts[-1] == "|":
        parts.pop()
        choices.append(_sequel(parts))
    return Choice(tuple(choices)) if len(choices) > 1 else choices[0]


def _sequel(parts: list[str]) -> Node:
    found: list[Node] = []
    while parts and parts[-1] not in ("|", ")", ")?"):
        part = parts.pop()
        node = _choice(parts) if part.endswith("(") else _atom(part.lstrip("~").removesuffix("?"))
        closing = parts.pop() if part.endswith("(") else part
        node = Tight(node) if part[0] == "~" else node
        found.append(Choice((node, Sequel(()))) if closing.endswith("?") else node)
    return Sequel(tuple(found))


def _atom(part: str) -> Node:
    if part.startswith("{"):
        name, _, kind = part[1:-1].partition(":")
        return Slot(name, kind or "number")
    return literal(_MEASURES if part == "@m" else [part] if part in ("/", "_") else part.split("/"))
