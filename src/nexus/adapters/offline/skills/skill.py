"""What a skill is: one tool, the words that ask for it, how its arguments are read, and how its result is told."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from msgspec import Struct

from nexus.adapters.offline.language.numbers import plain
from nexus.adapters.offline.language.script import language_of
from nexus.domain.builds.outputs import Language
from nexus.domain.ports.models import JSON, ToolSpec

Cues = Mapping[str, tuple[str, ...] | Mapping[str, str]]
"""Per parameter: patterns whose first group is its value (`{n}` is a number), or for a choice, a pattern per value."""


_ASKED = 3000
"""Characters at the beginning and end of a message in which a question is looked for; what lies between is material."""


class Topic(Struct, frozen=True, kw_only=True):
    """What something is about: a title in each language, and the words of a requirement that speaks of it."""

    en: str
    zh: str
    words: str
    category: str = "general"

    def title(self, language: Language) -> str:
        return self.zh if language == "zh" else self.en


class Example(Struct, frozen=True):
    """A message that the skill answers, and what must stand in the answer."""

    input: str
    contains: tuple[str, ...] = ()


class Said(Struct, frozen=True, kw_only=True):
    """What a user said, as written and with its numbers in plain digits; `previous` are the arguments of the last call of the same tool."""

    text: str
    plain: str
    language: Language
    today: date
    previous: JSON | None = None

    @classmethod
    def of(cls, text: str, today: date, language: Language | None = None) -> "Said":
        asked = text if len(text) <= 2 * _ASKED else f"{text[:_ASKED]}\n{text[-_ASKED:]}"
        return cls(text=text, plain=plain(asked), language=language or language_of(text), today=today)


class Reading(Struct, frozen=True):
    """The arguments a text holds for a tool, and the names of those that it lacks."""

    arguments: JSON
    missing: tuple[str, ...] = ()


Reader = Callable[[Said, ToolSpec], list[Reading]]
Teller = Callable[[JSON, Any, Language], str]


class Skill(Struct, frozen=True, kw_only=True):
    """`asks` is the pattern of a message that wants it; of several that are asked for, the heaviest is taken.

    Without `read`, arguments are found by `cues` and the tool's own schema; without `tell`, the result is listed as it is.
    """

    tool: str
    topic: Topic
    asks: str
    weight: int = 10
    cues: Cues = {}
    read: Reader | None = None
    tell: Teller | None = None
    follows: bool = True
    examples: Mapping[Language, tuple[Example, ...]] = {}
