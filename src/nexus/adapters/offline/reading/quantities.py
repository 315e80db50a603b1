"""Numbers, percentages and quantities with units as people write them, in English and Chinese."""

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from nexus.adapters.offline.reading.tokens import Token
from nexus.domain.tools.library.units import Unit, unit_named
from nexus.domain.tools.model import ToolError

_LONGEST = 40
_SMALL_WORDS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen""".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = {"thousand": 1000, "million": 10**6, "mn": 10**6, "billion": 10**9, "bn": 10**9, "dozen": 12, "grand": 1000}
_WORDS = {word: at for at, word in enumerate(_SMALL_WORDS)} | {word: at * 10 for at, word in enumerate(_TENS, 2)}
_PARTS = {"half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4}
_ONES, _TEENS = "|".join(_SMALL_WORDS[1:10]), "|".join(reversed(_SMALL_WORDS))
_BELOW_100 = rf"(?:(?:{'|'.join(_TENS)})(?:[ -](?:{_ONES}))?|(?:{_TEENS}))(?![a-z])"
_BELOW_1000 = rf"(?:(?:{_BELOW_100}|an?) hundred(?: (?:and )?{_BELOW_100})?|{_BELOW_100})"
_SPOKEN = re.compile(
    rf"((?:(?:{_BELOW_1000}|an?) (?:{'|'.join(_SCALES)})(?![a-z])(?: (?:and )?(?={_BELOW_1000}))?){{0,3}}"
    rf"(?:{_BELOW_1000})?)"
    rf"((?:(?<=[a-z]) |an? )?(?:{'|'.join(_PARTS)})(?![a-z]))?( a dozen)?"
)
_DIGITS = {sign: at for at, sign in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
_PLACES = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8}
_CHINESE = re.compile(
    r"[零〇一二三四五六七八九十两](?:[零〇一二三四五六七八九十百千万亿]|(?<=[十百千万亿])两)*(?:点[零〇一二三四五六七八九]+)?"
)
_FRACTION = re.compile(r"(?:(\d{1,9})\s+)?(\d{1,4})/([1-9]\d{0,3})(?![\d/]|[.,]\d)")
_CHINESE_FRACTION = re.compile(r"(\d{1,4}|[二三四五六七八九十])分之")
_TAIL = re.compile(r"\d{1,2}(?!\d|[.,]\d)|[一二三四五六七八九]{1,2}")
_SIGNS = ("$", "€", "£", "¥", "usd", "eur", "gbp", "cny", "rmb")
_CURRENCIES = ("块 钱", "元 钱", "人 民 币", "美 元", "欧 元", "日 元", "英 镑", "美 金", "元", "块", *_SIGNS,
               *"dollars dollar bucks euro euros yuan quid".split())  # fmt: skip


class Number(NamedTuple):
    """A number from the token where it begins up to `end`. `doubt` names two readings where both are possible."""

    value: Fraction
    end: int
    doubt: tuple[str, ...] = ()


class Quantity(NamedTuple):
    """`value` in units of `unit`; `symbol` is how the unit is to be named to a tool."""

    value: Fraction
    unit: Unit
    symbol: str
    end: int

    def converted(self, symbol: str) -> Fraction:
        """The value in another unit of the same kind."""
        target = unit_named(symbol)
        return (self.value * self.unit.factor + self.unit.offset - target.offset) / target.factor


@lru_cache(maxsize=8192)
def _unit(name: str) -> Unit | None:
    try:
        return unit_named(name)
    except ToolError:
        return None


def value_of_digits(digits: str) -> Fraction | None:
    """`1,000` is a thousand, `3,5` three and a half; None for what is no single number, such as `1,2,3` or `1.2.3`."""
    mark = max(".,", key=digits.rfind)
    other = "," if mark == "." else "."
    if len(digits) > _LONGEST:
        return None
    if other in digits:
        whole, _, rest = digits.rpartition(mark)
        is_clear = digits.count(mark) == 1 and _is_grouped(whole, other)
        return Fraction(f"{whole.replace(other, '')}.{rest}") if is_clear else None
    if _is_grouped(digits, mark) and (mark == "," or digits.count(mark) > 1):
        return Fraction(digits.replace(mark, ""))
    return Fraction(digits.replace(",", ".")) if digits.count(mark) < 2 else None


def _is_grouped(digits: str, mark: str) -> bool:
    head, *groups = digits.split(mark)
    return 0 < len(head) <= 3 and head[0] != "0" and all(len(group) == 3 for group in groups) and bool(groups)


def _value_of_chinese(written: str) -> Fraction:
    """`三百五` is 350, `一百零五` 105, `二〇二六` 2026, `一点五` one and a half."""
    whole, _, behind = written.partition("点")
    if len(whole) > 1 and not _PLACES.keys() & set(whole):
        value = int("".join(str(_DIGITS[sign]) for sign in whole))
    else:
        value = section = digit = 0
        for sign in whole:
            if sign in _DIGITS:
                digit = _DIGITS[sign]
            elif _PLACES[sign] < 10**4:
                section, digit = section + (digit or 1) * _PLACES[sign], 0
            else:
                value, section, digit = (value + section + digit or 1) * _PLACES[sign], 0, 0
        is_short = whole[-2:-1] in ("百", "千", "万", "亿")
        value += section + digit * (_PLACES[whole[-2]] // 10 if is_short else 1)
    return Fraction(f"{value}.{''.join(str(_DIGITS[sign]) for sign in behind) or 0}")


class Quantities:
    """Reads what begins at a token. Of several readings the longest comes first."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self.text, self.lower, self.tokens = text, text.lower(), tokens
        numbers = [token.word for token in tokens if "," in token.word and token.word[0].isdigit()]
        self._has_decimal_commas = not all(_is_grouped(word, ",") for word in numbers)

    def word(self, at: int) -> str:
        return self.tokens[at].word if 0 <= at < len(self.tokens) else ""

    def touches(self, at: int) -> bool:
        """Whether the token stands right behind the one before."""
        return 0 < at < len(self.tokens) and self.tokens[at].start == self.tokens[at - 1].end

    def shown(self, at: int, end: int) -> str:
        """The text from a token up to another."""
        return self.text[self.tokens[at].start : self.tokens[end - 1].end]

    def skip(self, at: int, *phrases: str) -> int:
        """The place behind the first of the phrases that stands at a token, else the token itself."""
        for phrase in phrases:
            words = phrase.split()
            if all(self.word(at + place) == word for place, word in enumerate(words)):
                return at + len(words)
        return at

    def found(self, form: re.Pattern[str], at: int) -> re.Match[str] | None:
        """What has this form from a token on, in lower case."""
        return form.match(self.lower, self.tokens[at].start) if at < len(self.tokens) else None

    def behind(self, place: int, at: int) -> int:
        """The first token from `at` on that begins at a place of the text or behind it."""
        while at < len(self.tokens) and self.tokens[at].start < place:
            at += 1
        return at

    def numbers(self, at: int) -> Iterator[Number]:
        """Numbers, with or without the sign or name of a currency."""
        at = at + 1 if (self.word(at), self.word(at + 1)) == ("us", "$") else at
        if (start := self.skip(at, "负", "negative", "零 下")) > at:
            yield from (one._replace(value=-one.value) for one in self.numbers(start))
            return
        start = self.skip(at, *_SIGNS)
        is_negative = self.word(start) == "-" and self.touches(start + 1) and not self.touches(start)
        number = self._bare(start + is_negative)
        if number is None:
            return
        number = number._replace(value=-number.value if is_negative else number.value)
        end = self.skip(number.end, *_CURRENCIES) if start == at else number.end
        if end > number.end:
            tail = self._tail(end) if self.word(end - 1) == "块" else None
            yield from [Number(number.value + tail[0], tail[1])] if tail else []
            yield number._replace(end=end)
        yield number

    def _bare(self, at: int) -> Number | None:
        if part := self.found(_CHINESE_FRACTION, at):
            above = self._bare(self.behind(part.end(), at))
            below = int(part[1]) if part[1].isdecimal() else int(_value_of_chinese(part[1]))
            return Number(above.value / below, above.end) if above and below else None
        if self.word(at)[:1].isdecimal():
            return self._digits(at)
        if (end := self.skip(at, "一 半", "半")) > at:
            return Number(Fraction(1, 2), end)
        if found := self.found(_CHINESE, at):
            return (
                Number(_value_of_chinese(found[0]), self.behind(found.end(), at)) if len(found[0]) < _LONGEST else None
            )
        found = self.found(_SPOKEN, at)
        return self._spoken(found, at) if found and found[0] else None

    def _digits(self, at: int) -> Number | None:
        word = self.word(at)
        if part := self.found(_FRACTION, at):
            value = int(part[1] or 0) + Fraction(int(part[2]), int(part[3]))
            return Number(value, self.behind(part.end(), at))
        value_or_none = value_of_digits(word)
        if value_or_none is None:
            return None
        is_unsure = self._has_decimal_commas and word.count(".") == 1 and _is_grouped(word, ".")
        number = Number(value_or_none, at + 1, (word.replace(".", ""), word) if is_unsure else ())
        if self.word(at + 1) == "k" and self.touches(at + 1):
            return number._replace(value=number.value * 1000, end=at + 2)
        return self._scaled(number)

    def _scaled(self, number: Number) -> Number:
        value, end, doubt = number
        while scale := ({"hundred": 100} | _SCALES | _PLACES).get(self.word(end)):
            if self.word(end) == "十" or self.skip(end, "百 分") > end:
                break
            value, end = value * scale, end + 1
        half = self.skip(end, "and a half")
        return Number(value + Fraction(1, 2) * (half > end), half, doubt)

    def _spoken(self, found: re.Match[str], at: int) -> Number:
        """`two hundred and fifty`, `half`, `three quarters`, `a dozen`, `one and a half`, `half a dozen`."""
        total = part = 0
        for word in re.findall(r"[a-z]+", found[1]):
            if word in _SCALES:
                total, part = total + (part or 1) * _SCALES[word], 0
            else:
                part = (part or 1) * 100 if word == "hundred" else part + _WORDS.get(word, 0)
        value = Fraction(total + part)
        if found[2]:
            value = (value if found[1] else 1) * Fraction(1, _PARTS[found[2].split()[-1]])
        end = self.behind(found.end(), at)
        return Number(value * 12, end) if found[3] else self._scaled(Number(value, end))

    def percents(self, at: int) -> Iterator[Number]:
        """`5%`, `4,9 %`, `five per cent`, `百分之五`."""
        if (start := self.skip(at, "百 分 之")) > at:
            yield from self.numbers(start)
            return
        for number in self.numbers(at):
            end = self.skip(number.end, "%", "percent", "per cent", "pct", "个 百 分 点")
            yield from [number._replace(end=end)] if end > number.end else []

    def units(self, at: int) -> Iterator[tuple[Unit, str, int]]:
        """Names of units that begin at a token: the unit, its name and where it ends."""
        for end in range(min(at + 8, len(self.tokens)), at, -1):
            name = self.shown(at, end)
            is_name = (name[0].isalpha() or name[0] == "°") and len(name) <= _LONGEST and name[-1] not in ".,;:!?"
            if is_name and (unit := _unit(name)):
                yield unit, name, end

    def quantities(self, at: int) -> Iterator[Quantity]:
        """`10 km`, `5'9"`, `5 ft 9 in`, `half a mile`, `1米75`, `两斤半`, `1 h 30 min`."""
        if (start := self.skip(at, "摄 氏", "华 氏")) > at:
            name = f"{self.word(at)}氏度"
            for number in self.numbers(start):
                if self.word(number.end) == "度":
                    yield Quantity(number.value, unit_named(name), name, number.end + 1)
        for value, end in self._amounts(at):
            for unit, name, stop in self._units_behind(end):
                first = Quantity(value, unit, name, stop)
                yield from self._longer(first)
                yield first

    def _amounts(self, at: int) -> Iterator[tuple[Fraction, int]]:
        """A number before a unit: a lone article is one, `half a` a half, `两个半` two and a half."""
        for number in self.numbers(at):
            if number.doubt:
                continue
            if (end := self.skip(number.end, "个 半", "个", "of a", "of an")) > number.end:
                yield number.value + Fraction(1, 2) * (self.word(end - 1) == "半"), end
            yield number.value, self.skip(number.end, "a", "an") if number.value < 1 else number.end
        if self.word(at) in ("a", "an"):
            yield Fraction(1), at + 1

    def _units_behind(self, at: int) -> Iterator[tuple[Unit, str, int]]:
        at = at + 1 if self.word(at) == "-" and self.touches(at) else at
        if self.touches(at) and (end := self.skip(at, "' '", "'", '"')) > at:
            name = "ft" if (self.word(at), end) == ("'", at + 1) else "in"
            yield unit_named(name), name, end
        yield from self.units(at)

    def _longer(self, first: Quantity) -> Iterator[Quantity]:
        """The quantity with what belongs to it behind its unit."""
        if (half := self.skip(first.end, "半", "and a half")) > first.end:
            yield first._replace(value=first.value + Fraction(1, 2), end=half)
        tail = self._tail(first.end) if first.symbol in ("米", "尺", "丈", "m") else None
        if tail and not list(self._units_behind(tail[1])):
            yield first._replace(value=first.value + tail[0], end=tail[1])
        for number, stop in self._amounts(self.skip(first.end, "and", ",")):
            smaller = next((one for one in self._units_behind(stop) if one[0].kind == first.unit.kind), None)
            is_feet = (
                first.unit.symbol == "ft" and smaller is None and self.word(first.end)[:1].isdigit() and number < 12
            )
            if is_feet and not any(self._units_behind(stop)) and self.word(stop) not in ("x", "%"):
                smaller = unit_named("in"), "in", stop
            if smaller and smaller[0].factor < first.unit.factor and not first.unit.offset and number >= 0:
                value = first.value * first.unit.factor / smaller[0].factor + number
                joined = Quantity(value, *smaller)
                yield from self._longer(joined)
                yield joined

    def _tail(self, at: int) -> tuple[Fraction, int] | None:
        """`75` in `1米75`, `八` in `一米八`, `五` in `三块五`: decimals."""
        found = self.found(_TAIL, at) if self.touches(at) else None
        if not found:
            return None
        digits = "".join(str(_DIGITS.get(sign, sign)) for sign in found[0])
        return Fraction(f"0.{digits}"), self.behind(found.end(), at)
