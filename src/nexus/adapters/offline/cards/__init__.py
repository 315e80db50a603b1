"""One card a skill, as data, read from the files beside this one."""

import itertools
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import msgspec
from msgspec import Struct

from nexus.domain.builds.outputs import Language
from nexus.domain.core.values import JSON


class Example(Struct, frozen=True, array_like=True):
    """A message that the card answers, what must stand in the answer, and the topic that it shows."""

    input: str
    contains: tuple[str, ...]
    topic: str = ""


class Frame(Struct, frozen=True, forbid_unknown_fields=True):
    """One way to ask. `say` are patterns that may stand in any order, each name once; together they consume the whole message.

    `often` are patterns that may come again and again: each is an entry of the list `into`, or a call of its own.
    `never` are patterns that may stand nowhere. `args` are arguments with the names of what was read in braces;
    `about` is what the answer is to dwell on, unless a slot of that name says it. A frame wants one of the card's
    words, or of its own `words` where it has some; a `bare` one wants none."""

    say: tuple[str, ...] = ()
    often: tuple[str, ...] = ()
    into: str = ""
    never: tuple[str, ...] = ()
    args: JSON = {}
    words: tuple[str, ...] = ()
    about: str = ""
    bare: bool = False


class Check(Struct, frozen=True, array_like=True):
    """What the function of a template must answer for these arguments."""

    given: JSON
    result: Any


class Card(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One skill: the tool `tool`, of the library or from a template, and all that is known of it.

    `requests` are words and phrases of requirements that name the skill as a whole; `topics` those that name a part of
    it (`weight` …), by the part. Phrases are compared by `words_of`, English words also by `stem`.
    `words` stand in messages that want the skill, `glue` beside them. `values` are those of slots by what is said for
    them, `follows` patterns that an elliptical follow-up may hold beside its frame's.
    `yields` are the tools whose cards go first where both understand.
    `tell` are the sentences of an answer by what it is about, then by language.
    Of a template, `checks` and `refuses` become the tests of its tool."""

    tool: str
    titles: Mapping[Language, str]
    category: str
    requests: tuple[str, ...]
    topics: Mapping[str, tuple[str, ...]] = {}
    words: tuple[str, ...] = ()
    glue: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    yields: tuple[str, ...] = ()
    values: Mapping[str, Mapping[str, str]] = {}
    frames: tuple[Frame, ...] = ()
    tell: Mapping[str, Mapping[Language, str]] = {}
    values_zh: Mapping[str, str] = {}
    checks: tuple[Check, ...] = ()
    refuses: tuple[JSON, ...] = ()
    examples: Mapping[Language, tuple[Example, ...]]

    def get_title(self, language: Language) -> str:
        return self.titles[language]


def _make_card_from_toml(tool: str, entry: JSON) -> Card:
    """The card of an entry; its `about` holds the category and a title in each language.

    A frame that does not `say` how it is asked is asked like the one before, `more` patterns apart."""
    about = entry.pop("about")
    for before, frame in itertools.pairwise([{}, *entry.get("frames", ())]):
        frame["say"] = [*frame.get("say", before.get("say", ())), *frame.pop("more", ())]
    return msgspec.convert({"tool": tool, "category": about.pop("category"), "titles": about, **entry}, Card)


_FILES = sorted(files(__package__).iterdir(), key=lambda file: file.name)
_TEXTS = [file.read_text(encoding="utf-8") for file in _FILES if file.name.endswith(".toml")]
_ENTRIES = [entry for text in _TEXTS for entry in tomllib.loads(text).items()]
CARDS: Mapping[str, Card] = {tool: _make_card_from_toml(tool, entry) for tool, entry in _ENTRIES}
"""By the name of the tool, in the order of their files."""
