"""Numbers as people write them: `$200,000`, `200k`, `20万`, `5 percent`, `百分之五`, `thirty years`, `三十年`."""

import re
import unicodedata

from nexus.adapters.offline.language.script import simplified

NUMBER = r"(?<![A-Za-z0-9_.])(?:(?<![\d)\]])-)?\d{1,30}(?:\.\d{1,30})?(?:e-?\d{1,2})?(?![0-9])"
"""One number in a text that went through `plain`."""

_ONES = {
    word: value
    for value, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    )
} | {
    word: value
    for value, word in enumerate(
        ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"], 13
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000, "billion": 1_000_000_000}
_WORD = "|".join([*_ONES, *_TENS])
_WORDED = re.compile(
    rf"\b(?!one\b|zero\b)({_WORD})(?:[\s-]+(?:({'|'.join(_ONES)})))?\b(?=([\s-]+[A-Za-z%]))", re.IGNORECASE
)
_DIGITS = {character: value for value, character in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
_PLACES = {"十": 10, "百": 100, "千": 1000}
_MYRIADS = {"万": 10_000, "亿": 100_000_000}
_CHINESE = re.compile(
    r"(?<![零一二两三四五六七八九十百千万亿第0-9])([零〇一二两三四五六七八九十百千万亿]{1,30})(?:点([零〇一二三四五六七八九]{1,30}))?"
    r"(?=\s*(?:%|年|个?月|天|日|周|小时|分钟|秒|元|块|人|公里|千米|米|厘米|毫米|英里|英尺|英寸|码|公斤|千克|克|斤|吨|磅|盎司|摄氏|华氏|度|升|毫升"
    r"|加仑|平方|句|件|张|次|杯|斤|里|加|减|乘|除|$))"
)
_PERCENT_ZH = re.compile(
    r"百分之([零一二两三四五六七八九十百]{1,30}|\d{1,30}(?:\.\d{1,30})?)(?:点([零一二三四五六七八九]{1,30}))?"
)
_GROUPED = re.compile(r"(?<![\d.,])(\d{1,3}(?:,\d{3})+)(?![\d])")
_SCALED = re.compile(
    r"(?<![\d.])(\d{1,30}(?:\.\d{1,30})?)\s?(?:([kK])(?![A-Za-z])|(thousand|million|billion|mn|bn)\b|(百万|千万|万|亿|千(?![米克瓦卡焦字赫兆])))",
    re.IGNORECASE,
)
_SCALED_BY = {
    "k": 1e3,
    "thousand": 1e3,
    "million": 1e6,
    "mn": 1e6,
    "billion": 1e9,
    "bn": 1e9,
    "千": 1e3,
    "万": 1e4,
    "百万": 1e6,
    "千万": 1e7,
    "亿": 1e8,
}
_CURRENCY = re.compile(
    r"(?:US\$|[$€£¥￥])\s?(?=\d)|(?<=\d)\s?(?:[$€£]|USD|EUR|GBP|CNY|RMB|dollars?|euros?|yuan|bucks)(?![A-Za-z])",
    re.IGNORECASE,
)


def plain(text: str) -> str:
    """The text with every number in plain digits, `%` for per cent, no currency signs and half-width punctuation."""
    text = simplified(unicodedata.normalize("NFKC", text)).replace("−", "-").replace("×", "x")
    text = _PERCENT_ZH.sub(lambda found: _chinese_number(found[1], found[2]) + "%", text)
    text = re.sub(r"(?<=\d)\s?(?:per\s?cent|percent|pct)\b", "%", text, flags=re.IGNORECASE)
    text = _GROUPED.sub(lambda found: found[1].replace(",", ""), text)
    text = _WORDED.sub(_english_number, text)
    text = _CHINESE.sub(lambda found: _chinese_number(found[1], found[2]), text)
    text = _CURRENCY.sub(" ", text)
    return _SCALED.sub(_scaled, text)


def numbers_in(text: str) -> list[float]:
    """All numbers of a plain text, in order; whole ones as whole numbers."""
    return [number(found[0]) for found in re.finditer(NUMBER, text)]


def number(text: str) -> float:
    """`"5.0"` and `"5"` are 5; a whole number stays exact however long it is."""
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def shown(value: float) -> str:
    """A number for people: thousands apart, at most six decimals, no trailing zeros."""
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    if value and abs(value) < 1e-4:
        return f"{value:.6g}"
    return f"{value:,.6f}".rstrip("0").rstrip(".")


def money(value: float) -> str:
    """Two decimals, no thousands separators, so that it can be found in a text."""
    return f"{value:.2f}"


def _english_number(found: re.Match[str]) -> str:
    first, second = found[1].lower(), (found[2] or "").lower()
    value = _ONES.get(first, _TENS.get(first, 0))
    if not second:
        return str(value)
    return str(value + _ONES[second]) if first in _TENS and _ONES[second] < 10 else f"{value} {_ONES[second]}"


def _chinese_number(whole: str, fraction: str | None) -> str:
    value = whole if whole[0].isdigit() else str(_chinese_whole(whole))
    return f"{value}.{''.join(str(_DIGITS[digit]) for digit in fraction)}" if fraction else value


def _chinese_whole(text: str) -> int:
    """`三十` is 30, `二十万` 200000, `二〇二六` 2026."""
    if len(text) > 1 and all(character in _DIGITS for character in text):
        return int("".join(str(_DIGITS[character]) for character in text))
    total = section = digit = 0
    for character in text:
        if character in _DIGITS:
            digit = _DIGITS[character]
        elif character in _PLACES:
            section, digit = section + (digit or 1) * _PLACES[character], 0
        else:
            total, section, digit = (total + section + digit or 1) * _MYRIADS[character], 0, 0
    return total + section + digit


def _scaled(found: re.Match[str]) -> str:
    scale = (found[2] or found[3] or found[4]).lower()
    value = round(float(found[1]) * _SCALED_BY[scale], 6)
    return str(int(value)) if value.is_integer() else str(value)
