"""What a conversation asks for: calls, a question back, or nothing that is understood."""

import itertools
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
_CURRENCIES = {"$": "$", "usd": "$", "dollars": "$", "dollar": "$", "€": "€", "eur": "€", "euro": "€", "euros": "€", "£": "£", "gbp": "£",
               "¥": "¥", "rmb": "¥", "cny": "¥", "yuan": "¥"}  # fmt: skip
Offer = Sequence[tuple[Card, ToolSpec]]


class Understanding(Struct, frozen=True, kw_only=True):
    """`calls` are complete; else `asks` lacks something or has two meanings, `rivals` are meanings by several cards; else `unknown` is what was not understood, and `near` the tool whose card came farthest."""

    calls: tuple[Reading, ...] = ()
    asks: Reading | None = None
    rivals: tuple[Reading, ...] = ()
    unknown: str = ""
    near: str = ""

    @property
    def last(self) -> Reading | None:
        return self.calls[-1] if self.calls else self.asks


def understand(said: Sequence[str], tools: Sequence[ToolSpec], today: date) -> Understanding:
    """The last of the texts, oldest first; what an elliptical one takes over comes from the one before."""
    offer = [(card, tool) for tool in tools for card in cards_for(tool)]
    before: Understanding | None = None
    for text in said[-_TURNS:]:
        before = _turn(text, offer, today, before.last if before else None)
    return before or Understanding()


def _turn(text: str, offer: Offer, today: date, before: Reading | None) -> Understanding:
    whole = _alone(text, offer, today)
    if whole.calls or whole.rivals:
        return whole
    for pattern in (_PARTS, _ALIKE) if len(text) < 2000 else ():
        parts = [part for part in pattern.split(text) if part and _says_something(part)]
        found = [_alone(part, offer, today) for part in parts] if 1 < len(parts) <= _MOST_PARTS else []
        calls = tuple(call for one in found for call in one.calls)
        if (
            found
            and all(one.calls for one in found)
            and (pattern is _PARTS or len({one.card.tool for one in calls}) == 1)
        ):
            return Understanding(calls=calls)
    if before is not None and (followed := _followed(text, offer, today, before)):
        return followed
    return whole


def _says_something(part: str) -> bool:
    return any((token.word,) not in FILLERS.get(token.word, ()) for token in tokens_of(plain(part)))


_NO_CARD = Card(tool="none", titles={}, category="", requests=(), examples={})


def _alone(text: str, offer: Offer, today: date) -> Understanding:
    asks: list[Reading] = []
    reached: tuple[int, str, str] = (0, "", "")
    for asked in partings(text):
        complete: list[list[Reading]] = []
        for card, tool in offer:
            message = message_of(asked, today, card)
            found = list(readings(message, card, tool))
            asks += [one for one in found if not one.complete and _is_sensible(one)]
            complete += [calls for calls in [[one for one in found if one.complete]] if calls]
            if asked.material is None:
                reached = max(
                    reached,
                    (message.furthest, _rest(message.text, message.furthest), tool.name),
                    key=lambda one: one[0],
                )
        if complete and not _has_two_currencies(asked.text):
            return _chosen(complete)
    doubted = [one for one in asks if not one.missing]
    best = doubted[0] if doubted else min(asks, key=lambda one: len(one.missing), default=None)
    return Understanding(asks=best, unknown=reached[1] or text.strip()[:60], near=reached[2])


def _is_sensible(reading: Reading) -> bool:
    """Whether there is something to ask back about: a bare value without a word of the card says too little."""
    return len(reading.bound) > 1 or not reading.frame.bare or bool(reading.doubts)


def _rest(text: str, at: int) -> str:
    tokens = tokens_of(text)
    return text[tokens[at].start :].partition("\n")[0][:60].strip() if at < len(tokens) else ""


def _has_two_currencies(text: str) -> bool:
    return len({_CURRENCIES[token.word] for token in tokens_of(plain(text[:2000])) if token.word in _CURRENCIES}) > 1


def _chosen(complete: list[list[Reading]]) -> Understanding:
    """Of several cards one that was named by its words; where that leaves several, they are rivals unless one yields."""
    named = [calls for calls in complete if not calls[0].frame.bare] or complete
    yielding = {
        calls[0].card.tool for calls in named if any(other[0].card.tool in calls[0].card.yields for other in named)
    }
    left = [calls for calls in named if calls[0].card.tool not in yielding] or named
    if len(left) > 1:
        return Understanding(rivals=tuple(calls[0] for calls in left))
    first = left[0][0]
    return Understanding(calls=tuple(one for one in left[0] if one.frame is first.frame and one.bound is first.bound))


def _followed(text: str, offer: Offer, today: date, before: Reading) -> Understanding | None:
    own = [(card, tool) for card, tool in offer if card.tool == before.card.tool]
    for asked, (card, tool) in itertools.product(partings(text), own):
        for one in following(message_of(asked, today, card), before, tool):
            return Understanding(calls=(one,)) if one.complete else Understanding(asks=one)
    return None
