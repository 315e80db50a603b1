"""The functions of the calculator, on fractions, to forty decimal places where they do not end."""

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation, Overflow, localcontext
from fractions import Fraction
from typing import NamedTuple

from nexus.domain.tools.library.numbers import PRECISE, bounded, decimal
from nexus.domain.tools.model import ToolError

PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803")
E = Fraction("2.71828182845904523536028747135266249775724709369995957496696762772407663035354759457138")
CONSTANTS: Mapping[str, Fraction] = {"pi": PI, "π": PI, "e": E, "tau": 2 * PI}
_PLACES = 40


class Known(NamedTuple):
    """A function and how many arguments it takes."""

    call: Callable[..., Fraction]
    least: int
    most: int


def power(base: Fraction, exponent: Fraction) -> Fraction:
    """Exact for whole exponents as long as the digits stay few."""
    if exponent.denominator == 1 and abs(exponent) <= 100_000:
        return _whole_power(base, exponent.numerator)
    if base == 0:
        return _zero_power(exponent)
    if base < 0:
        raise ToolError("A root of a negative number is not a real number.")
    root = _perfect(base) if exponent.denominator == 2 else None
    return _whole_power(root, exponent.numerator) if root is not None else exp(exponent * ln(base))


def _whole_power(base: Fraction, exponent: int) -> Fraction:
    if base == 0:
        return _zero_power(Fraction(exponent))
    size = max(abs(base.numerator), base.denominator).bit_length() * abs(exponent)
    if size <= 8192:
        return bounded(base**exponent)
    if math.log10(abs(base)) * exponent > 309:
        raise ToolError("The result is too large.")
    if math.log10(abs(base)) * exponent < -300:
        return Fraction(0)
    with localcontext(PRECISE):
        return Fraction(decimal(base) ** exponent)


def _zero_power(exponent: Fraction) -> Fraction:
    if exponent < 0:
        raise ToolError("Zero cannot be raised to a negative power.")
    return Fraction(0 if exponent else 1)


def _perfect(value: Fraction) -> Fraction | None:
    """The root, where it is a fraction itself."""
    top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
    return Fraction(top, bottom) if top * top == value.numerator and bottom * bottom == value.denominator else None


def sqrt(value: Fraction) -> Fraction:
    if value < 0:
        raise ToolError("The square root of a negative number is not a real number.")
    return root if (root := _perfect(value)) is not None else Fraction(PRECISE.sqrt(decimal(value)))


def cbrt(value: Fraction) -> Fraction:
    near = round(abs(value.numerator) ** (1 / 3)) if abs(value.numerator) < 10**45 else 0
    if value.denominator == 1 and near**3 == abs(value.numerator):
        return Fraction(near if value >= 0 else -near)
    size = power(abs(value), Fraction(1, 3))
    return size if value >= 0 else -size


def ln(value: Fraction) -> Fraction:
    if value <= 0:
        raise ToolError("A logarithm needs a number above zero.")
    return Fraction(PRECISE.ln(decimal(value)))


def log10(value: Fraction) -> Fraction:
    if value <= 0:
        raise ToolError("A logarithm needs a number above zero.")
    return Fraction(PRECISE.log10(decimal(value)))


def log(value: Fraction, base: Fraction = Fraction(10)) -> Fraction:
    if base == 10:
        return log10(value)
    if base <= 0 or base == 1:
        raise ToolError("The base of a logarithm must be above zero and not 1.")
    return _settled(ln(value) / ln(base))


def exp(value: Fraction) -> Fraction:
    if value > 690:
        raise ToolError("The result is too large.")
    if value < -690:
        return Fraction(0)
    try:
        return _settled_relative(PRECISE.exp(decimal(value)))
    except (InvalidOperation, Overflow):
        raise ToolError("The result is too large.") from None


def sin(angle: Fraction) -> Fraction:
    if abs(angle) > 10**15:
        raise ToolError("The angle is too large.")
    turned = angle - 2 * PI * round(angle / (2 * PI))
    return _settled(Fraction(_sine(decimal(turned))))


def cos(angle: Fraction) -> Fraction:
    return sin(angle + PI / 2)


def tan(angle: Fraction) -> Fraction:
    if (bottom := cos(angle)) == 0:
        raise ToolError("The tangent has no value at this angle.")
    return _settled(sin(angle) / bottom)


def _sine(angle: Decimal) -> Decimal:
    """The series, for angles from -π to π."""
    with localcontext(PRECISE):
        term = total = angle
        for step in range(1, 60):
            term = -term * angle * angle / ((2 * step) * (2 * step + 1))
            total += term
        return total


