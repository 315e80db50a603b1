from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.domain.tools.library.money import (
    amortization_schedule,
    compound_interest,
    line_items_total,
    loan_payment,
    percent_change,
    simple_interest,
)
from nexus.domain.tools.model import ToolError


def test_a_mortgage_costs_what_banks_say() -> None:
    loan = loan_payment(200_000, 5, 30)
    assert (loan["payment"], loan["payments"], loan["total_paid"], loan["total_interest"]) == (
        1073.64,
        360,
        386511.57,
        186511.57,
    )
    assert loan_payment(1_000_000, 3.85, 30)["payment"] == 4688.08
    assert loan_payment(12_000, 0, 1)["payment"] == 1000


def test_interest_grows_as_in_the_books() -> None:
    assert compound_interest(1000, 5, 10, 1)["final_amount"] == 1628.89
    assert compound_interest(1000, 5, 10, 12, 100)["final_amount"] == 17175.24
    assert simple_interest(1000, 5, 2.5)["interest"] == 125
    assert compound_interest(1000, 0, 1, 12, 10)["final_amount"] == 1120


def test_an_invoice_adds_up_to_the_cent() -> None:
    total = line_items_total([{"price": 19.99, "quantity": 3}, {"description": "书", "price": "5"}], 19, 10)
    assert [total[part] for part in ("subtotal", "discount", "tax", "total")] == [64.97, 6.5, 11.11, 69.58]
    assert line_items_total([{"price": 0.1}, {"price": 0.2}])["total"] == 0.3
    assert percent_change(80, 100)["percent"] == 25


@given(st.integers(1, 10**7), st.integers(0, 30), st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_a_schedule_ends_at_nothing_owed(principal: int, percent: int, years: int) -> None:
    plan = amortization_schedule(principal, percent, years, rows=600)
    assert plan["rows"][-1]["balance"] == 0
    assert sum(Fraction(str(row["principal"])) for row in plan["rows"]) == principal


@pytest.mark.parametrize("years", [0, -1, 0.11, 200])
def test_a_loan_of_no_sensible_length_is_refused(years: float) -> None:
    with pytest.raises(ToolError):
        loan_payment(1000, 5, years)


def test_broken_lines_are_named() -> None:
    with pytest.raises(ToolError, match="Item 2 has no price"):
        line_items_total([{"price": 1}, {"quantity": 2}])
    with pytest.raises(ToolError, match="price of item 1"):
        line_items_total([{"price": "a lot"}])
