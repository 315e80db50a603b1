"""The functions of the calculator, on fractions: exact where they end, to fifteen digits where they do not."""

import math
import statistics
from collections.abc import Callable, Mapping
from decimal import localcontext
from fractions import Fraction
from typing import NamedTuple

from nexus.domain.tools.library.numbers import PRECISE, convert_to_decimal, limit_number_size, round_to
from nexus.domain.tools.model import ToolError

PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803")
E = Fraction("2.71828182845904523536028747135266249775724709369995957496696762772407663035354759457138")
CONSTANTS: Mapping[str, Fraction] = {"pi": PI, "π": PI, "e": E, "tau": 2 * PI}


class Known(NamedTuple):
    """A function and how many arguments it takes."""

    call: Callable[..., Fraction]
    least: int
    most: int


def compute_power(base: Fraction, exponent: Fraction) -> Fraction:
    """Exact for whole exponents as long as the digits stay few."""
    if exponent.denominator == 1 and abs(exponent) <= 100_000:
        return _compute_integer_power(base, exponent.numerator)
    if base == 0:
        return _compute_zero_power(exponent)
    if base < 0:
        raise ToolError("A root of a negative number is not a real number.")
    root = _find_exact_square_root(base) if exponent.denominator == 2 else None
    return (
        _compute_integer_power(root, exponent.numerator)
        if root is not None
        else apply_to_floats("^", math.pow)(base, exponent)
    )


def _compute_integer_power(base: Fraction, exponent: int) -> Fraction:
    if base == 0:
        return _compute_zero_power(Fraction(exponent))
    size = max(abs(base.numerator), base.denominator).bit_length() * abs(exponent)
    if size <= 8192:
        return limit_number_size(base**exponent)
    if math.log10(abs(base)) * exponent > 309:
        raise ToolError("The result is too large.")
    if math.log10(abs(base)) * exponent < -300:
        return Fraction(0)
    with localcontext(PRECISE):
        return Fraction(convert_to_decimal(base) ** exponent)


def _compute_zero_power(exponent: Fraction) -> Fraction:
    if exponent < 0:
        raise ToolError("Zero cannot be raised to a negative power.")
    return Fraction(0 if exponent else 1)


def _find_exact_square_root(value: Fraction) -> Fraction | None:
    """The root, where it is a fraction itself."""
    top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
    return Fraction(top, bottom) if top * top == value.numerator and bottom * bottom == value.denominator else None


def sqrt(value: Fraction) -> Fraction:
    if value < 0:
        raise ToolError("The square root of a negative number is not a real number.")
    return (
        root
        if (root := _find_exact_square_root(value)) is not None
        else Fraction(PRECISE.sqrt(convert_to_decimal(value)))
    )


def cbrt(value: Fraction) -> Fraction:
    near = round(abs(value.numerator) ** (1 / 3)) if abs(value.numerator) < 10**45 else 0
    if value.denominator == 1 and near**3 == abs(value.numerator):
        return Fraction(near if value >= 0 else -near)
    size = compute_power(abs(value), Fraction(1, 3))
    return size if value >= 0 else -size


def apply_to_floats(name: str, call: Callable[..., float]) -> Callable[..., Fraction]:
    """A function of `math`, rounded to fifteen digits. ToolError where it has no value, or one that is too large."""

    def compute(*values: Fraction) -> Fraction:
        try:
            return Fraction(f"{call(*map(float, values)):.15g}")
        except OverflowError:
            raise ToolError("The result is too large.") from None
        except ValueError:
            raise ToolError(f"{name} has no value there.") from None

    return compute


def compute_of_angle(name: str, call: Callable[[float], float]) -> Callable[[Fraction], Fraction]:
    """A function of an angle, rounded to fifteen places, so that what should be 0 or a half is."""
    compute = apply_to_floats(name, call)

    def turn(angle: Fraction) -> Fraction:
        found = compute(angle - 2 * PI * round(angle / (2 * PI)))
        if abs(angle) > 10**15 or abs(found) > 10**14:
            raise ToolError(f"{name} has no value at this angle.")
        return Fraction(round(found * 10**15), 10**15)

    return turn


