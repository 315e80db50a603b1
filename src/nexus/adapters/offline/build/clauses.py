"""A requirement as clauses: what the agent is to do, each consumed whole by one card or not at all, and the manner of it.

A clause is understood when every word of it is a phrase of one card, a word of such a phrase, or says nothing (`fillers`). What is
left over is named."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple

from msgspec import Struct

from nexus.adapters.offline.build import fillers
from nexus.adapters.offline.cards import CARDS, Card, Example
from nexus.adapters.offline.reading.tokens import Token, language_of, plain, stem, tokens_of, words_of
from nexus.adapters.offline.writing import plan_formula
from nexus.domain.builds.outputs import Language, PlannedTool

MOST = 20
"""Clauses of a requirement; what lies beyond is one more, and not understood."""
_LONGEST = 300
_FIELD = "field"
"""In place of a topic: the phrase only says in which field the card lies."""
_MANNER = "manner"
_RUN = 8
"""So many parts of a sentence may be one clause."""


class Clause(Struct, frozen=True):
    """A clause as written, the card that speaks of it with the topics that it names, and the words that were not understood."""

    text: str
    card: str | None = None
    topics: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    formula: PlannedTool | None = None
    manner: bool = False

    @property
    def served(self) -> bool:
        return not self.left and (self.card is not None or self.formula is not None)

    @property
    def empty(self) -> bool:
        """Whether it says nothing of what the agent is to do."""
        return not self.left and not self.served


class _Phrase(NamedTuple):
    words: tuple[str, ...]
    card: str
    topic: str = ""


class _Match(NamedTuple):
    start: int
    end: int
    phrase: _Phrase


def clauses_of(requirement: str) -> tuple[list[Clause], list[str]]:
    """What the agent is to do, and how."""
    text = plain(requirement)
    said, manners = dict[str, Clause](), dict[str, str]()
    for clause in (one for sentence in _sentences(text) for one in _clauses(sentence, language_of(text))):
        if len(said) == MOST and clause.text.casefold() not in said:
            said[""] = Clause(clause.text, left=(clause.text[:80], "…"))
            break
        if not clause.empty:
            said.setdefault(clause.text.casefold(), clause)
        elif clause.manner:
            manners.setdefault(clause.text.casefold(), clause.text)
    return list(said.values()), list(manners.values())[:6]


def read_clause(text: str, language: Language) -> Clause:
    """A clause by itself, as it stands in a functional requirement."""
    return _read(plain(text), language)


def examples_of(clause: Clause, language: Language) -> list[Example]:
    """What the card of a clause answers, in the language, of the topics that the clause names; of all of it where it names none."""
    if clause.card is None:
        return []
    known = CARDS[clause.card].examples.get(language, ())
    if clause.topics:
        return [one for topic in clause.topics for one in known if one.topic == topic][:6]
    return list({one.topic: one for one in reversed(known)}.values())[::-1][:3]


def _sentences(text: str) -> Iterator[tuple[str, list[Token]]]:
    """With the text that the places of their tokens are of."""
    sentence: list[Token] = []
    for token in tokens_of(text):
        if token.word in fillers.ENDS:
            yield text, sentence
            sentence = []
        else:
            sentence.append(token)
    yield text, sentence


def _clauses(sentence: tuple[str, list[Token]], language: Language) -> list[Clause]:
    """The longest runs of parts that one card consumes whole; each part by itself where that is understood as well."""
    text, tokens = sentence
    name, tokens = _named(text, tokens)
    parts = [part for part in _parts(tokens) if part]
    found = list[Clause]()
    if name and not _is_name(_text(text, [name]), [_read(_text(text, [part]), language) for part in parts[:_RUN]]):
        found.append(_read(_text(text, [name]), language))
    at = 0
    while at < len(parts) and len(found) <= MOST:
        end, clause = _longest(text, parts, at, language)
        alone = [_read(_text(text, [part]), language) for part in parts[at:end]]
        aside = text[: parts[at][0].start].rstrip().endswith("(")
        for one in alone if all(_agrees(other, clause) for other in alone) else [clause]:
            _append(found, one, aside=aside)
        at = end
    return found


def _agrees(part: Clause, whole: Clause) -> bool:
    """Whether a part of a run stands by itself: a single word does only where it means what it does in the run."""
    alone = part.card == whole.card or len(words_of(part.text)) > 1
    return part.empty or (part.served and alone)


def _append(found: list[Clause], clause: Clause, *, aside: bool) -> None:
    """A clause without a verb goes on with the one before it, and what is done with it is not understood where that was not. One in
    brackets that names the same once more says nothing new."""
    before = found[-1] if found else None
    if before is None or _has_verb(clause.text):
        found.append(clause)
    elif before.left and not clause.empty:
        found[-1] = Clause(f"{before.text}, {clause.text}"[:_LONGEST], left=(*before.left, clause.text)[:10])
    elif not (aside and clause.served and clause.card == before.card and {*clause.topics} <= {*before.topics}):
        found.append(clause)


def _has_verb(text: str) -> bool:
    first = next((word for word in words_of(text) if word not in fillers.LEADING), "")
    return _key(first) in fillers.VERBS or re.match(fillers.VERBS_ZH, text) is not None


def _longest(text: str, parts: Sequence[Sequence[Token]], at: int, language: Language) -> tuple[int, Clause]:
    for end in range(min(len(parts), at + _RUN), at, -1):
        clause = _read(_text(text, parts[at:end]), language)
        if clause.served or end == at + 1:
            return end, clause
    raise AssertionError("a run has at least one part")


def _named(text: str, tokens: list[Token]) -> tuple[list[Token], list[Token]]:
    """What a sentence calls the agent (before the first `that` or colon; in Chinese also after the last `的`), and the rest of it."""
    for at, token in enumerate(tokens):
        called = token.word in fillers.BREAKS and fillers.NAMES.search(_text(text, [tokens[:at]]))
        if token.word in fillers.RELATIVES or called:
            return tokens[:at], tokens[at + 1 :]
        if token.word in fillers.BREAKS:
            break
    ends = [at for at, token in enumerate(tokens) if token.word == "的"][-1:]
    if ends and re.fullmatch(fillers.NAMES_ZH, _text(text, [tokens[ends[0] + 1 :]])):
        return tokens[ends[0] + 1 :], tokens[: ends[0]]
    return [], tokens


def _is_name(name: str, clauses: Sequence[Clause]) -> bool:
    """Whether it only names what the clauses say: nothing, a role, or the card or the field of one of them."""
    cards = [CARDS[clause.card] for clause in clauses if clause.card and clause.served]
    fields = {word for card in cards for word in _fields(card)}
    called = re.sub(
        "|".join(rf"\b{word}\b" if word.isascii() else word for word in [*fields, *fillers.ROLES]),
        " ",
        name,
        flags=re.I,
    )
    known = _read(fillers.CALLED.sub(" ", called).strip(), "en")
    return known.empty or (known.served and known.card in {card.tool for card in cards})


def _parts(sentence: Sequence[Token]) -> Iterator[list[Token]]:
    """Falls a sentence at commas, brackets and words such as `and`."""
    part: list[Token] = []
    for token in sentence:
        if token.word in fillers.BREAKS:
            yield part
            part = []
        else:
            part.append(token)
    yield part


def _text(text: str, parts: Sequence[Sequence[Token]]) -> str:
    """What these parts say, from the first to the last, without what only leads to it."""
    tokens = [token for part in parts for token in part]
    if not tokens:
        return ""
    first = next((token for token in tokens if token.word not in fillers.LEADING), tokens[0])
    shown = re.sub(r"\s+", " ", text[first.start : tokens[-1].end]).strip()
    return re.sub(fillers.LEADING_ZH, "", shown) or shown


@lru_cache(maxsize=4096)
def _read(shown: str, language: Language) -> Clause:
    if len(shown) > _LONGEST:
        return Clause(f"{shown[: _LONGEST - 1]}…", left=(f"{shown[:80]}…",))
    tokens = [token for token in tokens_of(shown) if token.word[0].isalnum() or token.word == "…"]
    words = [_key(token.word) for token in tokens]
    silent, manner = _harmless(words, language)
    telling = {at for at, word in enumerate(words) if word in fillers.TELLING}
    harmless = silent | (manner - telling)
    best = min(_readings(words, harmless, language), key=lambda one: (len(one[2]), -one[3]), default=None)
    if (best is None or best[2]) and (formula := _formula(shown, words, harmless)):
        return Clause(shown, formula=formula)
    if best is None:
        left = [at for at in range(len(words)) if at not in silent | manner]
        return Clause(shown, left=_spans(shown, tokens, left), manner=bool(manner) and not left)
    card, topics, left, _ = best
    return Clause(shown, card=card, topics=topics, left=_spans(shown, tokens, left))


def _readings(
    words: Sequence[str], harmless: set[int], language: Language
) -> Iterator[tuple[str, tuple[str, ...], list[int], int]]:
    """By card that has a phrase in it: the topics, the places that are left over, and how many its phrases cover."""
    matches: dict[str, list[_Match]] = defaultdict(list)
    for match in _matches(words, _phrases()):
        matches[match.phrase.card].append(match)
    for card, found in matches.items():
        covered = {at for match in found for at in range(match.start, match.end)}
        if all(match.phrase.topic == _FIELD for match in found):
            continue
        topics = tuple(dict.fromkeys(one.phrase.topic for one in found if one.phrase.topic not in ("", _FIELD)))
        shown = [topic for topic in topics if not _has_example(CARDS[card], topic, language)]
        own = _vocabulary(card, topics)
        left = [at for at, word in enumerate(words) if at not in covered | harmless and word not in own]
        strange = [at for match in found if match.phrase.topic in shown for at in range(match.start, match.end)]
        if CARDS[card].examples.get(language):
            yield card, topics, sorted({*left, *strange}), len(covered)


def _has_example(card: Card, topic: str, language: Language) -> bool:
    return any(one.topic == topic for one in card.examples.get(language, ()))


def _formula(shown: str, words: Sequence[str], harmless: set[int]) -> PlannedTool | None:
    """The tool for a formula that the clause spells out, where it says nothing else."""
    if (tool := plan_formula(shown)) is None:
        return None
    said = {_key(word) for word in words_of(tool.purpose.replace("_", " "))}
    whole = all(at in harmless or word in said | fillers.SPOKEN for at, word in enumerate(words))
    return tool if whole and not said & fillers.CONDITIONS else None


def _harmless(words: Sequence[str], language: Language) -> tuple[set[int], set[int]]:
    """The places of words that say nothing of what is to be done, and of those that say how."""
    silent, manner = set[int](), set[int]()
    for match in _matches(words, _silent(language)):
        (manner if match.phrase.topic == _MANNER else silent).update(range(match.start, match.end))
    return silent, manner


def _matches(words: Sequence[str], phrases: Mapping[str, Sequence[_Phrase]]) -> Iterator[_Match]:
    for start, word in enumerate(words):
        for phrase in phrases.get(word, ()):
            end = start + len(phrase.words)
            if tuple(words[start:end]) == phrase.words:
                yield _Match(start, end, phrase)


def _key(word: str) -> str:
    return stem(word) if word.isascii() else word


def _indexed(phrases: Iterable[_Phrase]) -> Mapping[str, Sequence[_Phrase]]:
    found: dict[str, list[_Phrase]] = defaultdict(list)
    for phrase in phrases:
        if phrase.words:
            found[phrase.words[0]].append(phrase)
    return found


def _keys(text: str) -> tuple[str, ...]:
    return tuple(map(_key, words_of(text)))


@cache
def _phrases() -> Mapping[str, Sequence[_Phrase]]:
    """Those of all cards by their first word."""
    whole = [_Phrase(_keys(phrase), card.tool) for card in CARDS.values() for phrase in card.requests]
    parts = [
        _Phrase(_keys(phrase), card.tool, topic)
        for card in CARDS.values()
        for topic, phrases in card.topics.items()
        for phrase in phrases
    ]
    fields = [_Phrase(_keys(field), card.tool, _FIELD) for card in CARDS.values() for field in _fields(card)[1:]]
    return _indexed([*whole, *parts, *fields])


@cache
def _silent(language: Language) -> Mapping[str, Sequence[_Phrase]]:
    spoken = fillers.MANNERS + fillers.LANGUAGES[language]
    manners = [_Phrase(_keys(phrase), "", _MANNER) for phrase in spoken]
    return _indexed([*(_Phrase(_keys(phrase), "") for phrase in (*fillers.FILLERS, *fillers.BREAKS)), *manners])


@cache
def _vocabulary(card: str, topics: tuple[str, ...]) -> frozenset[str]:
    """The Latin words of a card's phrases, and of those of the topics that are named: beside a whole phrase they say nothing new."""
    known = CARDS[card]
    phrases = [*known.requests, *(phrase for topic in topics for phrase in known.topics[topic]), known.category]
    return frozenset(word for phrase in phrases for word in _keys(phrase) if word.isascii())


def _fields(card: Card) -> tuple[str, ...]:
    """What the field of a card is called."""
    return card.category, *fillers.FIELDS_ZH.get(card.category, ())


def _spans(text: str, tokens: Sequence[Token], places: Sequence[int]) -> tuple[str, ...]:
    """The words at these places, as written; neighbours together."""
    spans: list[list[int]] = [[places[0], places[0]]] if places else []
    for before, at in pairwise(places):
        if at == before + 1:
            spans[-1][1] = at
        else:
            spans.append([at, at])
    return tuple(text[tokens[first].start : tokens[last].end][:80] for first, last in spans)
