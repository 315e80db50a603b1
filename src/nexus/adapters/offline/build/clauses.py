"""A requirement as clauses: each is served when phrases of one card, and fillers, consume all of it."""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from itertools import groupby
from typing import NamedTuple

from msgspec import Struct

from nexus.adapters.offline.cards import CARDS, Example
from nexus.adapters.offline.reading.tokens import (
    Token,
    detect_language,
    normalize_text,
    split_words,
    stem_word,
    tokenize_text,
)
from nexus.domain.builds.documents import translate_category
from nexus.domain.builds.outputs import Language

_MOST, _LONGEST, _RUN = 20, 300, 8
"""Clauses of a requirement, characters of a clause, and parts of a sentence that may be one clause."""
WORDS = {
    kind: tuple(word.replace("_", " ") for word in text.split())
    for kind, text in tomllib.loads(files(__package__).joinpath("words.toml").read_text(encoding="utf-8")).items()
}
_NAME = re.compile(
    r"(?:\b(agent|assistant|bot|chatbot|helper|app|tool|planner|calculator|converter) (?:called|named) |名为|名叫|叫做|取名)"
    r"[\"']?([a-z][a-z0-9_-]{1,30}(?-i: [A-Z][A-Za-z0-9_-]{1,30})?\b|[^\s,.。、:\"'并和与及还且能会的]{2,20})[\"']?"
    r"的?(?=智能体|助手|机器人|[\s,.。:并能会]|$)", re.IGNORECASE,
)  # fmt: skip


class Clause(Struct, frozen=True):
    """As written, with the card that speaks of it and its topics, and the words that are left over."""

    text: str
    card: str = ""
    topics: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    is_manner: bool = False

    @property
    def is_supported(self) -> bool:
        return self.card != "" and not self.left

    @property
    def is_empty(self) -> bool:
        return not (self.card or self.left)

    def list_examples(self, language: Language) -> list[Example]:
        """Messages that show that it is met: of the topics that it names, else of the first topics of its card."""
        known = CARDS[self.card].examples.get(language, ()) if self.is_supported else ()
        topics = self.topics or tuple(dict.fromkeys(one.topic for one in known))[:3]
        return [one for topic in topics for one in known if one.topic == topic][: 6 if self.topics else 3]


def split_off_agent_name(requirement: str) -> tuple[str, str]:
    """What the requirement calls its agent, if anything, and the plain text without that."""
    text = normalize_text(requirement)
    found = _NAME.search(text)
    return (found[2], text[: found.start()] + (found[1] or "") + text[found.end() :]) if found else ("", text)


def parse_requirement_clauses(requirement: str) -> tuple[list[Clause], list[str]]:
    """What the agent is to do, and how."""
    text = split_off_agent_name(requirement)[1]
    language, said, manners = detect_language(text), dict[str, Clause](), dict[str, None]()
    for clause in (
        one
        for part in _split_tokens_at_words(tokenize_text(text), "ends")
        for one in _parse_sentence_clauses(text, part, language)
    ):
        if clause.is_empty:
            manners |= {clause.text: None} if clause.is_manner else {}
        elif len(said) == _MOST and clause.text.casefold() not in said:
            said[""] = Clause(f"{clause.text[:80]} …", left=(clause.text[:80], "…"))
            break
        else:
            said.setdefault(clause.text.casefold(), clause)
    return list(said.values()), list(manners)[:6]


def _split_tokens_at_words(tokens: Sequence[Token], kind: str) -> list[list[Token]]:
    stops = {*WORDS[kind], "\n"}
    return [list(part) for is_stop, part in groupby(tokens, key=lambda token: token.word in stops) if not is_stop]


def _parse_sentence_clauses(text: str, tokens: Sequence[Token], language: Language) -> list[Clause]:
    """The longest runs of parts that one card consumes whole; what names the agent is the first part.

    Behind a clause that is not understood, a part without a verb of its own goes on with it."""
    parting = WORDS["relatives"] + WORDS["breaks"]
    stop = next((at for at, token in enumerate(tokens) if token.word in parting), 0)
    parts = [*_split_tokens_at_words(tokens[:stop], "breaks"), *_split_tokens_at_words(tokens[stop:], "breaks")]
    unique = {tuple(token.word for token in part): part for part in reversed(parts)}
    parts, found = sorted(unique.values(), key=lambda part: part[0].start), list[Clause]()
    while parts and len(found) <= _MOST:
        for end in range(min(len(parts), _RUN), 0, -1):
            clause = parse_clause(_get_token_span_text(text, (parts[0][0], parts[end - 1][-1])), language)
            alone = [parse_clause(_get_token_span_text(text, part), language) for part in parts[:end]]
            is_one = not any(_starts_with_verb(one.text) and not (one.card or one.is_empty) for one in alone)
            parted = any(not (one.is_empty or (one.is_supported and len(split_words(one.text)) > 1)) for one in alone)
            if end == 1 or (clause.is_supported and is_one and parted and not alone[-1].is_empty):
                break
        parts = parts[end:]
        if found and found[-1].left and not (clause.is_empty or _starts_with_verb(clause.text)):
            clause = parse_clause(f"{found.pop().text}, {clause.text}", language)
        found.append(clause)
    return found


