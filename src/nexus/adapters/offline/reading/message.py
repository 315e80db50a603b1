"""A message as the frames of cards read it: what is asked, and the material that came with it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from msgspec import Struct

from nexus.adapters.offline.reading.patterns import Choice, Literal, Node, Sequel, Slot, Tight
from nexus.adapters.offline.reading.slots import KINDS, OF_MATERIAL, SEPARATORS, Source
from nexus.adapters.offline.reading.tokens import plain, tokens_of
from nexus.adapters.offline.reading.words import FILLERS

_LONGEST, _MOST_TOKENS, _STEPS, _SKIPPED = 400, 200, 12_000, 8
_MATERIAL = re.compile(r"[:：](?!//)(?!\d\d)")
_FENCED = re.compile(r"```(?:[a-z]*\n)?")


class Bound(Struct, frozen=True):
    """What a slot holds, whether it is the material, and where two readings are possible, both of them."""

    name: str
    value: Any
    doubt: tuple[str, ...] = ()
    material: bool = False


Choices = Mapping[str, Sequence[tuple[Literal, Any]]]
Match = tuple[int, tuple[Bound, ...]]


class Asked(Struct, frozen=True):
    """One way to part a message: what is asked, and the material."""

    text: str
    material: str | None = None


def partings(message: str) -> Iterator[Asked]:
    """Every way to part a message into a question and material, the surest first, each in time linear in its length."""
    text = message.strip()
    if len(fenced := _FENCED.split(text)) == 3:
        yield Asked(f"{fenced[0]}\n{fenced[2]}", fenced[1].strip("\n"))
    if "\n" in text:
        yield from _by_lines(text.split("\n"), max(",;\t|", key=text.count))
    if (colon := _MATERIAL.search(text)) and text[colon.end() :].strip():
        yield Asked(text[: colon.start()], text[colon.end() :].strip())
    yield Asked(text)


def _by_lines(lines: list[str], mark: str) -> Iterator[Asked]:
    """A table and what stands around it; else all but the first line, or all but the last, as material."""
    counts = [line.count(mark) for line in lines]
    head = next((at for at, many in enumerate(counts[:-1]) if many and many == counts[at + 1]), None)
    if head is not None:
        end = next((at for at in range(head, len(lines)) if counts[at] != counts[head]), len(lines))
        if not any(counts[end:]):
            yield Asked("\n".join(lines[:head] + lines[end:]), "\n".join(lines[head:end]))
    yield Asked(lines[0], "\n".join(lines[1:]).strip("\n"))
    yield Asked(lines[-1], "\n".join(lines[:-1]).strip("\n"))


class Message(Source):
    """The tokens of a question, matched with patterns. `furthest` is the last token that any of them came to."""

    def __init__(self, asked: Asked, today: date, lists: Mapping[str, tuple[Node, ...]], choices: Choices) -> None:
        text = plain(asked.text) if len(asked.text) <= _LONGEST else ""
        tokens = tokens_of(text)
        self.readable = 0 < len(tokens) <= _MOST_TOKENS
        super().__init__(text, tokens if self.readable else [], today, asked.material)
        self.asked, self.steps, self.furthest, self.lists, self.choices = asked, _STEPS, 0, lists, choices
        self._reach: dict[int, list[int]] = {}

    def reach(self, at: int) -> list[int]:
        """The places that are `at` or lie behind harmless words from there, at most so many."""
        if at not in self._reach:
            found = [at]
            for place in found:
                found += [end for end in self.literal(FILLERS, place) if end not in found and len(found) < _SKIPPED]
            self._reach[at] = sorted(found)
        return self._reach[at]

    def match(self, node: Node, at: int, tight: bool = False) -> Iterator[Match]:
        """All ways in which a pattern consumes tokens from a place on; `tight`, without harmless words before."""
        self.steps -= 1
        if self.steps < 0:
            return
        if isinstance(node, Choice):
            for part in node.parts:
                yield from self.match(part, at, tight)
        elif isinstance(node, Sequel):
            yield from self._sequel(node.parts, at, tight)
        elif isinstance(node, Tight):
            yield from self.match(node.part, at, True)
        else:
            for place in [at] if tight else self.reach(at):
                self.furthest = max(self.furthest, place)
                yield from self._atom(node, place)

    def _sequel(self, parts: tuple[Node, ...], at: int, tight: bool) -> Iterator[Match]:
        if not parts:
            yield at, ()
            return
        for end, bound in self.match(parts[0], at, tight):
            for last, more in self._sequel(parts[1:], end, tight and end == at):
                yield last, bound + more

    def _atom(self, node: Literal | Slot, at: int) -> Iterator[Match]:
        if isinstance(node, Literal):
            yield from ((end, ()) for end in self.literal(node.words, at))
        elif node.kind in self.lists:
            yield from self._list(node, at)
        elif node.kind in self.choices:
            found = [(end, value) for said, value in self.choices[node.kind] for end in self.literal(said.words, at)]
            yield from ((end, (Bound(node.name, value),)) for end, value in sorted(found, key=lambda one: -one[0]))
        else:
            kind, _, detail = node.kind.partition("=")
            is_material = kind in OF_MATERIAL and at == len(self.tokens)
            for end, value, doubt in KINDS.get(kind, KINDS[""])(self, at, detail or kind):
                yield end, (Bound(node.name, value, doubt, is_material),)

    def _list(self, slot: Slot, at: int) -> Iterator[Match]:
        """Entries of a pattern of the card's own, one behind the other."""
        entries: list[dict[str, Any]] = []
        stops: list[Match] = []
        while found := next((match for one in self.lists[slot.kind] for match in self.match(one, at)), None):
            if found[0] <= at or any(one.doubt for one in found[1]):
                break
            entries.append({one.name: one.value for one in found[1]})
            stops.append((found[0], (Bound(slot.name, list(entries)),)))
            at = found[0]
            while self.word(at) in (*SEPARATORS, "plus", "with", "加"):
                at += 1
        yield from reversed(stops)
