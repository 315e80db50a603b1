"""Numbers, percentages and quantities with units as people write them, in English and Chinese."""

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from nexus.adapters.offline.reading.tokens import Token
from nexus.domain.tools.library.units import Unit, unit_named
from nexus.domain.tools.model import ToolError

_ONES = {word: at for at, word in enumerate(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen".split())}  # fmt: skip
_TENS = {word: 10 * at for at, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "mn": 10**6, "billion": 10**9, "bn": 10**9, "dozen": 12,
           "grand": 1000}  # fmt: skip
_PARTS = {"half": Fraction(1, 2), "quarter": Fraction(1, 4), "quarters": Fraction(1, 4), "third": Fraction(1, 3),
          "thirds": Fraction(1, 3), "halves": Fraction(1, 2)}  # fmt: skip
_DIGITS = {sign: at for at, sign in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0, "俩": 2}
_PLACES = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8}
_SIGNS = {"$", "€", "£", "¥", "usd", "eur", "gbp", "cny", "rmb"}
_CURRENCIES = {*((sign,) for sign in _SIGNS), *((word,) for word in "dollars dollar bucks euro euros yuan quid".split()),
               *(tuple(name) for name in "元 块 块钱 元钱 美元 欧元 日元 英镑 美金 人民币".split())}  # fmt: skip
_BEFORE_UNITS = "米克瓦卡焦帕兆字"
_LONGEST = 40


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


def value_of_digits(digits: str) -> tuple[Fraction, tuple[str, ...]] | None:
    """`1,000` is a thousand, `3,5` three and a half; None for what is no single number, such as `1,2,3` or `1.2.3`."""
    dots, commas = digits.count("."), digits.count(",")
    if len(digits) > _LONGEST:
        return None
    if dots and commas:
        mark = max(".,", key=digits.rfind)
        other = "," if mark == "." else "."
        whole, _, rest = digits.rpartition(mark)
        if digits.count(mark) > 1 or not _is_grouped(whole, other):
            return None
        return Fraction(f"{whole.replace(other, '')}.{rest}"), ()
    mark = "," if commas else "."
    if dots + commas > 1:
        return (Fraction(digits.replace(mark, "")), ()) if _is_grouped(digits, mark) else None
    if commas and _is_grouped(digits, ","):
        return Fraction(digits.replace(",", "")), ()
    return Fraction(digits.replace(",", ".")), ()


def _is_grouped(digits: str, mark: str) -> bool:
    head, *groups = digits.split(mark)
    return 0 < len(head) <= 3 and head[0] != "0" and all(len(group) == 3 for group in groups) and bool(groups)


class Quantities:
    """Reads what begins at a token. Of several readings the longest comes first."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self.text = text
        self.tokens = tokens
        self._commas = any("," in token.word and token.word[0].isdigit() and not _is_grouped(token.word, ",")
                           for token in tokens)  # fmt: skip

    def word(self, at: int) -> str:
        return self.tokens[at].word if 0 <= at < len(self.tokens) else ""

    def touches(self, at: int) -> bool:
        """Whether the token stands right behind the one before."""
        return 0 < at < len(self.tokens) and self.tokens[at].start == self.tokens[at - 1].end

    def numbers(self, at: int) -> Iterator[Number]:
        """Numbers, with or without the sign or name of a currency."""
        if self.word(at) == "us" and self.word(at + 1) == "$":
            at += 1
        if self.word(at) in ("负", "negative") or (self.word(at) == "零" and self.word(at + 1) == "下"):
            yield from (one._replace(value=-one.value) for one in self.numbers(at + 1 + (self.word(at) == "零")))
            return
        signed = self.word(at) in _SIGNS
        start = at + 1 if signed else at
        minus = self.word(start) == "-" and self.touches(start + 1) and not (self.touches(start) and start)
        bare = self._bare(start + 1 if minus else start)
        if bare is None:
            return
        number = bare._replace(value=-bare.value if minus else bare.value)
        for size in (3, 2, 1):
            words = tuple(self.word(at) for at in range(number.end, number.end + size))
            if not signed and words in _CURRENCIES:
                tail = self._tail(number.end + size) if words == ("块",) else None
                yield from [Number(number.value + tail[0], tail[1])] if tail else []
                yield number._replace(end=number.end + size)
                break
        yield number

    def _bare(self, at: int) -> Number | None:
        word = self.word(at)
        if self.word(at + 1) == "分" and self.word(at + 2) == "之" and word != "百":
            below, above = self._whole_part(at), self._bare(at + 3)
            return Number(above.value / below, above.end) if below and above else None
        if word[:1].isdigit():
            return self._digits(at)
        if word in _DIGITS or word in ("十", "半"):
            return self._chinese(at)
        return self._spoken(at)

    def _whole_part(self, at: int) -> int:
        """The `三` of `三分之二`."""
        word = self.word(at)
        return int(word) if word.isdecimal() and len(word) < 5 else _DIGITS.get(word, 10 if word == "十" else 0)

    def _digits(self, at: int) -> Number | None:
        found = value_of_digits(self.word(at))
        if found is None:
            return None
        value, doubt = found[0], found[1]
        word, end = self.word(at), at + 1
        if self._commas and word.count(".") == 1 and _is_grouped(word, "."):
            doubt = (word.replace(".", ""), word)
        if self._is_fraction(at):
            return Number(Fraction(int(word), int(self.word(at + 2))), at + 3)
        if self._is_fraction(end) and value.denominator == 1 and not self.touches(end):
            return Number(value + Fraction(int(self.word(end)), int(self.word(end + 2))), end + 3)
        if self.word(end) == "k" and self.touches(end):
            return Number(value * 1000, end + 1, doubt)
        return self._scaled(Number(value, end, doubt))

    def _scaled(self, number: Number) -> Number:
        value, end, doubt = number
        while scale := _SCALES.get(self.word(end)) or self._chinese_scale(end):
            value, end = value * scale, end + 1
        if [self.word(end + at) for at in range(3)] == ["and", "a", "half"]:
            value, end = value + Fraction(1, 2), end + 3
        return Number(value, end, doubt)

    def _chinese_scale(self, at: int) -> int:
        following = self.word(at + 1)
        if self.word(at) not in ("万", "亿", "千", "百") or (
            self.word(at) in "千百" and following and following in _BEFORE_UNITS + "分"
        ):
            return 0
        return _PLACES[self.word(at)]

    def _is_fraction(self, at: int) -> bool:
        top, sign, bottom = self.word(at), self.word(at + 1), self.word(at + 2)
        plain = top.isdecimal() and sign == "/" and bottom.isdecimal() and self.touches(at + 1) and self.touches(at + 2)
        return (
            plain
            and len(top + bottom) < 8
            and int(bottom) > 0
            and not (self.word(at + 3) == "/" and self.touches(at + 3))
        )

    def _chinese(self, at: int) -> Number | None:
        if self.word(at) == "半" or (self.word(at) == "一" and self.word(at + 1) == "半"):
            return Number(Fraction(1, 2), at + (1 if self.word(at) == "半" else 2))
        end, total, section, digit, run = at, 0, 0, 0, ""
        while (sign := self.word(end)) in _DIGITS or sign in _PLACES:
            if sign in ("千", "百") and end > at and self.word(end + 1) and self.word(end + 1) in "分" + _BEFORE_UNITS:
                break
            if sign == "两" and end > at and self.word(end - 1) not in ("万", "千", "百", "十"):
                break
            if sign in _DIGITS:
                digit, run = _DIGITS[sign], run + str(_DIGITS[sign])
            elif _PLACES[sign] < 10**4:
                section, digit, run = section + (digit or 1) * _PLACES[sign], 0, run + "-"
            else:
                total, section, digit, run = (total + section + digit or 1) * _PLACES[sign], 0, 0, run + "-"
            end += 1
            if end - at > _LONGEST:
                return None
        value = Fraction(int(run) if run.isdecimal() and len(run) > 1 else total + section + digit)
        if self.word(end) == "点" and self.word(end + 1) in _DIGITS:
            start = end = end + 1
            while self.word(end) in _DIGITS:
                end += 1
            value += Fraction("0." + "".join(str(_DIGITS[self.word(place)]) for place in range(start, end)))
        return Number(value, end) if end > at else None

    def _spoken(self, at: int) -> Number | None:
        """`twenty-five`, `two hundred and fifty`, `half`, `three quarters`, `a dozen`, `one and a half`."""
        end = at + 1 if self.word(at) in ("a", "an") else at
        total, part, started = 0, 0, False
        while (
            (word := self.word(end)) in _ONES or word in _TENS or word in _SCALES or (word in ("and", "-") and started)
        ):
            if word in ("and", "-"):
                if (word == "and" and part % 100) or not {self.word(end + 1)} & {*_ONES, *_TENS}:
                    break
            elif word in _SCALES:
                if not started and end == at and word != "dozen":
                    return None
                part = (part or 1) * _SCALES[word]
                total, part = (total + part, 0) if _SCALES[word] >= 1000 else (total, part)
            elif started and self.word(end - 1) in (_ONES if word in _ONES else {**_ONES, **_TENS}):
                break
            else:
                part += _ONES.get(word, _TENS.get(word, 0))
            started, end = True, end + 1
        if started and self.word(end) not in _PARTS:
            return self._scaled(Number(Fraction(total + part), end))
        if self.word(end) in _PARTS and (started or end == at or self.word(end) == "quarter"):
            return self._part((total + part) if started else 1, end)
        return None

    def _part(self, count: int, at: int) -> Number:
        value, end = count * _PARTS[self.word(at)], at + 1
        if [self.word(end), self.word(end + 1)] == ["a", "dozen"]:
            return Number(value * 12, end + 2)
        return Number(value, end)

    def percents(self, at: int) -> Iterator[Number]:
        """`5%`, `4,9 %`, `five per cent`, `百分之五`."""
        if [self.word(at + place) for place in range(3)] == ["百", "分", "之"]:
            yield from self.numbers(at + 3)
            return
        for number in self.numbers(at):
            for words in (("%",), ("percent",), ("per", "cent"), ("pct",), ("个", "百", "分", "点")):
                if tuple(self.word(number.end + place) for place in range(len(words))) == words:
                    yield number._replace(end=number.end + len(words))

    def units(self, at: int) -> Iterator[tuple[Unit, str, int]]:
        """Names of units that begin at a token: the unit, its name and where it ends."""
        for size in range(min(8, len(self.tokens) - at), 0, -1):
            name = self.text[self.tokens[at].start : self.tokens[at + size - 1].end]
            if (
                (name[0].isalpha() or name[0] == "°")
                and len(name) <= 40
                and name[-1] not in ".,;:!?"
                and (unit := _unit(name))
            ):
                yield unit, name, at + size

    def quantities(self, at: int) -> Iterator[Quantity]:
        """`10 km`, `5'9"`, `5 ft 9 in`, `half a mile`, `1米75`, `两斤半`, `1 h 30 min`."""
        if self.word(at) in ("摄", "华") and self.word(at + 1) == "氏":
            name = "摄氏度" if self.word(at) == "摄" else "华氏度"
            for number in self.numbers(at + 2):
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
            end = number.end
            if number.doubt:
                continue
            if self.word(end) == "个":
                half = self.word(end + 1) == "半"
                yield number.value + (Fraction(1, 2) if half else 0), end + 1 + half
            if self.word(end) == "of" and self.word(end + 1) in ("a", "an"):
                yield number.value, end + 2
            yield number.value, end + (self.word(end) in ("a", "an") and number.value < 1)
        if self.word(at) in ("a", "an"):
            yield Fraction(1), at + 1

    def _units_behind(self, at: int) -> Iterator[tuple[Unit, str, int]]:
        if self.word(at) == "-" and self.touches(at):
            at += 1
        if self.word(at) in ("'", '"') and self.touches(at):
            name = "ft" if self.word(at) == "'" else "in"
            double = self.word(at + 1) == "'" and name == "ft"
            yield unit_named("in" if double else name), "in" if double else name, at + 1 + double
        yield from self.units(at) if at < len(self.tokens) else ()

    def _longer(self, first: Quantity) -> Iterator[Quantity]:
        """The quantity with what belongs to it behind its unit."""
        end, factor = first.end, first.unit.factor
        if self.word(end) == "半" or [self.word(end + at) for at in range(3)] == ["and", "a", "half"]:
            more = Fraction(1, 2)
            yield first._replace(value=first.value + more, end=end + (1 if self.word(end) == "半" else 3))
        if (
            first.symbol in ("米", "尺", "丈", "m")
            and (tail := self._tail(end))
            and not list(self._units_behind(tail[1]))
        ):
            yield first._replace(value=first.value + tail[0], end=tail[1])
        start = end + (self.word(end) == "and") if self.word(end) != "," else end + 1
        for number, stop in self._amounts(start):
            smaller = [one for one in self._units_behind(stop) if one[0].kind == first.unit.kind]
            if smaller and smaller[0][0].factor < factor and not first.unit.offset and number >= 0:
                unit, name, last = smaller[0]
                joined = Quantity(first.value * factor / unit.factor + number, unit, name, last)
                yield from self._longer(joined)
                yield joined
        inches = next(self.numbers(end), None) if first.unit.symbol == "ft" and self.word(end)[:1].isdigit() else None
        behind = [name for _, name, _ in self._units_behind(inches.end)] if inches else []
        if inches and inches.value < 12 and behind in ([], ["in"]) and self.word(inches.end) not in ("x", "%"):
            yield Quantity(first.value * 12 + inches.value, unit_named("in"), "in", inches.end)

    def _tail(self, at: int) -> tuple[Fraction, int] | None:
        """`75` in `1米75`, `八` in `一米八`, `五` in `三块五`: decimals."""
        digits, end = "", at
        if not self.touches(at):
            return None
        if self.word(at).isdecimal():
            digits, end = self.word(at), at + 1
        while not digits[2:] and self.word(end) in _DIGITS and end - at < 2 and not self.word(at).isdecimal():
            digits, end = digits + str(_DIGITS[self.word(end)]), end + 1
        return (Fraction(f"0.{digits}"), end) if 0 < len(digits) <= 2 else None
