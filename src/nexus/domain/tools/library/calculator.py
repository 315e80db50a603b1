"""Arithmetic as people write it, with exact decimals."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from nexus.domain.tools.library.functions import CONSTANTS, FUNCTIONS, compute_power, divide, modulo
from nexus.domain.tools.library.numbers import convert_for_json, limit_number_size, parse_exact, show_number
from nexus.domain.tools.model import ToolError

_LONGEST, _DEEPEST = 1000, 60
_WORDS = {
    word: sign
    for sign, words in {
        "*": "of times x 乘以 乘 的", "+": "plus 加上 加", "-": "minus 减去 减", "/": "over 除以", "%": "percent", "mod": "mod",
        "²": "平方", "³": "立方", "百分之": "百分之", "千": "千", "万": "万", "亿": "亿",
    }.items()
    for word in words.split()
}  # fmt: skip
_SIGNS = str.maketrans(
    {"×": "*", "·": "*", "✕": "*", "÷": "/", "−": "-", "–": "-", "—": "-", "∕": "/", "⁄": "/", "，": ",", "、": ","}
)
_SCALES = {"千": 1000, "万": 10_000, "亿": 100_000_000}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:,\d{3})*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+(?![\w.]))?)"
    r"|(?P<word>[A-Za-z_][A-Za-z_0-9]*|π|乘以|加上|减去|除以|平方|立方|百分之|[乘的加减千万亿√])"
    r"|(?P<sign>\*\*|//|[-+*/%^(),!\[\]{}]))"
)
_OPENING, _CLOSING = {"[": "(", "{": "("}, {"]": ")", "}": ")"}


class _Token(NamedTuple):
    kind: str
    text: str
    spaced: bool


def calculate(expression: str) -> dict[str, Any]:
    """Works out an arithmetic expression exactly, so 0.1 + 0.2 is 0.3.

    Knows + - * / // % ** ^ !, parentheses, percentages ("15% of 80", "200 + 10%"), pi, e and the functions sqrt cbrt abs
    round floor ceil min max sum mean median stdev log (base 10, or log(x, base)) ln log2 exp sin cos tan asin acos atan
    (radians; use radians(30) for degrees) factorial comb gcd lcm.

    Args:
        expression: What to work out, for example "(1200 * 1.19) / 3" or "15% of 80".
    """
    plain = _normalize_expression(expression)
    value = limit_number_size(_Reader(plain).parse_expression())
    text = show_number(value)
    return {
        "expression": expression.strip(),
        "result": convert_for_json(value),
        "text": f"{expression.strip().rstrip('=?＝？ ')} = {text}",
    }


def _normalize_expression(expression: str) -> str:
    if len(expression) > _LONGEST:
        raise ToolError(f"The expression is longer than {_LONGEST} characters.")
    if re.search(r"\b0[xX][0-9a-fA-F]", expression):
        raise ToolError("The calculator reads decimal numbers only.")
    expression = expression.replace("²", "^2").replace("³", "^3")
    plain = unicodedata.normalize("NFKC", expression.translate(_SIGNS)).translate(_SIGNS).strip()
    plain = re.sub(r"[$€£¥]|\bdivided\s+by\b", lambda found: "/" if "d" in found.group() else "", plain)
    plain = re.sub(r"\bmultiplied\s+by\b|(?<=[\d)])[xX](?=[\d(.])", "*", plain).rstrip("=?。 ").lstrip("= ")
    if not plain:
        raise ToolError("There is nothing to work out.")
    return plain


def _tokenize_expression(plain: str) -> list[_Token]:
    """A comma between digits groups thousands, unless a function's arguments stand around it."""
    tokens: list[_Token] = []
    calls: list[bool] = []
    place = 0
    while place < len(plain):
        found = _TOKEN.match(plain, place)
        if found is None:
            if not plain[place:].strip():
                break
            raise ToolError(f"The expression cannot be read at {plain[place:].strip()[:20]!r}.")
        kind, text = found.lastgroup or "", found.group(found.lastgroup or 0)
        end = found.end()
        if kind == "number" and "," in text and (any(calls) or not re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d*)?", text)):
            text = text.split(",")[0]
            end = found.start(kind) + len(text)
        if kind == "word":
            kind, text = _classify_word_token(text, follows="(" if plain[end:].lstrip()[:1] == "(" else "")
        text = _OPENING.get(text, _CLOSING.get(text, text))
        if text == "(":
            calls.append(bool(tokens) and tokens[-1].kind == "function")
        elif text == ")" and calls:
            calls.pop()
        tokens.append(_Token(kind, text, spaced=found.start(found.lastgroup or 0) > place))
        place = end
    return tokens


def _classify_word_token(word: str, *, follows: str) -> tuple[str, str]:
    lower = word.lower()
    if lower in FUNCTIONS and follows:
        return "function", lower
    if lower in CONSTANTS:
        return "constant", lower
    if lower == "√":
        return "function", "sqrt"
    if lower in _WORDS:
        return "sign", _WORDS[lower]
    raise ToolError(f"{word!r} is not known to the calculator.")


class _Value(NamedTuple):
    number: Fraction
    percent: bool = False


