"""A requirement as clauses: each is served when phrases of one card, or a formula, and fillers consume all of it."""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from itertools import groupby
from typing import NamedTuple

from msgspec import Struct

from nexus.adapters.offline.cards import CARDS, Card, Example
from nexus.adapters.offline.reading.tokens import Token, language_of, plain, stem, tokens_of, words_of
from nexus.adapters.offline.writing import formula_example, plan_formula
from nexus.domain.builds.outputs import Language, PlannedTool

_MOST, _LONGEST, _RUN = 20, 300, 8
"""Clauses of a requirement, characters of a clause, and parts of a sentence that may be one clause."""
_FILE = tomllib.loads(files(__package__).joinpath("fillers.toml").read_text(encoding="utf-8"))
WORDS = {name: [word.replace("_", " ") for word in text.split()] for name, text in _FILE["words"].items()}
_FIELDS = {field: (field, *text.split()) for field, text in _FILE["fields"].items()}
_LEADING_ZH = re.compile(f"^(?:{'|'.join(sorted(WORDS['leading_zh'], key=len, reverse=True))})+")
_VERBS_ZH = re.compile(f"[并还能可以会]*(?:{'|'.join(WORDS['verbs_zh'])})")
_ENDING_ZH = re.compile("的(?:智能体|助手|机器人|代理|小?工具|应用|助理)$")
_CALLED_ZH = re.compile("^(.{0,8})(?:名为|名叫)[^\\s,。、并和与及还且能会]{1,12}?的?(智能体|助手|机器人|(?=[\\s,。]))")
_CALLED = re.compile(r"\b(?:called|named) [\w-]+|名(?:为|叫)\S+", re.IGNORECASE)


class Clause(Struct, frozen=True):
    """As written, with the card that speaks of it and its topics, or its formula, and the words that are left over."""

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
        return not self.left and not self.served

    def examples(self, language: Language) -> list[Example]:
        """Messages that show that it is met: of the topics that it names, else of the first topics of its card."""
        if self.formula:
            example = formula_example(self.formula)
            return [Example(example.input, tuple(example.contains))] if example else []
        known = CARDS[self.card].examples.get(language, ()) if self.card else ()
        topics = self.topics or tuple(dict.fromkeys(one.topic for one in known))[:3]
        return [one for topic in topics for one in known if one.topic == topic][: 6 if self.topics else 3]


class _Phrase(NamedTuple):
    """`kind` is a topic of the card, `field`, `manner`, or empty for the whole card and for words that say nothing."""

    words: tuple[str, ...]
    card: str = ""
    kind: str = ""


def clauses_of(requirement: str) -> tuple[list[Clause], list[str]]:
    """What the agent is to do, and how."""
    text = _CALLED_ZH.sub(r"\1\2", plain(requirement).lstrip())
    language, said, manners = language_of(text), dict[str, Clause](), dict[str, str]()
    for clause in (one for sentence in _split(tokens_of(text), "ends") for one in _clauses(text, sentence, language)):
        if len(said) == _MOST and clause.text.casefold() not in said:
            said[""] = Clause(clause.text, left=(clause.text[:80], "…"))
            break
        if not clause.empty:
            said.setdefault(clause.text.casefold(), clause)
        elif clause.manner:
            manners.setdefault(clause.text.casefold(), clause.text)
    return list(said.values()), list(manners.values())[:6]


def _split(tokens: Sequence[Token], at: str) -> Iterator[list[Token]]:
    part: list[Token] = []
    for token in tokens:
        if token.word in WORDS[at] or (token.word == "\n" and at == "ends"):
            yield part
            part = []
        else:
            part.append(token)
    yield part


