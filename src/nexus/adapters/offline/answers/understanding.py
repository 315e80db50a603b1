"""What a conversation asks for: calls, a question back, or nothing that is understood."""

import re
from collections.abc import Sequence
from datetime import date

from msgspec import Struct

from nexus.adapters.offline.answers.readings import Reading, following, message_of, readings
from nexus.adapters.offline.answers.unknown import cards_for
from nexus.adapters.offline.cards import Card
from nexus.adapters.offline.reading.message import partings
from nexus.adapters.offline.reading.tokens import plain, tokens_of
from nexus.adapters.offline.reading.words import FILLERS
from nexus.domain.ports.models import ToolSpec

_TURNS, _MOST_PARTS = 5, 8
_PARTS = re.compile(
    r"(?<=[?？!！。；;])\s*|(?<=[^\d\s.][.])\s+(?=[A-Z])"
    r"|,?\s+(?:and|also)\s+(?:also\s+|then\s+)?(?=(?:convert|how|what|when|calculate|compute|tell|find|which)\b)"
    r"|[，,]?(?:另外|还有|然后|并且|同时|顺便)[，,]?", re.IGNORECASE,
)  # fmt: skip
_ALIKE = re.compile(r",?\s+and\s+(?=\d)|[，；]", re.IGNORECASE)
_CURRENCIES = {word: words[0] for words in (("$", "usd", "dollars", "dollar"), ("€", "eur", "euro", "euros"),
               ("£", "gbp"), ("¥", "rmb", "cny", "yuan")) for word in words}  # fmt: skip
Offer = Sequence[tuple[Card, ToolSpec]]


class Understanding(Struct, frozen=True, kw_only=True):
    """`calls` are complete; else `asks` lacks something or has two meanings, `rivals` are meanings by
    several cards; else `unknown` is what was not understood."""

    calls: tuple[Reading, ...] = ()
    asks: Reading | None = None
    rivals: tuple[Reading, ...] = ()
    unknown: str = ""


def understand(said: Sequence[str], tools: Sequence[ToolSpec], today: date) -> Understanding:
    """The last of the texts, oldest first; what an elliptical one takes over comes from the one before."""
    offer = [(card, tool) for tool in tools for card in cards_for(tool)]
    found = Understanding()
    for text in said[-_TURNS:]:
        found = _turn(text, offer, today, found.calls[-1] if found.calls else found.asks)
    return found


def _turn(text: str, offer: Offer, today: date, before: Reading | None) -> Understanding:
    whole = _alone(text, offer, today)
    if whole.calls or whole.rivals:
        return whole
    for pattern in (_PARTS, _ALIKE) if len(text) < 2000 else ():
        parts = [part for part in pattern.split(text) if part and _says_something(part)]
        found = [_alone(part, offer, today) for part in parts] if 1 < len(parts) <= _MOST_PARTS else []
        calls = tuple(call for one in found for call in one.calls)
        is_whole = bool(found) and all(one.calls for one in found)
        if is_whole and (pattern is _PARTS or len({one.card.tool for one in calls}) == 1):
            return Understanding(calls=calls)
    return (_followed(text, offer, today, before) if before else None) or whole


def _followed(text: str, offer: Offer, today: date, before: Reading) -> Understanding | None:
    tool = next(tool for card, tool in offer if card.tool == before.card.tool)
    for asked in partings(text):
        for one in following(message_of(asked, today, before.card), before, tool):
            return Understanding(calls=(one,)) if one.complete else Understanding(asks=one)
    return None


def _says_something(part: str) -> bool:
    return any((token.word,) not in FILLERS.get(token.word, ()) for token in tokens_of(plain(part)))


def _alone(text: str, offer: Offer, today: date) -> Understanding:
    """A text by itself; where nothing is complete, a doubt is asked about first, then what lacks least."""
    asks: list[Reading] = []
    furthest, unknown = 0, ""
    for asked in partings(text):
        complete: list[list[Reading]] = []
        for card, tool in offer:
            message = message_of(asked, today, card)
            found = list(readings(message, card, tool))
            asks += [one for one in found if not one.complete and _is_sensible(one)]
            complete += [calls for calls in [[one for one in found if one.complete]] if calls]
            if asked.material is None and message.furthest > furthest:
                furthest, unknown = message.furthest, _rest(message.text, message.furthest)
        if complete and len(_currencies(asked.text)) < 2:
            return _chosen(complete)
    best = min(asks, key=lambda one: len(one.missing), default=None)
    return Understanding(asks=best, unknown=unknown or text.strip()[:60])


def _is_sensible(reading: Reading) -> bool:
    """Whether there is something to ask back about: a bare value without a word of the card says too little."""
    return len(reading.bound) > 1 or not reading.frame.bare


def _rest(text: str, at: int) -> str:
    tokens = tokens_of(text)
    return text[tokens[at].start :].partition("\n")[0][:60].strip() if at < len(tokens) else ""


def _currencies(text: str) -> set[str]:
    return {_CURRENCIES[token.word] for token in tokens_of(plain(text[:2000])) if token.word in _CURRENCIES}


def _chosen(complete: list[list[Reading]]) -> Understanding:
    """Of several cards one that was named by its words; several that are left are rivals unless one yields."""
    named = [calls for calls in complete if not calls[0].frame.bare] or complete
    wanted = {calls[0].card.tool for calls in named}
    left = [calls for calls in named if not {*calls[0].card.yields} & wanted] or named
    if len(left) > 1:
        return Understanding(rivals=tuple(calls[0] for calls in left))
    first = left[0][0]
    return Understanding(calls=tuple(one for one in left[0] if one.frame is first.frame and one.bound is first.bound))
