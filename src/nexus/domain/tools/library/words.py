"""Words and sentences of texts, Chinese and Japanese ones too."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from nexus.domain.tools.model import ToolError

MOST = 500_000
CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af"
_WORD = re.compile(rf"[{CJK}]+|\d+(?:[.,]\d+)+|[^\W_{CJK}]+(?:['’\-][^\W_{CJK}]+)*")
_CJK = re.compile(f"[{CJK}]")
_SENTENCE = re.compile(r"[^.!?。！？…\n]+(?:[.!?](?!\s|$)[^.!?。！？…\n]*)*(?:[.!?。！？…]+[\"'”’」』）)]*|(?=\n)|$)")
_ABBREVIATED = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|Inc|Ltd|No|Fig|e\.g|i\.e)|\b[A-Z])\.$")
_LITTLE = """
a an and are as at be been but by can could did do does for from had has have he her his how i if in
into is it its just may more most my no not of on or our out over she should so some such than that the
their them then there these they this those to too up us very was we were what when where which while
who will with would you your also about after all any because before both each only other own same
through under until again being between here me him s t
"""
_STOP = frozenset(_LITTLE.split())
_STOP_CJK = frozenset("的了是在和与也就都而及或一个不有我你他她它们这那之吗呢吧啊其此很被把让正")


def check_size(text: str, most: int = MOST) -> str:
    if len(text) > most:
        raise ToolError(f"The text is longer than {most} characters.")
    return unicodedata.normalize("NFC", text)


def split_into_words(text: str) -> list[str]:
    """Words as people count them: each CJK character is one."""
    found: list[str] = []
    for word in _WORD.findall(text):
        found += list(word) if _CJK.match(word) else [word]
    return found


def list_terms(text: str) -> list[str]:
    """What may tell what a text is about: words without the little ones, and pairs of neighbouring CJK characters."""
    found: list[str] = []
    for word in _WORD.findall(text):
        if _CJK.match(word):
            found += [word[at : at + 2] for at in range(len(word) - 1) if not _STOP_CJK.intersection(word[at : at + 2])]
        elif (lower := word.lower()) not in _STOP and len(word) > 1 and not word.isdigit():
            found.append(lower)
    return found


def split_into_sentences(text: str) -> list[str]:
    """Sentences as they stand; `Dr.` ends none."""
    found: list[list[str]] = []
    for piece in _SENTENCE.findall(text):
        sentence = piece.strip()
        if found and sentence and _ABBREVIATED.search(found[-1][-1][-8:]):
            found[-1].append(sentence)
        elif _WORD.search(sentence):
            found.append([sentence])
    return [" ".join(parts) for parts in found]


def is_cjk(text: str) -> bool:
    """Whether most of its words are CJK characters."""
    all_words = split_into_words(text[:20_000])
    return 2 * sum(bool(_CJK.match(word)) for word in all_words) > len(all_words)


def find_phrases(text: str, limit: int) -> list[tuple[str, int]]:
    """The terms that occur most; CJK pairs that always stand together grow into longer words, and single ones give way to repeated ones."""
    counts = Counter(list_terms(text))
    longer = Counter(_find_repeated_cjk_runs(text, {term for term, count in counts.items() if count > 1}))
    for phrase, count in sorted(longer.items(), key=lambda pair: (-len(pair[0]), pair[0])):
        pairs = [phrase[at : at + 2] for at in range(len(phrase) - 1)]
        if count > 1 and all(counts[pair] == count for pair in pairs):
            for pair in pairs:
                counts.pop(pair, None)
            counts[phrase] = count
    if max(counts.values(), default=0) > 1:
        counts = Counter({term: count for term, count in counts.items() if count > 1 or not _CJK.match(term)})
    return sorted(counts.items(), key=lambda pair: (-pair[1], -len(pair[0]) if _CJK.match(pair[0]) else 0, pair[0]))[
        :limit
    ]


def _find_repeated_cjk_runs(text: str, repeated: Collection[str]) -> Iterator[str]:
    """Runs of three to six CJK characters, all of whose pairs are repeated ones."""
    for run in re.findall(f"[{CJK}]{{3,}}", text):
        known = 0
        for at in range(1, len(run)):
            known = known + 1 if run[at - 1 : at + 1] in repeated else 0
            for size in range(2, min(known, 5) + 1):
                yield run[at - size : at + 1]


def pick_sentences(sentence_list: Sequence[str], limit: int) -> list[int]:
    """The places of the sentences whose words occur most in the whole, in their order; the first ones count a little more."""
    counts = Counter(term for sentence in sentence_list for term in set(list_terms(sentence)))
    scores: list[tuple[float, int]] = []
    for place, sentence in enumerate(sentence_list):
        found = set(list_terms(sentence))
        lead = 1.2 if place == 0 else 1.0
        scores.append((lead * sum(counts[term] - 1 + 0.1 for term in found) / (len(found) + 3), -place))
    return sorted(-place for _, place in sorted(scores, reverse=True)[:limit])
