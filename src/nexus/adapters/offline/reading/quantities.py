"""Numbers, percentages and quantities with units as people write them, in English and Chinese."""

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from nexus.adapters.offline.reading.tokens import Token
from nexus.domain.tools.library.units import Unit, find_unit
from nexus.domain.tools.model import ToolError

_LONGEST = 40
_BELOW_20 = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen""".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_WORDS = {word: at for at, word in enumerate(_BELOW_20)} | {word: at * 10 for at, word in enumerate(_TENS, 2)}
_DIGITS = {sign: at for at, sign in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
_PLACES = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "mn": 10**6, "billion": 10**9, "bn": 10**9, "dozen": 12}
_FACTORS = _SCALES | _PLACES
_PARTS = {"half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4}
_FRACTION = re.compile(r"(?:(\d{1,9})\s+)?(\d{1,4})/([1-9]\d{0,3})(?![\d/]|[.,]\d)")
_ENGLISH = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
_PLAIN, _UNSURE = re.compile(r"\d{1,30}(?:[.,]\d{1,30})?"), re.compile(r"[1-9]\d{0,2}\.\d{3}")
_TAIL = re.compile(r"\d{1,2}(?!\d|[.,]\d)|[零一二三四五六七八九]{1,9}")
_BELOW = {"ft": ("in", 12), "st": ("lb", 14)}
"""What a lone number behind feet or stones counts, and how many of those there can be."""
_SIGNS = ("$", "€", "£", "¥", "usd", "eur", "gbp", "cny", "rmb")
CURRENCIES = ("块 钱", "元 钱", "人 民 币", "美 元", "欧 元", "日 元", "英 镑", "美 金", "元", "块", *_SIGNS,
               *"dollars dollar bucks euro euros pounds yuan quid".split())  # fmt: skip


class Number(NamedTuple):
    """A number from the token where it begins up to `end`."""

    value: Fraction
    end: int


class Quantity(NamedTuple):
    """`value` in units of `unit`; `symbol` is how the unit is to be named to a tool."""

    value: Fraction
    unit: Unit
    symbol: str
    end: int

    def convert_to_unit(self, symbol: str) -> Fraction:
        """The value in another unit of the same kind."""
        target = find_unit(symbol)
        return (self.value * self.unit.factor + self.unit.offset - target.offset) / target.factor


@lru_cache(maxsize=8192)
def _find_unit(name: str) -> Unit | None:
    try:
        return find_unit(name)
    except ToolError:
        return None


def parse_digits(digits: str) -> Fraction | None:
    """`1,000` is a thousand, `3,5` three and a half; None for what is no single number, such as `1,2,3` or `1.2.3`."""
    if _ENGLISH.fullmatch(digits):
        return Fraction(digits.replace(",", ""))
    return Fraction(digits.replace(",", ".")) if _PLAIN.fullmatch(digits) else None


def _parse_number_words(words: list[str]) -> Fraction:
    """`two hundred fifty`, `三百五` (350), `一百零五`, `二〇二六`, `2.5 million`, `1万2千`."""
    total = section = digit = Fraction(0)
    for word in words:
        factor = _FACTORS.get(word)
        if factor is None:
            digit = digit * 10 + _DIGITS[word] if word in _DIGITS else digit + _WORDS.get(word, 0)
            digit = (parse_digits(word) or digit) if word[0].isdecimal() else digit
        elif word in ("十", "百", "千", "hundred"):
            section, digit = section + (digit or Fraction(1)) * factor, Fraction(0)
        else:
            part = section + digit
            total = total + part * factor if total >= factor else (total + part or Fraction(1)) * factor
            section = digit = Fraction(0)
    is_short = len(words) > 1 and words[-1] in _DIGITS and words[-2] in ("百", "千", "万", "亿")
    return total + section + digit * (_PLACES[words[-2]] // 10 if is_short else 1)


class Quantities:
    """Reads what begins at a token. Of several readings the longest comes first."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self.text, self.lower, self.tokens = text, text.lower(), tokens
        self.words = [token.word for token in tokens]
        numbers = [word for word in self.words if "," in word and word[0].isdigit()]
        self._has_decimal_commas = not all(map(_ENGLISH.fullmatch, numbers))

    def get_word_at(self, at: int) -> str:
        return self.words[at] if 0 <= at < len(self.words) else ""

    def has_no_space_before(self, at: int) -> bool:
        """Whether the token stands right behind the one before."""
        return 0 < at < len(self.tokens) and self.tokens[at].start == self.tokens[at - 1].end

    def get_text_between(self, at: int, end: int) -> str:
        """The text from a token up to another."""
        return self.text[self.tokens[at].start : self.tokens[end - 1].end]

    def skip_phrase(self, at: int, *phrases: str) -> int:
        """The place behind the first of the phrases that stands at a token, else the token itself."""
        for phrase in phrases:
            words = phrase.split()
            if all(self.get_word_at(at + place) == word for place, word in enumerate(words)):
                return at + len(words)
        return at

    def match_regex_at(self, form: re.Pattern[str], at: int) -> re.Match[str] | None:
        """What has this form from a token on, in lower case."""
        return form.match(self.lower, self.tokens[at].start) if at < len(self.tokens) else None

    def find_token_after(self, place: int, at: int) -> int:
        """The first token from `at` on that begins at a place of the text or behind it."""
        while at < len(self.tokens) and self.tokens[at].start < place:
            at += 1
        return at

    def list_numbers_at(self, at: int) -> Iterator[Number]:
        """Numbers, with or without the sign or name of a currency."""
        at = at + 1 if (self.get_word_at(at), self.get_word_at(at + 1)) == ("us", "$") else at
        if (start := self.skip_phrase(at, "负", "negative", "零 下")) > at:
            yield from (one._replace(value=-one.value) for one in self.list_numbers_at(start))
            return
        start = self.skip_phrase(at, *_SIGNS)
        is_negative = (
            self.get_word_at(start) == "-"
            and self.has_no_space_before(start + 1)
            and not self.has_no_space_before(start)
        )
        if number := self._parse_unsigned_number(start + is_negative):
            value = -number.value if is_negative else number.value
            end = self.skip_phrase(number.end, *CURRENCIES) if start == at else number.end
            if self.get_word_at(end - 1) == "块" and (tail := self._parse_decimal_tail(end)):
                yield Number(value + tail.value, tail.end)
            yield from (Number(value, place) for place in dict.fromkeys((end, number.end)))

    def _parse_unsigned_number(self, at: int) -> Number | None:
        """A number without a sign: counted, or in parts such as `2 1/2`, `三分之二`, `half a dozen`, `three quarters`."""
        if part := self.match_regex_at(_FRACTION, at):
            value = int(part[1] or 0) + Fraction(int(part[2]), int(part[3]))
            return Number(value, self.find_token_after(part.end(), at))
        if (end := self.skip_phrase(at, "一 半", "半")) > at:
            return Number(Fraction(1, 2), end)
        number = self._parse_cardinal_number(at)
        if number and (start := self.skip_phrase(number.end, "分 之")) > number.end:
            above = self._parse_cardinal_number(start)
            return Number(above.value / number.value, above.end) if above and number.value else None
        end = number.end if number else self.skip_phrase(at, "a", "an")
        part_of = _PARTS.get(self.get_word_at(end)) if end > at or self.get_word_at(end) == "half" else None
        if part_of:
            scale = _SCALES.get(self.get_word_at(place := self.skip_phrase(end + 1, "a")))
            value = (number.value if number else Fraction(1)) / part_of
            return Number(value * (scale or 1), place + 1 if scale else end + 1)
        half = self.skip_phrase(end, "and a half")
        return Number(number.value + Fraction(1, 2), half) if number and half > end else number

    def _parse_cardinal_number(self, at: int) -> Number | None:
        """Digits and number words with their scales, and decimals behind a spoken point."""
        words, end = list[str](), self.skip_phrase(at, "a", "an") if self.get_word_at(at + 1) in _SCALES else at
        is_open = end > at
        while end - at < _LONGEST and self._continues_number(words, end, is_open=is_open):
            words, end = [*words, self.get_word_at(end)], end + 1
            is_and = self.get_word_at(end) == "and" and words[-1] in _SCALES and self.get_word_at(end + 1) in _WORDS
            is_tens = self.get_word_at(end) == "-" and words[-1] in _TENS and self.has_no_space_before(end)
            end += (is_and and words[-1] != "dozen") or (is_tens and self._continues_number(words, end + 1))
        if not words:
            return None
        value, first = _parse_number_words(words), words[0]
        if first[0].isdecimal():
            is_unsure = self._has_decimal_commas and _UNSURE.fullmatch(first)
            is_thousands = self.get_word_at(end) == "k" and self.has_no_space_before(end)
            if is_unsure or parse_digits(first) is None:
                return None
            return Number(value * 1000, end + 1) if is_thousands else Number(value, end)
        tail = self._parse_decimal_tail(end + 1) if self.get_word_at(end) == "点" else None
        return Number(value + tail.value, tail.end) if tail else Number(value, end)

    def _continues_number(self, words: list[str], at: int, *, is_open: bool = False) -> bool:
        """Whether the token belongs to the number that these words begin; `is_open`: behind an article."""
        word, last = self.get_word_at(at), words[-1] if words else ""
        if word[:1].isdecimal():
            return not words or (last in ("万", "亿") and self.has_no_space_before(at))
        if word in _DIGITS:
            is_behind = last in _DIGITS and word != "两"
            return not words or last in _PLACES or is_behind
        if word in _WORDS:
            return not words or last in _SCALES or (last in _TENS and 0 < _WORDS[word] < 10)
        if word in _PLACES:
            is_part = self.get_word_at(at + 1) == "分"
            return not last[:1].isdecimal() if word == "十" else bool(words) and not is_part
        return word in _SCALES and (bool(words) or is_open)

    def list_percents_at(self, at: int) -> Iterator[Number]:
        """`5%`, `4,9 %`, `five per cent`, `百分之五`."""
        if (start := self.skip_phrase(at, "百 分 之")) > at:
            yield from self.list_numbers_at(start)
            return
        for number in self.list_numbers_at(at):
            end = self.skip_phrase(number.end, "%", "percent", "per cent", "pct", "个 百 分 点")
            yield from [Number(number.value, end)] if end > number.end else []
            if self.get_word_at(end) == "成" and number.value < 10:
                yield Number(number.value * 10, end + 1)

    def list_units_at_token(self, at: int) -> Iterator[tuple[Unit, str, int]]:
        """Names of units that begin at a token: the unit, its name and where it ends."""
        for end in range(min(at + 8, len(self.tokens)), at, -1):
            name = self.get_text_between(at, end)
            is_name = (name[0].isalpha() or name[0] == "°") and len(name) <= _LONGEST and name[-1] not in ".,;:!?"
            if is_name and (unit := _find_unit(name)) and not (name == "in" and any(self.list_units_at_token(end))):
                yield unit, name, end

    def list_quantities_at_token(self, at: int) -> Iterator[Quantity]:
        """`10 km`, `5'9"`, `5 ft 9 in`, `half a mile`, `1米75`, `两斤半`, `1 h 30 min`."""
        if (start := self.skip_phrase(at, "摄 氏", "华 氏")) > at:
            name = f"{self.get_word_at(at)}氏度"
            for number in self.list_numbers_at(start):
                if self.get_word_at(number.end) == "度":
                    yield Quantity(number.value, find_unit(name), name, number.end + 1)
        for value, end in self._list_unit_amounts(at):
            for unit, name, stop in self._list_units_behind_number(end):
                first = Quantity(value, unit, name, stop)
                yield from self._list_compound_quantities(first)
                yield first

    def _list_unit_amounts(self, at: int) -> Iterator[tuple[Fraction, int]]:
        """A number before a unit: a lone article is one, `half a` a half, `两个半` two and a half."""
        for number in self.list_numbers_at(at):
            if (end := self.skip_phrase(number.end, "个 半", "个", "of a", "of an")) > number.end:
                yield number.value + Fraction(1, 2) * (self.get_word_at(end - 1) == "半"), end
            yield number.value, self.skip_phrase(number.end, "a", "an") if number.value < 1 else number.end
        if self.get_word_at(at) in ("a", "an"):
            yield Fraction(1), at + 1

    def _list_units_behind_number(self, at: int) -> Iterator[tuple[Unit, str, int]]:
        at = at + 1 if self.get_word_at(at) == "-" and self.has_no_space_before(at) else at
        if self.has_no_space_before(at) and (end := self.skip_phrase(at, "' '", "'", '"')) > at:
            name = "ft" if (self.get_word_at(at), end) == ("'", at + 1) else "in"
            yield find_unit(name), name, end
        yield from self.list_units_at_token(at)

    def _list_compound_quantities(self, first: Quantity) -> Iterator[Quantity]:
        """The quantity with what belongs to it behind its unit."""
        if (half := self.skip_phrase(first.end, "半", "and a half")) > first.end:
            yield first._replace(value=first.value + Fraction(1, 2), end=half)
        tail = self._parse_decimal_tail(first.end) if first.symbol in ("米", "尺", "丈", "m") else None
        if tail and not any(self._list_units_behind_number(tail.end)):
            yield first._replace(value=first.value + tail.value, end=tail.end)
        for number, stop in self._list_unit_amounts(self.skip_phrase(first.end, "and", ",")):
            smaller = next(
                (one for one in self._list_units_behind_number(stop) if one[0].kind == first.unit.kind), None
            )
            name, most = _BELOW.get(first.unit.symbol, ("", 0))
            is_alone = smaller is None and number < most and not any(self._list_units_behind_number(stop))
            if (
                is_alone
                and self.get_word_at(first.end) not in ("and", ",")
                and self.get_word_at(stop) not in ("x", "%")
            ):
                smaller = find_unit(name), name, stop
            if smaller and smaller[0].factor < first.unit.factor and not first.unit.offset and number >= 0:
                value = first.value * first.unit.factor / smaller[0].factor + number
                joined = Quantity(value, *smaller)
                yield from self._list_compound_quantities(joined)
                yield joined

    def _parse_decimal_tail(self, at: int) -> Number | None:
        """`75` in `1米75`, `八` in `一米八`, `五` in `三块五` and `一点五`: decimals."""
        found = self.match_regex_at(_TAIL, at) if self.has_no_space_before(at) else None
        digits = "".join(str(_DIGITS.get(sign, sign)) for sign in found[0]) if found else ""
        return Number(Fraction(f"0.{digits}"), self.find_token_after(found.end(), at)) if found else None
