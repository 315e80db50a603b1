"""A text as tokens: words in lower case, numbers, single Chinese characters and signs, in linear time."""

import re
import unicodedata
from typing import NamedTuple

from nexus.domain.builds.outputs import Language

CJK = re.compile(r"[㐀-䶿一-鿿豈-﫿]")
_ENDINGS = re.compile(r"(?<=\w{3})(?:ions?|ings?|[eo]rs?|ed|es?|s)$")
_DASHES = re.compile(r" [-–—](?= [^\W\d])")
_FRACTIONS = re.compile(r"[¼½¾⅐-⅞]")
_TOKEN = re.compile(
    r"\n|\d+(?:[.,]\d+)*|x(?=\d)|[㐀-䶿一-鿿豈-﫿]|[^\W\d㐀-䶿一-鿿豈-﫿]+(?:['’]?[^\W㐀-䶿一-鿿豈-﫿]+)*|\S",
    re.IGNORECASE,
)
_SIGNS = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "「": '"', "」": '"', "『": '"', "』": '"', "−": "-",
                        "–": "-", "×": "x", "²": "^2", "³": "^3", "´": "'", "′": "'", "″": '"', "，": ", ", "⁄": "/"})  # fmt: skip


class Token(NamedTuple):
    """`word` is what is compared; `start` and `end` are places in the text that `normalize_text` returned."""

    word: str
    start: int
    end: int


def normalize_text(text: str) -> str:
    """The text with half-width characters, straight quotes, and one sign for each meaning."""
    text = _FRACTIONS.sub(r" \g<0>", _DASHES.sub(",", text)).translate(_SIGNS)
    return unicodedata.normalize("NFKC", text).translate(_SIGNS)


def tokenize_text(text: str) -> list[Token]:
    """The tokens of a plain text."""
    return [Token(found[0].lower(), found.start(), found.end()) for found in _TOKEN.finditer(text)]


def split_words(text: str) -> tuple[str, ...]:
    """The words of any text, as `tokens_of` has them, without signs: what two texts can be compared by."""
    return tuple(token.word for token in tokenize_text(normalize_text(text)) if token.word[0].isalnum())


def stem_word(word: str) -> str:
    """A word without its endings: `converts`, `converting`, `converted` and `converter` are alike."""
    return f"{word[:-3]}y" if word.endswith("ies") and len(word) > 5 else _ENDINGS.sub("", word)


def detect_language(text: str) -> Language:
    """Chinese when there are at least as many Chinese characters as there are other words."""
    shown = text[:4000]
    chinese = len(CJK.findall(shown))
    return "zh" if chinese and chinese >= len(re.findall(r"[A-Za-z]{2,}", shown)) else "en"
