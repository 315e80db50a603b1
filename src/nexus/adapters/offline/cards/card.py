"""What a card is, and how the cards are read from the files beside this one."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec
from msgspec import Struct

from nexus.domain.builds.outputs import Language
from nexus.domain.ports.models import JSON


class Example(Struct, frozen=True, forbid_unknown_fields=True):
    """A message that the card answers, what must stand in the answer, and the topic that it shows."""

    input: str
    contains: tuple[str, ...]
    topic: str = ""


class Frame(Struct, frozen=True, forbid_unknown_fields=True):
    """One way to ask. `say` are patterns that may stand in any order, each once; together they consume the whole message.

    `args` are arguments with the names of what was read in braces; `about` is what the answer is to dwell on. A `bare`
    frame needs none of the card's own words.
    """

    say: tuple[str, ...]
    args: JSON = {}
    about: str = ""
    bare: bool = False


class Card(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One skill: the tool `tool`, of the library or from a template, and all that is known of it.

    `requests` are words and phrases of requirements that name the skill as a whole; `topics` those that name a part of it
    (`weight`, `temperature` …), by the part. Phrases are compared by `words_of`, English words also by `stem`.
    """

    tool: str
    kind: Literal["library", "template"] = "library"
    titles: Mapping[Language, str]
    category: str
    requests: tuple[str, ...]
    topics: Mapping[str, tuple[str, ...]] = {}
    words: tuple[str, ...] = ()
    frames: tuple[Frame, ...] = ()
    tell: Mapping[str, Any] = {}
    examples: Mapping[Language, tuple[Example, ...]]

    def title(self, language: Language) -> str:
        return self.titles[language]


@cache
def load_cards() -> Mapping[str, Card]:
    """All cards by the name of their tool, in the order of their files."""
    folder = files(__package__)
    found: dict[str, Card] = {}
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if file.name.endswith(".toml"):
            entries = tomllib.loads(file.read_text(encoding="utf-8"))
            found |= {name: msgspec.convert({"tool": name, **entry}, Card) for name, entry in entries.items()}
    return found
