"""A message as the frames of cards read it: what is asked, and the material that came with it."""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from nexus.adapters.offline.cards import Card, Frame
from nexus.adapters.offline.reading.patterns import Item, parse_pattern, parse_phrases
from nexus.adapters.offline.reading.slots import KINDS, Source
from nexus.adapters.offline.reading.tokens import normalize_text, tokenize_text
from nexus.adapters.offline.reading.words import FILLERS, FOLLOWING, LIGHT

_LONGEST, _MOST_TOKENS, STEPS = 400, 200, 40_000
_MATERIAL = re.compile(r"[:：](?!//)(?!\d\d)")
_FENCED = re.compile(r"```(?:[a-z]*\n)?")
Bound = dict[str, Any]


def list_question_data_splits(message: str) -> Iterator[tuple[str, str | None]]:
    """Every way to part a message into a question and material, the surest first, each in time linear in its length."""
    text = message.strip()
    if len(fenced := _FENCED.split(text)) == 3:
        yield f"{fenced[0]}\n{fenced[2]}", fenced[1].strip("\n")
    if "\n" in text:
        yield from _list_splits_by_line(text.split("\n"), max(",;\t|", key=text.count))
    if (colon := _MATERIAL.search(text)) and text[colon.end() :].strip():
        yield text[: colon.start()], text[colon.end() :].strip()
    yield text, None


def _list_splits_by_line(lines: list[str], mark: str) -> Iterator[tuple[str, str | None]]:
    """A table and what stands around it; else all but the first line, or all but the last, as material."""
    counts = [line.count(mark) for line in lines]
    head = next((at for at, many in enumerate(counts[:-1]) if many and many == counts[at + 1]), None)
    if head is not None:
        end = next((at for at in range(head, len(lines)) if counts[at] != counts[head]), len(lines))
        if not any(counts[end:]):
            yield "\n".join(lines[:head] + lines[end:]), "\n".join(lines[head:end])
    yield lines[0], "\n".join(lines[1:]).strip("\n")
    yield lines[-1], "\n".join(lines[:-1]).strip("\n")


class Message(Source):
    """The tokens of a question. `furthest` is the last token that any frame came to."""

    def __init__(self, text: str, material: str | None, today: date) -> None:
        text = normalize_text(text) if len(text) <= _LONGEST else ""
        tokens = tokenize_text(text)
        self.readable = 0 < len(tokens) <= _MOST_TOKENS
        super().__init__(text, tokens if self.readable else [], today, material)
        self.steps, self.furthest = STEPS, 0

    def match_frame(self, card: Card, frame: Frame, *, follows: bool = False, evident: bool = False) -> Iterator[Bound]:
        """What the slots of a frame hold in every way to consume the whole message and its material; a frame that `follows`
        may be asked by the words of one who goes on, an `evident` one without a word of its own."""
        words, beside = (
            parse_phrases(*(frame.words or card.words)),
            parse_phrases(*card.glue, *([FOLLOWING] if follows else [])),
        )
        say, into = (*frame.say, *(card.follows if follows else ())), frame.into or "each"
        barred = (
            end
            for one in frame.never
            for at in range(len(self.words))
            for end in self._match_pattern(card, parse_pattern(one), at)
        )
        is_barred = next(barred, None) is not None
        open_: list[tuple[int, bool, Bound]] = (
            [(0, evident or frame.bare, {})] if self.readable and not is_barred else []
        )
        seen = set[tuple[int, bool, frozenset[str]]]()
        while open_ and self.steps > 0:
            at, evident, bound = open_.pop()
            if (state := (at, evident, frozenset(bound))) in seen:
                continue
            seen.add(state)
            self.furthest = max(self.furthest, at)
            if at == len(self.tokens) and evident and (self.material is None or self.material in bound.values()):
                yield bound
            fits = [one for one in self._match_patterns(card, say, at) if not one[1].keys() & bound.keys()]
            found = [(end, evident or ("about" in one and not words), {**bound, **one}) for end, one in fits]
            entries, fits = bound.get(into, ()), self._match_patterns(card, frame.often, at)
            found += [(end, evident, {**bound, into: [*entries, one]}) for end, one in fits]
            found += [(end, True, bound) for end in self.list_phrase_ends(words, at)]
            skipped = () if self.is_table_cell_at(at) else (beside, FILLERS)
            found += [(end, evident, bound) for one in skipped for end in self.list_phrase_ends(one, at)]
            open_ += reversed(found)

    def _match_patterns(self, card: Card, patterns: Sequence[str], at: int) -> list[tuple[int, Bound]]:
        return [
            (end, bound)
            for one in patterns
            for end, bound in self._match_pattern(card, parse_pattern(one), at)
            if bound
        ]

    def _match_pattern(self, card: Card, items: tuple[Item, ...], at: int) -> Iterator[tuple[int, Bound]]:
        """All ways in which a pattern consumes tokens from a place on."""
        self.steps -= 1
        if not items or self.steps < 0:
            yield from [(at, {})] if not items else []
            return
        rest = items[1:]
        for end, bound in self._match_pattern_item(card, items[0], at):
            behind = [end]
            for place in behind if rest else ():
                behind += [
                    stop for stop in self.list_phrase_ends(LIGHT, place) if stop not in behind and len(behind) < 4
                ]
            ways = [way for place in behind for way in self._match_pattern(card, rest, place)]
            yield from ((stop, {**bound, **more}) for stop, more in ways if not bound.keys() & more)
        if items[0].optional:
            yield from self._match_pattern(card, rest, at)

    def _match_pattern_item(self, card: Card, item: Item, at: int) -> Iterator[tuple[int, Bound]]:
        if item.words:
            yield from ((end, {}) for end in self.list_phrase_ends(item.words, at))
        elif item.kind in card.values:
            said = [(value, parse_phrases(*words.split())) for value, words in card.values[item.kind].items()]
            found = [(end, value) for value, words in said for end in self.list_phrase_ends(words, at)]
            yield from ((end, {item.name: value}) for end, value in sorted(found, reverse=True))
        else:
            kind, _, detail = item.kind.partition("=")
            names = item.name.split("+")
            for end, value in KINDS.get(kind, KINDS[""])(self, at, detail or kind):
                yield end, dict(zip(names, value if len(names) > 1 else [value], strict=True))
