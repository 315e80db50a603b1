"""The words of requirements that are no card's, out of `fillers.toml`."""

import re
import tomllib
from importlib.resources import files

from nexus.adapters.offline.reading.tokens import stem

_FOUND = tomllib.loads(files(__package__).joinpath("fillers.toml").read_text(encoding="utf-8"))


def _words(name: str) -> list[str]:
    """In the order of the file; `_` is a blank."""
    return [word.replace("_", " ") for word in _FOUND[name].split()]


def _stems(name: str) -> frozenset[str]:
    return frozenset(map(stem, _words(name)))


def _any(name: str) -> str:
    """A pattern of the words, longer ones first."""
    return "|".join(sorted(map(re.escape, _words(name)), key=len, reverse=True))


ENDS = frozenset([*_words("ends"), "\n"])
BREAKS, RELATIVES, LEADING = frozenset(_words("breaks")), frozenset(_words("relatives")), frozenset(_words("leading"))
FILLERS, MANNERS = _words("fillers"), _words("manners")
LANGUAGES = {
    language: [word.replace("_", " ") for word in said.split()] for language, said in _FOUND["languages"].items()
}
"""How one says that the agent answers in the language of its requirement."""
FIELDS_ZH = {field: tuple(said.split()) for field, said in _FOUND["fields_zh"].items()}
EMPTY, VERBS, SPOKEN, CONDITIONS = _stems("empty"), _stems("verbs"), _stems("spoken"), _stems("conditions")
TELLING = _stems("telling")
"""Manners that are tasks of their own beside what a card does."""
NOUNS_ZH, LEADING_ZH = _any("nouns_zh"), rf"^(?:{_any('leading_zh')})+"
VERBS_ZH = rf"(?:并|还|能|可以|会)*(?:{_any('verbs_zh')})"
NAMES = re.compile(rf"\b(?:{_any('nouns')})s?$|(?:{NOUNS_ZH})$", re.IGNORECASE)
"""The end of what an agent is called."""
NAMES_ZH = rf"[一-鿿]{{0,6}}(?:{NOUNS_ZH})"
CALLED = re.compile(r"\b(?:called|named) [\w-]+|名(?:为|叫)\S+", re.IGNORECASE)
ROLES = _words("roles")
"""What an agent may be called beside what it does."""