def _clauses(text: str, tokens: list[Token], language: Language) -> list[Clause]:
    """The longest runs of parts that one card consumes whole; each part by itself where that is understood as well."""
    stop = next((at for at, token in enumerate(tokens) if token.word in WORDS["relatives"] + WORDS["breaks"]), 0)
    named = tokens[:stop] if tokens and tokens[stop].word in WORDS["relatives"] else []
    parts = [part for part in _split(tokens[stop + 1 if named else 0 :], "breaks") if part]
    found = list[Clause]()
    if named and not _is_name(_text(text, named), [_read(_text(text, part), language) for part in parts[:_RUN]]):
        found.append(_read(_text(text, named), language))
    at = 0
    while at < len(parts) and len(found) <= _MOST:
        alone, at = _run(text, parts, at, language)
        for clause in alone:
            before = found[-1] if found else None
            if before is None or not before.left or clause.empty or _has_verb(clause.text):
                found.append(clause)
            else:
                joined = f"{before.text}, {clause.text}"[:_LONGEST]
                found[-1] = Clause(joined, left=(*before.left, clause.text)[:10])
    return found


def _run(text: str, parts: Sequence[list[Token]], at: int, language: Language) -> tuple[list[Clause], int]:
    """The clauses that begin there, and where the next do."""
    for end in range(min(len(parts), at + _RUN), at + 1, -1):
        whole = _read(_text(text, [token for part in parts[at:end] for token in part]), language)
        if whole.served:
            alone = [_read(_text(text, part), language) for part in parts[at:end]]
            agree = all(
                one.empty or (one.served and (one.card == whole.card or len(words_of(one.text)) > 1)) for one in alone
            )
            return alone if agree else [whole], end
    return [_read(_text(text, parts[at]), language)], at + 1


def _has_verb(text: str) -> bool:
    first = next((word for word in words_of(text) if word not in WORDS["leading"]), "")
    return stem(first) in map(stem, WORDS["verbs"]) or _VERBS_ZH.match(text) is not None


def _is_name(name: str, clauses: Sequence[Clause]) -> bool:
    """Whether it only names what the clauses say: nothing, a role, or the card or the field of one of them."""
    cards = {clause.card for clause in clauses if clause.card and clause.served}
    known = [*WORDS["roles"], *(word for card in cards for word in _FIELDS.get(CARDS[card].category, ()))]
    shown = re.sub("|".join(rf"\b{word}\b" if word.isascii() else word for word in known), " ", name, flags=re.I)
    clause = _read(_CALLED.sub(" ", shown).strip(), "en")
    return clause.empty or (clause.served and clause.card in cards)


def _text(text: str, tokens: Sequence[Token]) -> str:
    """What these say, from the first to the last, without what only leads to it."""
    if not tokens:
        return ""
    first = next((token for token in tokens if token.word not in WORDS["leading"]), tokens[0])
    shown = re.sub(r"\s+", " ", text[first.start : tokens[-1].end]).strip()
    return _ENDING_ZH.sub("", _LEADING_ZH.sub("", shown)) or shown


def read_clause(text: str, language: Language) -> Clause:
    """A clause by itself, as it stands in a functional requirement."""
    return _read(plain(text), language)


@lru_cache(maxsize=4096)
def _read(shown: str, language: Language) -> Clause:
    if len(shown) > _LONGEST:
        return Clause(f"{shown[: _LONGEST - 1]}…", left=(f"{shown[:80]}…",))
    tokens = [token for token in tokens_of(shown) if token.word[0].isalnum() or token.word == "…"]
    words = [stem(token.word) for token in tokens]
    silent, manner = set[int](), set[int]()
    for phrase, places in _matches(words, _fillers(language)):
        (manner if phrase.kind else silent).update(places)
    harmless = silent | {at for at in manner if words[at] not in map(stem, WORDS["telling"])}
    best = min(_readings(words, harmless, language), key=lambda one: (len(one[2]), -one[3]), default=None)
    if (best is None or best[2]) and (formula := _formula(shown, words, harmless)):
        return Clause(shown, formula=formula)
    left = best[2] if best else [at for at in range(len(words)) if at not in silent | manner]
    spans = _spans(shown, tokens, left)
    if best:
        return Clause(shown, card=best[0], topics=best[1], left=spans)
    return Clause(shown, left=spans, manner=bool(manner) and not left)


