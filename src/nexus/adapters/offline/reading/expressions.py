"""Arithmetic as people say and write it, as an expression for the calculator."""

from fractions import Fraction

from nexus.adapters.offline.reading.patterns import literal
from nexus.adapters.offline.reading.quantities import Number, Quantities, value_of_digits
from nexus.domain.tools.library.numbers import shown

_MOST = 300
_OPERATORS = {
    "+": "+ plus 加上 加", "-": "- minus 减去 减", "×": "* x times multiplied_by 乘以 乘上 乘", "/": "/ divided_by 除以 ÷", "mod": "mod modulo",
    "^": "^ to_the_power_of raised_to_the_power_of raised_to to_the_power",
}  # fmt: skip
_BEHIND = {"^2": "squared 的平方 平方", "^3": "cubed 的立方 立方", "!": "! factorial 的阶乘"}
_BEFORE = {"sqrt": "square_root_of sqrt_of sqrt the_square_root_of 根号 √", "cbrt": "cube_root_of the_cube_root_of"}
_WORDS = {
    kind: [(sign, words) for sign, text in table.items() for words in literal(text.split()).words.values()]
    for kind, table in (("operator", _OPERATORS), ("behind", _BEHIND), ("before", _BEFORE))
}


class Expression:
    """One reading from a token on: `text` up to the token `end`, and `doubt` where it can be meant in two ways."""

    def __init__(self, source: Quantities, at: int) -> None:
        self.source, self.at = source, at
        self.text, self.end, self.operators = "", at, 0
        self.doubt: tuple[str, ...] = ()
        self._read()

    def _read(self) -> None:
        """Takes operands and operators in turn; remembers the last place where what was read is complete."""
        parts: list[str] = []
        depth, is_rooted = 0, False
        while len(parts) < _MOST:
            while self._take("("):
                parts, depth = [*parts, "("], depth + 1
            root = self._word("before")
            if root and self.source.word(self.at) == "(":
                parts.append(root)
                continue
            if not self._number(parts, root):
                return
            is_rooted = is_rooted or root is not None
            while depth and self._take(")"):
                parts, depth = [*parts, ")"], depth - 1
            while sign := self._word("behind"):
                parts.append(sign)
            if depth == 0:
                self.text, self.end = " ".join(parts), self.at
            sign = self._word("operator")
            if sign is None:
                return
            self.doubt = ("√(…)", f"√… {sign} …") if is_rooted and depth == 0 else self.doubt
            parts.append(sign)

    def _take(self, sign: str) -> bool:
        if self.source.word(self.at) != sign:
            return False
        self.at += 1
        return True

    def _number(self, parts: list[str], root: str | None) -> bool:
        percent = next(self.source.percents(self.at), None)
        number = percent or next(self.source.numbers(self.at), None)
        if number is not None and self._is_division(number, parts):
            found = value_of_digits(self.source.word(self.at))
            number = Number(found[0], self.at + 1) if found else None
        if number is None or number.doubt:
            return False
        is_exact = Fraction(shown(number.value, 15)) == number.value
        written = shown(number.value, 15) if is_exact else f"({number.value.numerator} / {number.value.denominator})"
        parts.append((f"{root}({written})" if root else written) + ("%" if percent else ""))
        self.at = number.end
        if (percent or number.value < 1) and self._take("of"):
            parts.append("×")
            self.operators += 1
            return self._number(parts, None)
        return True

    def _is_division(self, number: Number, parts: list[str]) -> bool:
        """Whether a `/` that was read as a fraction divides by the rules of precedence: `2^1/2`, `6/2^2`."""
        written = self.source.text[self.source.tokens[self.at].start : self.source.tokens[number.end - 1].end]
        is_first = parts[-1:] in ([], ["+"], ["-"], ["("]) and self.source.word(number.end) != "^"
        is_part = self.source.word(number.end) == "of"
        return "/" in written and not is_part and (" " not in written or not is_first)

    def _word(self, kind: str) -> str | None:
        for sign, phrases in _WORDS[kind]:
            for words in phrases:
                if all(self.source.word(self.at + place) == word for place, word in enumerate(words)):
                    self.at += len(words)
                    self.operators += 1
                    return sign
        return None
