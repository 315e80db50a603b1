"""Arithmetic as people say and write it, as an expression for the calculator."""

from fractions import Fraction

from nexus.adapters.offline.reading.quantities import Number, Quantities, parse_digits
from nexus.domain.tools.library.numbers import show_number

_MOST = 200
_OPERATORS = {
    "+": "+|plus|add|加 上|加", "-": "-|minus|subtract|减 去|减",
    "×": "*|x|times|multiplied by|multiply by|multiply it by|乘 以|乘 上|乘",
    "/": "/|divided by|divide by|divide it by|除 以|÷", "mod": "mod|modulo",
    "^": "^|to the power of|raised to the power of|raised to|to the power",
}  # fmt: skip
_BEHIND = {"^2": "squared|的 平 方|平 方", "^3": "cubed|的 立 方|立 方", "!": "!|factorial|的 阶 乘"}
_BEFORE = {"sqrt": "square root of|sqrt of|sqrt|the square root of|根 号 下|根 号|√",
           "cbrt": "cube root of|the cube root of"}  # fmt: skip
_THEN = (", and then", ", then", "and then", "then", ", 再", "再", ", 然 后", "然 后", ", and", "and", ",")


class Expression:
    """One reading from a token on: `text` up to the token `end`, empty where nothing is computed."""

    def __init__(self, source: Quantities, at: int) -> None:
        self.source, self.at, self.signs = source, at, 0
        self.text, self.end = "", at
        self._parse_expression()

    def _parse_expression(self) -> None:
        """Takes operands and operators in turn; remembers the last place where what was read is complete."""
        parts: list[str] = []
        depth, is_rooted = 0, False
        while len(parts) < _MOST:
            while self._consume_phrase("("):
                parts, depth = [*parts, "("], depth + 1
            root = self._consume_operator(_BEFORE)
            if root and self.source.get_word_at(self.at) == "(":
                parts.append(root)
                continue
            if not self._parse_operand(parts, root):
                return
            is_rooted = is_rooted or root is not None
            while depth and self._consume_phrase(")"):
                parts, depth = [*parts, ")"], depth - 1
            while sign := self._consume_operator(_BEHIND):
                parts.append(sign)
            if depth == 0 and self.signs:
                self.text, self.end = " ".join(parts), self.at
            if depth == 0 and self._consume_phrase(*_THEN):
                parts = ["(", *parts, ")"]
            sign = self._consume_operator(_OPERATORS)
            if sign is None or (is_rooted and depth == 0):
                return
            parts.append(sign)

    def _consume_phrase(self, *phrases: str) -> bool:
        before, self.at = self.at, self.source.skip_phrase(self.at, *phrases)
        return self.at > before

    def _consume_operator(self, table: dict[str, str]) -> str | None:
        found = next((sign for sign, phrases in table.items() if self._consume_phrase(*phrases.split("|"))), None)
        self.signs += found is not None
        return found

    def _parse_operand(self, parts: list[str], root: str | None) -> bool:
        percent = next(self.source.list_percents_at(self.at), None)
        number = percent or next(self.source.list_numbers_at(self.at), None)
        if (
            number
            and "/" in self.source.get_text_between(self.at, number.end)
            and self.source.get_word_at(number.end) != "of"
        ):
            value = None if percent else parse_digits(self.source.get_word_at(self.at))
            number = Number(value, self.at + 1) if value is not None else None
        if number is None:
            return False
        is_exact = Fraction(show_number(number.value, 15)) == number.value
        written = (
            show_number(number.value, 15) if is_exact else f"({number.value.numerator} / {number.value.denominator})"
        )
        parts.append((f"{root}({written})" if root else written) + ("%" if percent else ""))
        self.at = number.end
        if (percent or number.value < 1) and self._consume_phrase("of"):
            parts.append("×")
            self.signs += 1
            return self._parse_operand(parts, None)
        return True