def _inverse(name: str, call: Callable[[float], float]) -> Callable[[Fraction], Fraction]:
    def inverse(value: Fraction) -> Fraction:
        try:
            return Fraction(f"{call(float(value)):.15g}")
        except ValueError:
            raise ToolError(f"{name} has no value there.") from None

    return inverse


def _settled(value: Fraction) -> Fraction:
    """Rounded to forty places, so that what should be 0 or a half is."""
    return Fraction(round(value * 10**_PLACES), 10**_PLACES)


def _settled_relative(value: Decimal) -> Fraction:
    """Rounded to forty significant digits."""
    digits = PRECISE.copy()
    digits.prec = _PLACES
    return Fraction(digits.plus(value))


def factorial(value: Fraction) -> Fraction:
    if value.denominator != 1 or not 0 <= value <= 165:
        raise ToolError("factorial needs a whole number from 0 to 165.")
    return Fraction(math.factorial(value.numerator))


def rounded(value: Fraction, places: Fraction = Fraction(0)) -> Fraction:
    """Half away from zero, as people round."""
    if places.denominator != 1 or abs(places) > 50:
        raise ToolError("round takes a whole number of places up to 50.")
    scale = Fraction(10) ** places.numerator
    size = Fraction(math.floor(abs(value) * scale + Fraction(1, 2))) / scale
    return size if value >= 0 else -size


def modulo(left: Fraction, right: Fraction) -> Fraction:
    if right == 0:
        raise ToolError("Division by zero is not possible.")
    return left % right


def combinations(total: Fraction, chosen: Fraction) -> Fraction:
    if total.denominator != 1 or chosen.denominator != 1 or not 0 <= chosen <= 900 or not 0 <= total <= 900:
        raise ToolError("Combinations take whole numbers from 0 to 900.")
    return Fraction(math.comb(total.numerator, chosen.numerator))


def _mean(*values: Fraction) -> Fraction:
    return sum(values, Fraction(0)) / len(values)


def _median(*values: Fraction) -> Fraction:
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _deviation(*values: Fraction) -> Fraction:
    """Of a sample."""
    middle = _mean(*values)
    return sqrt(sum(((value - middle) ** 2 for value in values), Fraction(0)) / (len(values) - 1))


def _whole(values: Sequence[Fraction], name: str) -> list[int]:
    if any(value.denominator != 1 for value in values):
        raise ToolError(f"{name} takes whole numbers.")
    return [value.numerator for value in values]


MANY = 200
FUNCTIONS: Mapping[str, Known] = {
    "sqrt": Known(sqrt, 1, 1),
    "cbrt": Known(cbrt, 1, 1),
    "abs": Known(abs, 1, 1),
    "round": Known(rounded, 1, 2),
    "min": Known(min, 2, MANY),
    "max": Known(max, 2, MANY),
    "floor": Known(lambda value: Fraction(math.floor(value)), 1, 1),
    "ceil": Known(lambda value: Fraction(math.ceil(value)), 1, 1),
    "trunc": Known(lambda value: Fraction(math.trunc(value)), 1, 1),
    "log": Known(log, 1, 2),
    "ln": Known(ln, 1, 1),
    "log10": Known(log10, 1, 1),
    "log2": Known(lambda value: log(value, Fraction(2)), 1, 1),
    "exp": Known(exp, 1, 1),
    "pow": Known(power, 2, 2),
    "mod": Known(modulo, 2, 2),
    "sin": Known(sin, 1, 1),
    "cos": Known(cos, 1, 1),
    "tan": Known(tan, 1, 1),
    "asin": Known(_inverse("asin", math.asin), 1, 1),
    "acos": Known(_inverse("acos", math.acos), 1, 1),
    "atan": Known(_inverse("atan", math.atan), 1, 1),
    "radians": Known(lambda value: value * PI / 180, 1, 1),
    "degrees": Known(lambda value: _settled(value * 180 / PI), 1, 1),
    "factorial": Known(factorial, 1, 1),
    "comb": Known(combinations, 2, 2),
    "sum": Known(lambda *values: sum(values, Fraction(0)), 1, MANY),
    "mean": Known(_mean, 1, MANY),
    "average": Known(_mean, 1, MANY),
    "median": Known(_median, 1, MANY),
    "stdev": Known(_deviation, 2, MANY),
    "gcd": Known(lambda *values: Fraction(math.gcd(*_whole(values, "gcd"))), 1, MANY),
    "lcm": Known(lambda *values: Fraction(math.lcm(*_whole(values, "lcm"))), 1, 20),
}