def log(value: Fraction, base: Fraction = Fraction(10)) -> Fraction:
    if value <= 0:
        raise ToolError("A logarithm needs a number above zero.")
    if base <= 0 or base == 1:
        raise ToolError("The base of a logarithm must be above zero and not 1.")
    return apply_to_floats("log", math.log)(value, base)


def round_half_up(value: Fraction, places: Fraction = Fraction(0)) -> Fraction:
    """Half away from zero, as people round."""
    if places.denominator != 1 or abs(places) > 50:
        raise ToolError("round takes a whole number of places up to 50.")
    return Fraction(round_to(value, places.numerator))


def divide(left: Fraction, right: Fraction) -> Fraction:
    if right == 0:
        raise ToolError("Division by zero is not possible.")
    return left / right


def modulo(left: Fraction, right: Fraction) -> Fraction:
    return left - right * math.floor(divide(left, right))


def apply_to_whole_numbers(name: str, call: Callable[..., int], most: int | None = None) -> Callable[..., Fraction]:
    """A function of `math` that takes whole numbers, from 0 up to `most` where there is one."""

    def compute(*values: Fraction) -> Fraction:
        if any(value.denominator != 1 or (most is not None and not 0 <= value <= most) for value in values):
            raise ToolError(f"{name} takes whole numbers{'' if most is None else f' from 0 to {most}'}.")
        return Fraction(call(*(value.numerator for value in values)))

    return compute


MANY = 200
FUNCTIONS: Mapping[str, Known] = {
    "sqrt": Known(sqrt, 1, 1),
    "cbrt": Known(cbrt, 1, 1),
    "abs": Known(abs, 1, 1),
    "round": Known(round_half_up, 1, 2),
    "min": Known(min, 2, MANY),
    "max": Known(max, 2, MANY),
    "floor": Known(lambda value: Fraction(math.floor(value)), 1, 1),
    "ceil": Known(lambda value: Fraction(math.ceil(value)), 1, 1),
    "trunc": Known(lambda value: Fraction(math.trunc(value)), 1, 1),
    "log": Known(log, 1, 2),
    "ln": Known(lambda value: log(value, E), 1, 1),
    "log10": Known(log, 1, 1),
    "log2": Known(lambda value: log(value, Fraction(2)), 1, 1),
    "exp": Known(apply_to_floats("exp", math.exp), 1, 1),
    "pow": Known(compute_power, 2, 2),
    "mod": Known(modulo, 2, 2),
    "sin": Known(compute_of_angle("sin", math.sin), 1, 1),
    "cos": Known(compute_of_angle("cos", math.cos), 1, 1),
    "tan": Known(compute_of_angle("tan", math.tan), 1, 1),
    "asin": Known(apply_to_floats("asin", math.asin), 1, 1),
    "acos": Known(apply_to_floats("acos", math.acos), 1, 1),
    "atan": Known(apply_to_floats("atan", math.atan), 1, 1),
    "radians": Known(lambda value: value * PI / 180, 1, 1),
    "degrees": Known(lambda value: Fraction(round(value * 180 / PI * 10**15), 10**15), 1, 1),
    "factorial": Known(apply_to_whole_numbers("factorial", math.factorial, 165), 1, 1),
    "comb": Known(apply_to_whole_numbers("comb", math.comb, 900), 2, 2),
    "sum": Known(lambda *values: sum(values, Fraction(0)), 1, MANY),
    "mean": Known(lambda *values: statistics.mean(values), 1, MANY),
    "average": Known(lambda *values: statistics.mean(values), 1, MANY),
    "median": Known(lambda *values: statistics.median(values), 1, MANY),
    "stdev": Known(lambda *values: sqrt(statistics.variance(values)), 2, MANY),
    "gcd": Known(apply_to_whole_numbers("gcd", math.gcd), 1, MANY),
    "lcm": Known(apply_to_whole_numbers("lcm", math.lcm), 1, 20),
}
