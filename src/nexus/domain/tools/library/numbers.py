"""Exact numbers: fractions inside, decimals outside."""

import math
import unicodedata
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation, Overflow, localcontext
from fractions import Fraction

from nexus.domain.tools.model import ToolError

PRECISE = Context(prec=60, Emax=9999, Emin=-9999, rounding=ROUND_HALF_UP)
_EXACT_BITS = 4096
_LARGEST = Fraction(10) ** 308
_SMALLEST = Fraction(1, 10**300)
_SHOWN = 15


def limit_number_size(value: Fraction) -> Fraction:
    """The value; one with too many digits is rounded to sixty. ToolError outside of what can be shown."""
    if abs(value) > _LARGEST:
        raise ToolError("The result is too large.")
    if value.denominator.bit_length() <= _EXACT_BITS:
        return value
    return Fraction(convert_to_decimal(value)) if abs(value) >= _SMALLEST else Fraction(0)


def convert_to_decimal(value: Fraction) -> Decimal:
    return PRECISE.divide(Decimal(value.numerator), Decimal(value.denominator))


def show_number(value: Fraction, digits: int = _SHOWN) -> str:
    """All digits of a whole number and of one that ends within thirty, else rounded to `digits` significant ones."""
    if value.denominator == 1:
        return str(value.numerator)
    exact = convert_to_decimal(value)
    if len(exact.normalize(PRECISE).as_tuple().digits) > 30:
        exact = Context(prec=digits, rounding=ROUND_HALF_UP, Emax=9999, Emin=-9999).plus(exact)
    exact = exact.normalize(PRECISE)
    return f"{exact:f}" if -7 <= exact.adjusted() < 30 else f"{exact:E}".replace("E", "e")


def convert_for_json(value: Fraction) -> int | float:
    """A whole number as int where it has 64 bits, else the float of what is shown."""
    if value.denominator == 1 and abs(value.numerator) < 2**63:
        return value.numerator
    return float(show_number(value))


def parse_exact(value: object, name: str = "value") -> Fraction:
    """A number as people wrote it: text and floats by their decimal digits. ToolError for what is none."""
    text = unicodedata.normalize("NFKC", str(value)).strip().replace(",", "").replace(" ", "")
    if isinstance(value, bool) or len(text) > 400 or "_" in text:
        raise ToolError(f"{name} must be a number.")
    try:
        with localcontext(PRECISE):
            number = Decimal(text.lstrip("$€£¥"))
    except (InvalidOperation, Overflow):
        raise ToolError(f"{name} must be a number, not {text[:40]!r}.") from None
    if not number.is_finite() or (number and abs(number.adjusted()) > 300):
        raise ToolError(f"{name} must be a number of at most 300 digits.")
    return Fraction(number)


def check_count(value: int, name: str, most: int) -> int:
    """A whole number from 1 on, such as how many rows to list."""
    if isinstance(value, bool) or not 1 <= value <= most:
        raise ToolError(f"{name} must be from 1 to {most}.")
    return value


def round_to(value: Fraction, places: int) -> Decimal:
    """Half away from zero, as on an invoice."""
    size = math.floor(abs(value) * Fraction(10) ** places + Fraction(1, 2))
    return Decimal(f"{'-' if value < 0 else ''}{size}E{-places}")
