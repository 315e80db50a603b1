"""Loans, interest and invoices, to the cent. No currency: the amounts are in whatever money was meant."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from nexus.domain.tools.library.functions import compute_power
from nexus.domain.tools.library.numbers import check_count, limit_number_size, parse_exact, round_to
from nexus.domain.tools.model import ToolError

_MOST_PAYMENTS = 1200
_MOST_ITEMS = 1000
_MOST_MONEY = 10**15
_ROWS = 600


class _Loan(NamedTuple):
    """`rate` is that of one period."""

    principal: Fraction
    rate: Fraction
    periods: int

    @property
    def payment(self) -> Fraction:
        if not self.rate:
            return self.principal / self.periods
        return self.principal * self.rate / (1 - compute_power(1 + self.rate, Fraction(-self.periods)))


def loan_payment(
    principal: float, annual_rate_percent: float, years: float, payments_per_year: int = 12
) -> dict[str, Any]:
    """Works out the regular payment of a loan that is paid back in equal payments (an annuity), the total paid and the interest.

    Args:
        principal: The amount that is borrowed.
        annual_rate_percent: The nominal interest rate a year in percent, for example 5 for 5 %.
        years: How long the loan runs, in years.
        payments_per_year: How often is paid a year; 12 is monthly.
    """
    loan = _make_loan(principal, annual_rate_percent, years, payments_per_year)
    payment, total = loan.payment, loan.payment * loan.periods
    interest = total - loan.principal
    said = f"of {_format_money_amount(payment)}; {_format_money_amount(total)} in all, of which {_format_money_amount(interest)} is interest."
    amounts = _round_to_cents(payment=payment, total_paid=total, total_interest=interest)
    return {**amounts, "payments": loan.periods, "text": f"{loan.periods} payments {said}"}


def amortization_schedule(
    principal: float, annual_rate_percent: float, years: float, payments_per_year: int = 12, rows: int = 24
) -> dict[str, Any]:
    """Lists, payment by payment, how much of a loan's payment is interest, how much is repaid and what is still owed.

    Payments are rounded to the cent and the last one settles the rest.

    Args:
        principal: The amount that is borrowed.
        annual_rate_percent: The nominal interest rate a year in percent.
        years: How long the loan runs, in years.
        payments_per_year: How often is paid a year; 12 is monthly.
        rows: How many payments to list, from the first one; at most 600. The last one is always listed.
    """
    loan = _make_loan(principal, annual_rate_percent, years, payments_per_year)
    check_count(rows, "rows", _ROWS)
    plan = _compute_loan_schedule(loan)
    listed = plan[:rows] + (plan[-1:] if rows < len(plan) else [])
    paid = sum((Fraction(str(row["payment"])) for row in plan), Fraction(0))
    interest = paid - loan.principal
    said = f"{len(plan)} payments, {_format_money_amount(paid)} in all, of which {_format_money_amount(interest)} is interest."
    return {
        "rows": listed,
        "payments": len(plan),
        **_round_to_cents(total_paid=paid, total_interest=interest),
        "text": said,
    }


def compound_interest(
    principal: float, annual_rate_percent: float, years: float, compounds_per_year: int = 12, contribution: float = 0.0
) -> dict[str, Any]:
    """Works out what savings grow to with compound interest, with an equal contribution at the end of each period if wished.

    Args:
        principal: The amount at the start.
        annual_rate_percent: The nominal interest rate a year in percent.
        years: For how many years.
        compounds_per_year: How often interest is added a year: 1 yearly, 12 monthly, 365 daily.
        contribution: What is paid in at the end of each period.
    """
    start, added = _parse_money_amount(principal, "principal"), _parse_money_amount(contribution, "contribution")
    periods, rate = (
        _count_interest_periods(years, compounds_per_year),
        _parse_percent(annual_rate_percent) / compounds_per_year,
    )
    growth = compute_power(1 + rate, periods)
    whole = Fraction(periods.__floor__())
    saved = added * ((compute_power(1 + rate, whole) - 1) / rate if rate else whole)
    final, paid_in = limit_number_size(start * growth + saved), start + added * whole
    said = f"{_format_money_amount(paid_in)} paid in grows to {_format_money_amount(final)}; {_format_money_amount(final - paid_in)} is interest."
    return {**_round_to_cents(final_amount=final, paid_in=paid_in, interest=final - paid_in), "text": said}


def simple_interest(principal: float, annual_rate_percent: float, years: float) -> dict[str, Any]:
    """Works out interest that is not compounded.

    Args:
        principal: The amount at the start.
        annual_rate_percent: The interest rate a year in percent.
        years: For how many years; 0.5 is half a year.
    """
    start, rate, span = (
        _parse_money_amount(principal, "principal"),
        _parse_percent(annual_rate_percent),
        _parse_years(years),
    )
    interest = start * rate * span
    said = f"{_format_money_amount(interest)} interest; {_format_money_amount(start + interest)} in all."
    return {**_round_to_cents(interest=interest, final_amount=start + interest), "text": said}


def line_items_total(
    items: list[dict[str, Any]], tax_percent: float = 0.0, discount_percent: float = 0.0
) -> dict[str, Any]:
    """Adds up the lines of an invoice: subtotal, discount, tax on what remains, and the total. Only what is shown is rounded to the cent.

    Args:
        items: The lines, each with "price" (of one) and, if wished, "quantity" (1) and "description".
        tax_percent: The tax in percent, for example 19.
        discount_percent: The discount on the subtotal in percent.
    """
    if len(items) > _MOST_ITEMS:
        raise ToolError(f"There may be at most {_MOST_ITEMS} items.")
    lines = [_compute_invoice_line(item, number) for number, item in enumerate(items, 1)]
    subtotal = sum((Fraction(str(line["total"])) for line in lines), Fraction(0))
    off, tax = _parse_percent(discount_percent, "discount_percent", 100), _parse_percent(tax_percent, "tax_percent")
    discount = subtotal * off
    taxed = (subtotal - discount) * tax
    total = subtotal - discount + taxed
    parts = {"subtotal": subtotal, "discount": discount, "tax": taxed, "total": total}
    said = ", ".join(f"{name} {_format_money_amount(part)}" for name, part in parts.items()).capitalize()
    return {"lines": lines, **_round_to_cents(**parts), "text": f"{said}."}


def percent_change(before: float, after: float) -> dict[str, Any]:
    """Works out by how many percent a value has changed.

    Args:
        before: The value before.
        after: The value after.
    """
    first, last = parse_exact(before, "before"), parse_exact(after, "after")
    if not first:
        raise ToolError("There is no change in percent from zero.")
    change = round_to((last - first) / abs(first) * 100, 2)
    return {"percent": float(change), "difference": float(last - first), "text": f"{change:+,f} %"}


def _compute_invoice_line(item: Mapping[str, Any], number: int) -> dict[str, Any]:
    price = next((item[name] for name in ("price", "unit_price", "amount") if name in item), None)
    if price is None:
        raise ToolError(f"Item {number} has no price.")
    quantity = _parse_number_in_range(
        item.get("quantity", item.get("qty", 1)), f"The quantity of item {number}", -_MOST_MONEY, _MOST_MONEY
    )
    each = _parse_number_in_range(price, f"The price of item {number}", -_MOST_MONEY, _MOST_MONEY)
    total = Fraction(round_to(quantity * each, 2))
    told = str(item.get("description", item.get("name", f"Item {number}")))[:200]
    return {
        "description": told,
        "quantity": _convert_to_int_or_float(quantity),
        "price": _convert_to_int_or_float(each),
        **_round_to_cents(total=total),
    }


def _compute_loan_schedule(loan: _Loan) -> list[dict[str, Any]]:
    payment, owed = Fraction(round_to(loan.payment, 2)), Fraction(round_to(loan.principal, 2))
    rows = list[dict[str, Any]]()
    for number in range(1, loan.periods + 1):
        interest = Fraction(round_to(owed * loan.rate, 2))
        repaid = owed if number == loan.periods else min(payment - interest, owed)
        owed -= repaid
        amounts = _round_to_cents(payment=interest + repaid, interest=interest, principal=repaid, balance=owed)
        rows.append({"number": number, **amounts})
        if not owed:
            break
    return rows


def _make_loan(principal: float, annual_rate_percent: float, years: float, payments_per_year: int) -> _Loan:
    amount = _parse_money_amount(principal, "principal")
    if not amount:
        raise ToolError("principal must be above zero.")
    periods = _count_interest_periods(years, payments_per_year)
    if periods.denominator != 1 or not 1 <= periods <= _MOST_PAYMENTS:
        raise ToolError(f"years × payments_per_year must be a whole number of payments from 1 to {_MOST_PAYMENTS}.")
    return _Loan(amount, _parse_percent(annual_rate_percent) / payments_per_year, periods.numerator)


def _count_interest_periods(years: float, per_year: int) -> Fraction:
    periods = _parse_years(years) * check_count(per_year, "The number of periods a year", 366)
    near = Fraction(round(periods))
    return near if abs(periods - near) < Fraction(1, 1000) else periods


def _parse_years(years: float) -> Fraction:
    return _parse_number_in_range(years, "years", 0, 1000)


def _parse_percent(percent: float, name: str = "annual_rate_percent", most: int = 1000) -> Fraction:
    return _parse_number_in_range(percent, name, 0, most) / 100


def _parse_money_amount(value: float, name: str) -> Fraction:
    return _parse_number_in_range(value, name, 0, _MOST_MONEY)


def _parse_number_in_range(value: object, name: str, least: int, most: int) -> Fraction:
    number = parse_exact(value, name)
    if not least <= number <= most:
        raise ToolError(f"{name} must be from {least} to {most}.")
    return number


def _round_to_cents(**values: Fraction) -> dict[str, Any]:
    """To the cent."""
    return {name: float(round_to(value, 2)) for name, value in values.items()}


def _format_money_amount(value: Fraction) -> str:
    return f"{round_to(value, 2):,.2f}"


def _convert_to_int_or_float(value: Fraction) -> int | float:
    return value.numerator if value.denominator == 1 else float(value)