class _Reader:
    """Reads by precedence: + - below * / below signs below powers below postfix marks."""

    def __init__(self, plain: str) -> None:
        self._tokens, self._at, self._depth = _tokenize_expression(plain), 0, 0

    def parse_expression(self) -> Fraction:
        value = self._parse_nested_sum()
        if self._at < len(self._tokens):
            raise ToolError(f"The expression cannot be read at {self._tokens[self._at].text!r}.")
        return value.number

    def _peek_token(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at].text if at < len(self._tokens) else ""

    def _take_matching_token(self, *wanted: str) -> str:
        if (text := self._peek_token()) and text in wanted and self._tokens[self._at].kind == "sign":
            self._at += 1
            return text
        return ""

    def _parse_nested_sum(self) -> _Value:
        return self._parse_with_depth_limit(self._parse_sum)

    def _parse_sum(self) -> _Value:
        left = self._parse_product()
        while sign := self._take_matching_token("+", "-"):
            right = self._parse_product()
            amount = left.number * right.number if right.percent and not left.percent else right.number
            both_percent = left.percent and right.percent
            left = _Value(
                limit_number_size(left.number + amount if sign == "+" else left.number - amount), both_percent
            )
        return left

    def _parse_product(self) -> _Value:
        left = self._parse_signed_value()
        while True:
            if sign := self._take_matching_token("*", "/", "//", "%", "mod"):
                left = _Value(limit_number_size(_PRODUCTS[sign](left.number, self._parse_signed_value().number)))
            elif self._at < len(self._tokens) and self._is_implicit_product():
                left = _Value(limit_number_size(left.number * self._parse_signed_value().number))
            else:
                return left

    def _is_implicit_product(self) -> bool:
        """`2(3 + 4)`, `2 pi`, `3 sqrt(2)`: nothing between them means times; two numbers in a row mean nothing."""
        token, before = self._tokens[self._at], self._tokens[self._at - 1]
        if token.kind == "number":
            return before.text == ")"
        return token.kind in ("function", "constant") or token.text == "("

    def _parse_signed_value(self) -> _Value:
        sign = 1
        while found := self._take_matching_token("+", "-"):
            sign = -sign if found == "-" else sign
        value = self._parse_power()
        return _Value(-value.number, value.percent) if sign < 0 else value

    def _parse_power(self) -> _Value:
        base = self._parse_postfix_value()
        if not self._take_matching_token("**", "^"):
            return base
        exponent = self._parse_with_depth_limit(self._parse_signed_value)
        return _Value(limit_number_size(compute_power(base.number, exponent.number)))

    def _parse_with_depth_limit(self, read: Callable[[], _Value]) -> _Value:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ToolError("The expression is nested too deeply.")
        value = read()
        self._depth -= 1
        return value

    def _parse_postfix_value(self) -> _Value:
        """A value with what stands behind it: `5!`, `15%`, `3万`."""
        value = self._parse_primary_value()
        while True:
            if self._take_matching_token("!"):
                value = _Value(FUNCTIONS["factorial"].call(value.number))
            elif self._peek_token() == "%" and self._is_percent_sign():
                self._at += 1
                value = _Value(value.number / 100, True)
            elif scale := self._take_matching_token(*_SCALES):
                value = _Value(limit_number_size(value.number * _SCALES[scale]))
            elif sign := self._take_matching_token("²", "³"):
                value = _Value(limit_number_size(compute_power(value.number, Fraction(2 if sign == "²" else 3))))
            else:
                return value

    def _is_percent_sign(self) -> bool:
        """`7 % 3` and `7 % -3` divide, `15% of 80` and `10% - 3` do not: what matters is what follows, and the space before."""
        following = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else None
        if following is None or (following.kind == "sign" and following.text not in ("(", "-", "+")):
            return True
        return following.kind == "sign" and following.text in "+-" and not self._tokens[self._at].spaced

    def _parse_primary_value(self) -> _Value:
        if self._at >= len(self._tokens):
            raise ToolError("The expression ends too early.")
        token = self._tokens[self._at]
        self._at += 1
        if token.kind == "number":
            return _Value(parse_exact(token.text, "A number of the expression"))
        if token.kind == "constant":
            return _Value(CONSTANTS[token.text])
        if token.kind == "function":
            return self._parse_with_depth_limit(
                lambda: _Value(limit_number_size(self._parse_function_call(token.text)))
            )
        if token.text == "(":
            value = self._parse_nested_sum()
            self._take_closing_parenthesis()
            return value
        if token.text == "百分之":
            return self._parse_with_depth_limit(lambda: _Value(self._parse_primary_value().number / 100, True))
        raise ToolError(f"The expression cannot be read at {token.text!r}.")

    def _parse_function_call(self, name: str) -> Fraction:
        known = FUNCTIONS[name]
        if self._peek_token() != "(":
            return known.call(self._parse_primary_value().number)
        self._at += 1
        values = [self._parse_nested_sum().number]
        while self._take_matching_token(","):
            values.append(self._parse_nested_sum().number)
        self._take_closing_parenthesis()
        if not known.least <= len(values) <= known.most:
            raise ToolError(f"{name} does not take {len(values)} numbers.")
        return known.call(*values)

    def _take_closing_parenthesis(self) -> None:
        if not self._take_matching_token(")"):
            raise ToolError("A parenthesis is not closed.")


_PRODUCTS: Mapping[str, Callable[[Fraction, Fraction], Fraction]] = {
    "*": lambda left, right: left * right,
    "/": divide,
    "//": lambda left, right: Fraction(divide(left, right).__floor__()),
    "%": modulo,
    "mod": modulo,
}