def _readings(
    words: Sequence[str], harmless: set[int], language: Language
) -> Iterator[tuple[str, tuple[str, ...], list[int], int]]:
    """By card that has a phrase in it: the topics, the places that are left over, and how many its phrases cover."""
    matches = defaultdict[str, list[tuple[_Phrase, range]]](list)
    for phrase, places in _matches(words, _phrases()):
        matches[phrase.card].append((phrase, places))
    for card, found in matches.items():
        shown = {one.topic for one in CARDS[card].examples.get(language, ())}
        if not shown or all(phrase.kind == "field" for phrase, _ in found):
            continue
        covered = {at for phrase, places in found for at in places if phrase.kind in {"", "field", *shown}}
        strange = {at for phrase, places in found for at in places} - covered
        topics = tuple(dict.fromkeys(phrase.kind for phrase, _ in found if phrase.kind not in ("", "field")))
        own = _vocabulary(CARDS[card], topics)
        left = strange | {at for at, word in enumerate(words) if at not in covered | harmless and word not in own}
        yield card, topics, sorted(left), len(covered)


def _formula(shown: str, words: Sequence[str], harmless: set[int]) -> PlannedTool | None:
    """The tool for a formula that the clause spells out, where it says nothing else."""
    if (tool := plan_formula(shown)) is None:
        return None
    said = set(_keys(tool.purpose.replace("_", " ")))
    known = {*said, *map(stem, WORDS["spoken"])}
    whole = all(at in harmless or word in known for at, word in enumerate(words))
    return tool if whole and not said & {*map(stem, WORDS["conditions"])} else None


def _matches(words: Sequence[str], phrases: Mapping[str, Sequence[_Phrase]]) -> Iterator[tuple[_Phrase, range]]:
    for start, word in enumerate(words):
        for phrase in phrases.get(word, ()):
            end = start + len(phrase.words)
            if tuple(words[start:end]) == phrase.words:
                yield phrase, range(start, end)


def _keys(text: str) -> tuple[str, ...]:
    return tuple(map(stem, words_of(text)))


def _indexed(phrases: Iterable[_Phrase]) -> Mapping[str, Sequence[_Phrase]]:
    found = defaultdict[str, list[_Phrase]](list)
    for phrase in phrases:
        if phrase.words:
            found[phrase.words[0]].append(phrase)
    return found


@cache
def _phrases() -> Mapping[str, Sequence[_Phrase]]:
    """Those of all cards by their first word."""
    said = [
        (phrase, card.tool, kind)
        for card in CARDS.values()
        for kind, phrases in {**card.topics, "": card.requests, "field": _FIELDS.get(card.category, ())[1:]}.items()
        for phrase in phrases
    ]
    whole_first = sorted(said, key=lambda one: one[2] != "")
    return _indexed(_Phrase(_keys(phrase), card, kind) for phrase, card, kind in whole_first)


@cache
def _fillers(language: Language) -> Mapping[str, Sequence[_Phrase]]:
    manners = [*WORDS["manners"], *WORDS[language]]
    silent = [_Phrase(_keys(phrase)) for phrase in (*WORDS["fillers"], *WORDS["breaks"])]
    return _indexed([*silent, *(_Phrase(_keys(phrase), kind="manner") for phrase in manners)])


def _vocabulary(card: Card, topics: tuple[str, ...]) -> frozenset[str]:
    """The Latin words of its phrases and of those of the named topics: beside a whole phrase they say nothing new."""
    phrases = [*card.requests, *(phrase for topic in topics for phrase in card.topics[topic]), card.category]
    return frozenset(word for phrase in phrases for word in _keys(phrase) if word.isascii())


def _spans(text: str, tokens: Sequence[Token], places: Sequence[int]) -> tuple[str, ...]:
    """The words at these places, as written; neighbours together."""
    runs = [[at for _, at in run] for _, run in groupby(enumerate(places), key=lambda pair: pair[1] - pair[0])]
    return tuple(text[tokens[run[0]].start : tokens[run[-1]].end][:80] for run in runs)