def _get_token_span_text(text: str, tokens: Sequence[Token]) -> str:
    return text[tokens[0].start : tokens[-1].end]


def _starts_with_verb(text: str) -> bool:
    return any(
        one.kind in ("verbs", "saying") and one.places.start == 0
        for one in _list_phrase_matches(_list_word_stems(text))
    )


@lru_cache(maxsize=4096)
def parse_clause(text: str, language: Language) -> Clause:
    """A clause by itself, as it stands in a functional requirement: without the fillers at its beginning."""
    if len(text) > _LONGEST:
        return Clause(f"{text[: _LONGEST - 1]}…", left=(f"{text[:80]}…",))
    tokens = [token for token in tokenize_text(text) if token.word[0].isalnum() or token.word == "…"]
    words = [stem_word(token.word) for token in tokens]
    found = list(_list_phrase_matches(words))
    verbs, things, teams = (_list_matched_positions(found, kind) for kind in ("verbs", "things", "teams"))
    fillers = things | _list_matched_positions(found, "fillers", "breaks", "saying")
    manner, telling = _list_matched_positions(found, "manners", language), _list_matched_positions(found, "telling")
    readings = _measure_card_coverage(words, found, (fillers | manner) - teams)
    best = min(readings, key=lambda one: (len(one.left), -one.covered), default=_Reading("", (), [], 0))
    task = verbs | things if verbs and things and min(verbs) < max(things) else set[int]()
    silent = (fillers | manner | telling) - teams - task
    left = best.left if best.card else [at for at in range(len(words)) if at not in silent]
    runs = [[at for _, at in run] for _, run in groupby(enumerate(left), key=lambda pair: pair[1] - pair[0])]
    spans = tuple(_get_token_span_text(text, tokens[run[0] : run[-1] + 1])[:80] for run in runs)
    speaking = {at for one in found if one.card or one.kind in ("verbs", "saying") for at in one.places}
    start = next((token.start for at, token in enumerate(tokens) if at in speaking or at not in fillers), 0)
    shown = re.sub(r"\s+", " ", text[start:]).strip()
    return Clause(shown, best.card, best.topics, spans, is_manner=bool(manner | telling))


class _Match(NamedTuple):
    """`kind` is a topic of the card, `field`, or empty for the whole card; without a card, a name of `WORDS`."""

    card: str
    kind: str
    places: range


class _Reading(NamedTuple):
    """What a card makes of a clause: the places of the words that are left over, and how many its phrases cover."""

    card: str
    topics: tuple[str, ...]
    left: list[int]
    covered: int


def _list_matched_positions(found: Sequence[_Match], *kinds: str) -> set[int]:
    return {at for one in found if not one.card and one.kind in kinds for at in one.places}


def _measure_card_coverage(words: Sequence[str], found: Sequence[_Match], silent: set[int]) -> Iterator[_Reading]:
    for card in dict.fromkeys(one.card for one in found if one.card and one.kind != "field"):
        own = [one for one in found if one.card == card]
        covered = {at for one in own for at in one.places}
        topics = tuple(dict.fromkeys(one.kind for one in own if one.kind not in ("", "field")))
        known = _list_card_words(card, topics)
        left = [at for at, word in enumerate(words) if at not in covered | silent and word not in known]
        yield _Reading(card, topics, left, len(covered))


def _list_phrase_matches(words: Sequence[str]) -> Iterator[_Match]:
    known = _make_phrase_index()
    for start, word in enumerate(words):
        for phrase, card, kind in known.get(word, ()):
            if tuple(words[start : start + len(phrase)]) == phrase:
                yield _Match(card, kind, range(start, start + len(phrase)))


def _list_word_stems(text: str) -> tuple[str, ...]:
    return tuple(map(stem_word, split_words(text)))


@cache
def _make_phrase_index() -> dict[str, list[tuple[tuple[str, ...], str, str]]]:
    """Those of all cards and those of `WORDS`, by their first word; those of whole cards first."""
    said = [(tool, "", card.requests) for tool, card in CARDS.items()]
    said += [(tool, topic, phrases) for tool, card in CARDS.items() for topic, phrases in card.topics.items()]
    said += [(tool, "field", (translate_category(card.category, "zh"),)) for tool, card in CARDS.items()]
    said += [("", kind, phrases) for kind, phrases in WORDS.items()]
    found = defaultdict[str, list[tuple[tuple[str, ...], str, str]]](list)
    for card_tool, kind, phrases in said:
        for words in filter(None, map(_list_word_stems, phrases)):
            found[words[0]].append((words, card_tool, kind))
    return dict(found)


@cache
def _list_card_words(card: str, topics: tuple[str, ...]) -> frozenset[str]:
    """The Latin words of its phrases and of those of the named topics: beside a whole phrase they say nothing new."""
    known = CARDS[card]
    phrases = [*known.requests, *(phrase for topic in topics for phrase in known.topics[topic]), known.category]
    return frozenset(word for phrase in phrases for word in _list_word_stems(phrase) if word.isascii())
