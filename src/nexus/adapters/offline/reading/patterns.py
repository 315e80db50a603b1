"""The small language in which cards say how people ask: items one behind the other, parted by spaces.

`a/b` is either word, `a_b` two words behind each other, `{name:kind}` a slot, and what ends in `?` may be missing. Chinese
words need no spaces; `@m` is a Chinese measure word. Articles and the like may stand between.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from msgspec import Struct

from nexus.adapters.offline.reading.tokens import normalize_text, tokenize_text

Words = Mapping[str, Sequence[tuple[str, ...]]]
"""Words and phrases as their tokens, by the first of them."""
_MEASURES = "/".join("本支个件张台箱瓶盒包把套只条斤份杯双块辆部枝根顶盏袋桶米次碗盘节位项听罐顿晚") + "/公斤/小时/千克"


class Item(Struct, frozen=True):
    """One place of a pattern: words of which one must stand there, or a slot where there are none."""

    words: Words = {}
    name: str = ""
    kind: str = "number"
    optional: bool = False


@lru_cache(maxsize=4096)
def parse_phrases(*texts: str) -> Words:
    """The phrases of texts such as `a/b_c`."""
    words: dict[str, list[tuple[str, ...]]] = {}
    for phrase in (phrase for text in texts for phrase in (text.split("/") if text.strip("/") else [text])):
        tokens = tuple(token.word for token in tokenize_text(normalize_text(phrase.replace("_", " "))))
        words.setdefault(tokens[0], []).append(tokens)
    return words


@lru_cache(maxsize=4096)
def parse_pattern(text: str) -> tuple[Item, ...]:
    return tuple(_parse_pattern_item(part.removesuffix("?"), part.endswith("?")) for part in text.split())


def _parse_pattern_item(part: str, optional: bool) -> Item:
    if part.startswith("{"):
        name, _, kind = part[1:-1].partition(":")
        return Item(name=name, kind=kind or "number", optional=optional)
    return Item(words=parse_phrases(part.replace("@m", _MEASURES)), optional=optional)
