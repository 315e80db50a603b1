"""What a conversation asks for: calls, a question back, or nothing that is understood."""

import re
from collections.abc import Sequence
from datetime import date

from msgspec import Struct

from nexus.adapters.offline.answers.readings import Reading, interpret_follow_up, list_interpretations
from nexus.adapters.offline.cards import CARDS, Card
from nexus.adapters.offline.reading.message import STEPS, Message, list_question_data_splits
from nexus.adapters.offline.reading.tokens import normalize_text, tokenize_text
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
    """`found` are complete; else `asks` lacks something, `rivals` are meanings by several cards; else `unknown` is
    what was not understood."""

    found: tuple[Reading, ...] = ()
    asks: Reading | None = None
    rivals: tuple[Reading, ...] = ()
    unknown: str = ""


def interpret_conversation(said: Sequence[str], tools: Sequence[ToolSpec], today: date) -> Understanding:
    """The last of the texts, oldest first; what an elliptical one takes over comes from the one before."""
    offer = [(CARDS[tool.name], tool) for tool in tools if tool.name in CARDS]
    last = Understanding()
    for text in said[-_TURNS:]:
        last = _interpret_with_context(text, offer, today, last.found[-1] if last.found else last.asks)
    return last


def _interpret_with_context(text: str, offer: Offer, today: date, before: Reading | None) -> Understanding:
    whole = _interpret_without_context(text, offer, today)
    if whole.found or whole.rivals:
        return whole
    for form in (_PARTS, _ALIKE) if len(text) < 2000 else ():
        parts = [part for part in form.split(text) if part and _has_content_words(part)]
        each = (
            [_interpret_without_context(part, offer, today) for part in parts] if 1 < len(parts) <= _MOST_PARTS else []
        )
        found = tuple(reading for one in each for reading in one.found)
        is_alike = form is _PARTS or len({one.card.tool for one in found}) == 1
        if each and is_alike and all(one.found for one in each):
            return Understanding(found=found)
    tool = next((tool for card, tool in offer if before and card.tool == before.card.tool), None)
    for asked in list_question_data_splits(text) if before and tool else ():
        if before and tool and (one := interpret_follow_up(Message(*asked, today), before, tool)):
            return Understanding(found=(one,)) if one.calls else Understanding(asks=one)
    return whole


def _has_content_words(part: str) -> bool:
    return any((token.word,) not in FILLERS.get(token.word, ()) for token in tokenize_text(normalize_text(part)))


def _interpret_without_context(text: str, offer: Offer, today: date) -> Understanding:
    """A text by itself; where nothing is complete, what lacks least is asked about."""
    asks: list[Reading] = []
    furthest, unknown = 0, ""
    for asked in list_question_data_splits(text):
        complete: list[Reading] = []
        message = Message(*asked, today)
        for card, tool in offer:
            message.steps = STEPS
            found = list(list_interpretations(message, card, tool))
            complete += [one for one in found if one.calls][:1]
            asks += [one for one in found if one.missing and (one.bound or not one.frame.bare)]
            if message.material is None and message.furthest > furthest:
                furthest, unknown = message.furthest, message.get_rest_of_line(message.furthest)
        if complete and len({_CURRENCIES.get(word) for word in message.words} - {None}) < 2:
            return _choose_interpretation(complete)
    best = min(asks, key=lambda one: len(one.missing), default=None)
    return Understanding(asks=best, unknown=unknown or text.strip()[:60])


def _choose_interpretation(complete: list[Reading]) -> Understanding:
    """Of several cards one that was named by its words; several that are left are rivals unless one yields."""
    named = [one for one in complete if not one.frame.bare] or complete
    wanted = {one.card.tool for one in named}
    left = [one for one in named if not {*one.card.yields} & wanted] or named
    return Understanding(rivals=tuple(left)) if len(left) > 1 else Understanding(found=(left[0],))
