"""A message as the frames of cards read it: what is asked, and the material that came with it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from msgspec import Struct

from nexus.adapters.offline.reading.patterns import Item, Words
from nexus.adapters.offline.reading.slots import KINDS, Source
from nexus.adapters.offline.reading.tokens import plain, tokens_of
from nexus.adapters.offline.reading.words import FILLERS, LIGHT

_LONGEST, _MOST_TOKENS, _STEPS = 400, 200, 40_000
_MATERIAL = re.compile(r"[:：](?!//)(?!\d\d)")
_FENCED = re.compile(r"```(?:[a-z]*\n)?")
Bound = dict[str, Any]


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


class Reader(Struct, frozen=True, kw_only=True):
    """What one frame reads: each of `once` at most once, `often` any number of times, as entries of the list `into`;
    `words` of which it wants one (a slot `about` will do where it has none), `beside` that may stand anywhere, `never`
    that may stand nowhere, and `values` of slots by what is said for them."""

    once: Sequence[tuple[Item, ...]]
    often: Sequence[tuple[Item, ...]] = ()
    into: str = ""
    never: Sequence[tuple[Item, ...]] = ()
    words: Words = {}
    beside: Words = {}
    values: Mapping[str, Sequence[tuple[Words, Any]]] = {}


class Message(Source):
    """The tokens of a question. `furthest` is the last token that any reader came to."""

    def __init__(self, asked: Asked, today: date) -> None:
        text = plain(asked.text) if len(asked.text) <= _LONGEST else ""
        tokens = tokens_of(text)
        self.readable = 0 < len(tokens) <= _MOST_TOKENS
        super().__init__(text, tokens if self.readable else [], today, asked.material)
        self.steps, self.furthest = _STEPS, 0

    def read(self, reader: Reader, *, evident: bool) -> Iterator[Bound]:
        """What the slots hold in every way to consume the whole message and its material; `evident` without a word."""
        is_barred = any(
            True for one in reader.never for at in range(len(self.tokens)) for _ in self._match(one, reader, at)
        )
        open_: list[tuple[int, bool, Bound]] = [(0, evident, {})] if self.readable and not is_barred else []
        seen = set[tuple[int, bool, frozenset[str]]]()
        while open_ and self.steps > 0:
            at, evident, bound = open_.pop()
            if (state := (at, evident, frozenset(bound))) in seen:
                continue
            seen.add(state)
            self.furthest = max(self.furthest, at)
            if at == len(self.tokens) and evident and (self.material is None or self.material in bound.values()):
                yield bound
            more = [one for one in self._matches(reader.once, reader, at) if not one[1].keys() & bound.keys()]
            found = [(end, evident or ("about" in one and not reader.words), {**bound, **one}) for end, one in more]
            entries, more = bound.get(reader.into, ()), self._matches(reader.often, reader, at)
            found += [(end, evident, {**bound, reader.into: [*entries, one]}) for end, one in more]
            found += [(end, True, bound) for end in self.literal(reader.words, at)]
            beside = () if self.cells(at) else (reader.beside, FILLERS)
            found += [(end, evident, bound) for words in beside for end in self.literal(words, at)]
            open_ += reversed(found)

    def _matches(self, patterns: Sequence[tuple[Item, ...]], reader: Reader, at: int) -> list[tuple[int, Bound]]:
        return [(end, bound) for one in patterns for end, bound in self._match(one, reader, at) if bound]

    def _match(self, items: tuple[Item, ...], reader: Reader, at: int) -> Iterator[tuple[int, Bound]]:
        """All ways in which a pattern consumes tokens from a place on."""
        self.steps -= 1
        if not items or self.steps < 0:
            yield from [(at, {})] if not items else []
            return
        item, rest = items[0], items[1:]
        for end, bound in self._item(item, reader, at):
            behind = [end]
            for place in behind if rest else ():
                behind += [stop for stop in self.literal(LIGHT, place) if stop not in behind and len(behind) < 4]
            for place in behind:
                yield from (
                    (stop, {**bound, **more})
                    for stop, more in self._match(rest, reader, place)
                    if not bound.keys() & more
                )
        if item.optional:
            yield from self._match(rest, reader, at)

    def _item(self, item: Item, reader: Reader, at: int) -> Iterator[tuple[int, Bound]]:
        if item.words:
            yield from ((end, {}) for end in self.literal(item.words, at))
        elif item.kind in reader.values:
            choices = reader.values[item.kind]
            found = [(end, value) for words, value in choices for end in self.literal(words, at)]
            yield from ((end, {item.name: value}) for end, value in sorted(found, key=lambda one: -one[0]))
        else:
            kind, _, detail = item.kind.partition("=")
            names = item.name.split("+")
            for end, value in KINDS.get(kind, KINDS[""])(self, at, detail or kind):
                yield end, dict(zip(names, value if len(names) > 1 else [value], strict=True))
