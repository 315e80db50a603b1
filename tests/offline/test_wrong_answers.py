"""What a new user asked and was answered wrongly: the right value, or a question back; never another number."""

import pytest

from nexus.adapters.offline.cards import CARDS
from nexus.adapters.offline.writing import write_template
from nexus.domain.ports.models import ChatMessage
from nexus.domain.tools.library.registry import LIBRARY
from tests.offline.support import Package

SALES = "date,product,price,qty\n2026-01-01,pen,2,10\n2026-01-02,book,10,3\n2026-01-03,pen,2,7"
LOG = "2026-01-31 10:00:00 INFO db started\n2026-01-31 10:00:05 ERROR db disk is full\n2026-01-31 10:00:06 ERROR web timeout"

RIGHT = [
    ("bmi", "I'm 5'9\" and 160 lb, what's my BMI?", ["**23.6**"]),
    ("bmi", "height 175 cm, weight 70 kg", ["**22.9**", "70 kg ÷ (1.75 m)²"]),
    ("bmi", "身高1米75，体重140斤", ["**22.9**", "70千克 ÷ (1.75米)²"]),
    ("bmi", "身高一米八，体重85公斤", ["**26.2**"]),
    ("line_items_total", "2 x 49.99 and 5 x 12.50, 10% discount, then 8.25% sales tax", ["**158.30**"]),
    ("line_items_total", "total of 10, 20, 30 plus 8% tax", ["**64.80**"]),
    ("line_items_total", "Two chairs at 45 each and a table for 120, 10% off, 7% tax", ["**202.23**"]),
    ("line_items_total", "笔记本 3 本，每本 12.5 元；钢笔 2 支，每支 8 元，税率 13%", ["**60.46**"]),
    ("loan_payment", "monthly payment for 18,500 at 4,9% over 4 years", ["**425.20**"]),
    ("loan_payment", "贷款五十万，20年，年利率3.85%", ["**2990.53**"]),
    ("number_statistics", "average of 1,000 and 2,000", ["**1500**"]),
    ("convert_units", "1/2 cup to ml", ["**118.2941 mL**"]),
    ("convert_units", "2 1/2 cups in ml", ["**591.4706 mL**"]),
    ("convert_units", "half a mile in km", ["**0.80467 km**"]),
    ("convert_units", "3,5 km in miles", ["**2.1748 mi**"]),
    ("convert_units", "身高一米八是多少英尺", ["**5.9055 ft**"]),
    ("convert_units", "1公里半等于多少米", ["**1500 m**"]),
    ("age_in_years", "born 17 May 1990", ["**35**"]),
    ("apply_discount", "Original price if 60 is after 20% off?", ["**75.00**"]),
    ("apply_discount", "20% off 45 and then another 10% off", ["**32.40**"]),
    ("dice_odds", "probability of at least 10 with 2 dice", ["**16.67 %**"]),
    ("query_csv", f"Total revenue?\n{SALES}", ["**64**"]),
    ("query_csv", f"Which product has the highest revenue?\n{SALES}", ["**pen** (34)"]),
    ("fuel_cost", "How much fuel for 120 km at 7.2 l/100km?", ["**8.64 l**"]),
    ("convert_time_zone", "If it's 3pm in New York on 2026-07-14, what time is it in Berlin and Singapore?",
     ["2026-07-14 21:00", "2026-07-15 03:00"]),
]  # fmt: skip
ASKED = [
    ("convert_units", "5k in miles", "the unit of the value"),
    ("add_to_date", "Add 2 weeks to 3/4/2026", "2026-03-04"),
    ("calculate", "What is the square root of 2 to the power of 10?", "two ways"),
    ("password_strength", "Generate a 16 character password", "did not understand"),
    ("query_csv", "Total revenue? (date, product, price, qty)", "offline"),
    ("parse_log_lines", f"How many errors per component\n{LOG}", "per component"),
]


def agent_with(*names: str) -> Package:
    written = [tool for name in names if name not in LIBRARY and (tool := write_template(name))]
    return Package([name for name in names if name in LIBRARY], written)


@pytest.mark.parametrize("others", [False, True], ids=["alone", "beside all others"])
@pytest.mark.parametrize(
    ("name", "said", "contains"), RIGHT, ids=[f"{name}-{at}" for at, (name, _, _) in enumerate(RIGHT)]
)
async def test_the_answer_is_right(name: str, said: str, contains: list[str], *, others: bool) -> None:
    text, calls = await agent_with(*(CARDS if others else [name])).converse(said)
    assert {call.name for call in calls} == {name}, text
    assert [part for part in contains if part not in text] == [], text


@pytest.mark.parametrize(("name", "said", "contains"), ASKED)
async def test_what_is_not_certain_is_asked_or_named(name: str, said: str, contains: str) -> None:
    text, calls = await agent_with(name).converse(said)
    assert calls == []
    assert contains in text
    assert "offline" in text


async def test_a_value_of_an_earlier_turn_serves_an_elliptical_follow_up_alone_and_is_shown() -> None:
    agent, history = agent_with("convert_units", "loan_payment"), list[ChatMessage]()
    await agent.converse("monthly payment on 200000 at 5% over 30 years", history)
    text, _ = await agent.converse("and over 15 years?", history)
    assert "1581.59" in text
    assert "Taken from before: principal 200000 and annual rate (percent) 5" in text
    text, calls = await agent.converse("what would the payment be for a car?", history)
    assert calls == []
