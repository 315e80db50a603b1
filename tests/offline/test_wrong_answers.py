"""What a new user asked and was answered wrongly: the right value, or a question back; never another number."""

import pytest

from nexus.adapters.offline.cards import CARDS
from nexus.adapters.offline.writing import TEMPLATES, write_tool_from_template
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
    ("calculate", "5 plus 3, then times 2", ["**16**"]),
    ("date_difference", "How many days between Jan 5 and March 2, 2026?", ["**56 days**"]),
    ("date_difference", "how many days from Nov 20 to Jan 5", ["**46 days**"]),
    ("weekday_of", "What weekday is New Year's Day 2028?", ["**Saturday**"]),
    ("number_statistics", "average of 1,2,3,6", ["**3**"]),
    ("number_statistics", "average of 1,200, 300 and 900", ["**800**"]),
    ("loan_payment", "How much interest do I pay on a 10000 loan at 5% over 3 years?", ["**789.52**"]),
]  # fmt: skip
ASKED = [
    ("convert_units", "5k in miles", "the unit of the value"),
    ("add_to_date", "Add 2 weeks to 3/4/2026", "did not understand"),
    ("calculate", "What is the square root of 2 to the power of 10?", "did not understand"),
    ("password_strength", "Generate a 16 character password", "did not understand"),
    ("query_csv", "Total revenue? (date, product, price, qty)", "offline"),
    ("query_csv", f"How many errors per component\n{LOG}", "offline"),
]


def agent_with(*names: str) -> Package:
    written = [write_tool_from_template(name) for name in names if name in TEMPLATES]
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


FOLLOWED = [
    ("5k in miles", "5 km", "3.1069"),
    ("convert 20 km", "to miles", "12.4274"),
    ("convert 10 km to miles", "and 5 miles?", "8.0467 km"),
    ("convert 10 km to miles", "and 5 feet?", "0.00094697 mi"),
    ("把10公里换算成英里", "那5英尺呢？", "0.00094697 mi"),
    ("BMI for 80kg", "180 cm", "24.7"),
    ("average of 3 and 5", "and the median?", "median of 2 numbers is **4**"),
    ("split 100 between 4", "and 5 people?", "20.00"),
]


@pytest.mark.parametrize(("first", "then", "contains"), FOLLOWED)
async def test_an_elliptical_follow_up_completes_the_turn_before(first: str, then: str, contains: str) -> None:
    agent, history = agent_with(*CARDS), list[ChatMessage]()
    await agent.converse(first, history)
    text, calls = await agent.converse(then, history)
    assert calls, text
    assert contains in text


@pytest.mark.parametrize(
    "then",
    [
        "ok",
        "what is it",
        "and then?",
        "why",
        "tell me a joke about 3 cats",
        "what is the weather",
        "怎么样",
        "2026-04-03",
    ],
)
async def test_what_is_no_follow_up_takes_nothing(then: str) -> None:
    firsts = ("convert 10 km to miles", "average of 3 and 5", "monthly payment on 200000 at 5% over 30 years")
    for first in (*firsts, "Add 2 weeks to 3/4/2026"):
        agent, history = agent_with(*CARDS), list[ChatMessage]()
        await agent.converse(first, history)
        _, calls = await agent.converse(then, history)
        assert calls == []


HONEST = [
    "each of 4 people pays 25, what is the total", "每人付25元，4个人，总共多少", "How old was he on 2020-01-01?", "2026-04-03",
    "what's the sum of 5 and 7 divided by 3", "loan of 10000 at 1% per month for 2 years", "mortgage 300000, 20% down, 4% for 30 years",
    "贷款100万，月利率0.5%，20年", "average of 3,5", "average of 100,200,300", "weighted average of 80 and 90", "2 tickets for 30",
    "days between 2026-01-01 and 2026-02-01 excluding weekends", "probability of not rolling a 6 with one die", "is 5 miles more than 8 km?",
    "probability of a 4 with 2 dice", "15 to 20 km in miles", "price including 20% VAT is 120, what is the net price", "10 dollars in euros",
    "probability of at least 9 or lower with 2 dice", "interest on 1000 at 5% for 3 years", "3 books at 20 each, tax included 13%", "存款10万，年利率3%，复利5年",
    "It costs 80 after 25% off. How much did I save?", "2 x 3 in $ and 4 x 5 in €", "what time is it in Springfield", "buy 2 get 1 free at 30 each",
    "The jacket is 80 and 25% off only for members. I am no member. What do I pay?",
    "jacket 80, shoes 40, 25% off",
    "my bag weighs 5 kg and the suitcase weighs 3 kg, total in pounds?",
    "a bottle weighs 1 kg per litre, in lb?",
    "My mother was born on 1960-05-05 and she had me on 1990-06-06. How old is she?",
    "开120公里花了100元油钱，百公里多少油",
    "chance that two dice do not add up to 7",
    "what date is Friday 19 December 2026",
    "A coat was reduced by 25% to $60. How much was saved?",
    "现价80元，打了八折，便宜了多少",
    "split 100 between me and my 3 friends",
    "月供5000，年利率4%，30年，能贷多少",
    "how many 250 ml cups in 2 litres",
    "If it's 3pm in New York on 2026-07-14, what time is it in Berlin and Singapore?",
    "time in New York when it's 9am in Sydney on 2026-02-01",
    "What weekday is New Year's Day 2028 (2028-01-01)?",
    f"Total revenue?\n{SALES}",
    f"Which product has the highest revenue?\n{SALES}",
    "How many rows have status open?\nid,status\n1,open\n2,closed\n3,open",
    "Average score of team red?\nteam,score\nred,10\nblue,14\nred,17",
    "which product has the highest price?\nproduct,price\nlamp,35.00\nrug,129.90\nclock,48.25",
    'how many characters including spaces: "Hello, wonderful world!"',
    "total price of pen and book\nitem,price\npen,2\nbook,10\nbag,5",
]  # fmt: skip


@pytest.mark.parametrize("said", HONEST)
async def test_what_no_card_models_is_not_answered_with_a_number(said: str) -> None:
    text, calls = await agent_with(*CARDS).converse(said)
    assert calls == [], text
    assert "offline" in text


@pytest.mark.parametrize(
    "said", ["5 kg in miles", "20 degrees in fahrenheit", "5公斤是多少英里", "10 km and 3 kg to miles"]
)
async def test_a_conversion_between_kinds_of_units_is_asked_about(said: str) -> None:
    text, calls = await agent_with("convert_units").converse(said)
    assert calls == []
    assert "offline" in text


SPOKEN = [
    ("三百五公里是多少米", "350000 m"), ("一万五千米是多少公里", "15 km"), ("两千三百零五米是多少厘米", "230500 cm"),
    ("two hundred and fifty thousand metres in km", "250 km"), ("half a dozen feet in inches", "72 in"), ("三百克是多少公斤", "0.3 kg"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "contains"), SPOKEN)
async def test_a_number_in_words_has_the_value_that_people_mean(said: str, contains: str) -> None:
    text, _ = await agent_with("convert_units").converse(said)
    assert contains in text


async def test_a_refusal_shows_an_example_of_what_was_spoken_of() -> None:
    text, calls = await agent_with("line_items_total", "add_to_date").converse("元宵节前100天是哪天")
    assert calls == []
    assert "2026-01-30之后45天是哪天" in text
