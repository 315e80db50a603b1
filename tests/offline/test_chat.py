"""What people type, and which tool is called with what."""

from typing import Any

import msgspec
import pytest

from nexus.domain.ports.models import ChatMessage
from nexus.domain.tools.library.registry import LIBRARY
from tests.offline.support import TOOLS, Package, say

CSV = "region,amount\nnorth,10\nsouth,5\nnorth,7"
LOAN = {"principal": 200000, "annual_rate_percent": 5, "years": 30}
KM = {"value": 10, "from_unit": "km", "to_unit": "miles"}

EXAMPLES: list[tuple[str, str, dict[str, Any]]] = [
    ("convert 10 km to miles", "convert_units", KM),
    ("10 km in miles?", "convert_units", KM),
    ("How many miles are 10 km", "convert_units", {"value": 10, "from_unit": "km", "to_unit": "miles"}),
    ("what is 10km in miles", "convert_units", KM),
    (
        "Please convert 5.5 pounds into kilograms.",
        "convert_units",
        {"value": 5.5, "from_unit": "pounds", "to_unit": "kilograms"},
    ),
    ("ten km to miles", "convert_units", KM),
    ("-40 C to F", "convert_units", {"value": -40, "from_unit": "C", "to_unit": "F"}),
    ("100 degrees celsius to fahrenheit", "convert_units", {"value": 100}),
    ("把10公里换算成英里", "convert_units", {"value": 10, "from_unit": "公里", "to_unit": "英里"}),
    ("10公里是多少英里？", "convert_units", {"value": 10, "from_unit": "公里", "to_unit": "英里"}),
    ("10公里等于几英里", "convert_units", {"value": 10, "from_unit": "公里", "to_unit": "英里"}),
    ("摄氏100度是多少华氏度？", "convert_units", {"value": 100, "to_unit": "华氏度"}),
    ("三十公斤是多少磅", "convert_units", {"value": 30, "from_unit": "公斤", "to_unit": "磅"}),
    ("5 gigabytes in MB", "convert_units", {"value": 5, "from_unit": "gigabytes", "to_unit": "MB"}),
    ("60 miles per hour to km/h", "convert_units", {"value": 60, "from_unit": "miles per hour", "to_unit": "km/h"}),
    ("monthly payment on 200000 at 5% over 30 years", "loan_payment", LOAN),
    ("What is the monthly payment on a $200,000 loan at 5 percent for 30 years?", "loan_payment", LOAN),
    ("30-year mortgage of 200k at 5%", "loan_payment", LOAN),
    ("I borrow 200 thousand at a rate of 5% over thirty years, what do I pay?", "loan_payment", LOAN),
    ("loan of 200000, 5%, 360 months", "loan_payment", LOAN),
    ("贷款20万，年利率5%，30年，每月还多少", "loan_payment", LOAN),
    ("房贷二十万元，利率百分之五，三十年，月供是多少？", "loan_payment", LOAN),
    ("贷款20万年利率5%期限30年", "loan_payment", LOAN),
    ("what is (3+4)*2^3", "calculate", {"expression": "( 3 + 4 ) × 2 ^ 3"}),
    ("Compute 12.5 * 4 please", "calculate", {"expression": "12.5 × 4"}),
    ("what is 15% of 80?", "calculate", {"expression": "15% × 80"}),
    ("square root of 144", "calculate", {"expression": "sqrt(144)"}),
    ("3加4等于多少", "calculate", {"expression": "3 + 4"}),
    ("80的15%是多少？", "calculate", {"expression": "80 × 15 / 100"}),
    ("percent change from 80 to 100", "percent_change", {"before": 80, "after": 100}),
    ("What is the average of 80, 90 and 100?", "number_statistics", {"numbers": [80, 90, 100]}),
    ("80、90、100的平均值是多少？", "number_statistics", {"numbers": [80, 90, 100]}),
    (
        "how many days between 2026-01-31 and 2026-03-01",
        "date_difference",
        {"start": "2026-01-31", "end": "2026-03-01"},
    ),
    (
        "How many days are there from January 31, 2026 to March 1, 2026?",
        "date_difference",
        {"start": "2026-01-31", "end": "2026-03-01"},
    ),
    ("2026年1月31日到2026年3月1日相差多少天", "date_difference", {"start": "2026-01-31", "end": "2026-03-01"}),
    ("What date is 10 business days after 2026-01-30?", "add_to_date", {"start": "2026-01-30", "business_days": 10}),
    ("add 2 months and 3 days to 2026-01-31", "add_to_date", {"start": "2026-01-31", "months": 2, "days": 3}),
    ("2026-01-31之前3周是哪天", "add_to_date", {"start": "2026-01-31", "weeks": -3}),
    ("what date is 45 days from today", "add_to_date", {"start": "2026-01-01", "days": 45}),
    ("What weekday is 2026-03-01?", "weekday_of", {"day": "2026-03-01"}),
    ("2026年3月1日是星期几？", "weekday_of", {"day": "2026-03-01"}),
    (
        f"sum amount by region\n{CSV}",
        "query_csv",
        {"csv_text": CSV, "group_by": ["region"], "aggregate": ["sum(amount)"]},
    ),
    (
        f"sum amount by region:\n{CSV}",
        "query_csv",
        {"csv_text": CSV, "group_by": ["region"], "aggregate": ["sum(amount)"]},
    ),
    (f"{CSV}\n\nWhat is the average amount?", "query_csv", {"csv_text": CSV, "aggregate": ["avg(amount)"]}),
    (f"按region汇总amount：\n{CSV}", "query_csv", {"group_by": ["region"], "aggregate": ["sum(amount)"]}),
    (
        "Invoice: 3 x 19.99 and 2 x 5 with 20% tax",
        "line_items_total",
        {"items": [{"quantity": 3, "price": 19.99}, {"quantity": 2, "price": 5}], "tax_percent": 20},
    ),
    ("3 x 19.99 and 2 x 5 with 20% tax", "line_items_total", {"tax_percent": 20}),
    (
        "发票：3 x 19.99，2 x 5，税率20%，合计多少？",
        "line_items_total",
        {"items": [{"quantity": 3, "price": 19.99}, {"quantity": 2, "price": 5}], "tax_percent": 20},
    ),
    (
        "invoice total for 2 chairs at 45 and 1 table at 120, 10% discount and 19% VAT",
        "line_items_total",
        {"discount_percent": 10, "tax_percent": 19},
    ),
    (
        "I have 250 grams, how many ounces is that?",
        "convert_units",
        {"value": 250, "from_unit": "grams", "to_unit": "ounces"},
    ),
    ("one mile to km", "convert_units", {"value": 1, "from_unit": "mile", "to_unit": "km"}),
    ("5 feet in cm", "convert_units", {"value": 5, "from_unit": "feet", "to_unit": "cm"}),
    ("2的10次方", "calculate", {"expression": "2 ^ 10"}),
    ("what's the date in 3 weeks", "add_to_date", {"start": "2026-01-01", "weeks": 3}),
    ("明天是几号", "weekday_of", {"day": "2026-01-02"}),
]


@pytest.mark.parametrize(
    ("said", "tool", "arguments"), EXAMPLES, ids=[f"{at}-{tool}" for at, (_, tool, _) in enumerate(EXAMPLES)]
)
async def test_a_message_calls_the_tool_that_it_asks_for(said: str, tool: str, arguments: dict[str, Any]) -> None:
    _, calls = await say(said)
    assert [call.name for call in calls] == [tool]
    given = msgspec.json.decode(calls[0].arguments)
    assert {name: given.get(name) for name in arguments} == arguments


ANSWERS = [
    ("convert 10 km to miles", ["6.2137"]),
    ("monthly payment on $200,000 at 5% over 30 years", ["1073.64", "360", "Steps"]),
    ("把10公里换算成英里", ["6.2137", "步骤"]),
    ("贷款20万，年利率5%，30年，每月还多少", ["1073.64", "步骤"]),
    ("how many days between 2026-01-31 and 2026-03-01", ["29"]),
    ("what is (3+4)*2^3", ["56"]),
    ("3 x 19.99 and 2 x 5 with 20% tax", ["69.97", "83.96"]),
    (f"sum amount by region\n{CSV}", ["north", "17", "south", "5"]),
    ("convert 10 km to miles and how many days between 2026-01-31 and 2026-03-01?", ["6.2137", "29"]),
    ("10公里是多少英里？另外贷款20万，年利率5%，30年，每月还多少？", ["6.2137", "1073.64"]),
    ("5 km and 10 km to miles", ["3.1069", "6.2137"]),
]


@pytest.mark.parametrize(("said", "contains"), ANSWERS)
async def test_the_answer_holds_the_result(said: str, contains: list[str]) -> None:
    text, calls = await Package(list(LIBRARY)).converse(said)
    assert calls
    assert [part for part in contains if part not in text] == [], text


FOLLOW_UPS = [
    (["convert 10 km to miles", "and 20 km?"], ["12.4274"]),
    (["convert 10 km to miles", "20?"], ["12.4274"]),
    (["convert 10 km to miles", "what about in meters?"], ["10000 m"]),
    (["convert 10 km to miles", "and 5 miles?"], ["8.0467"]),
    (["把10公里换算成英里", "那20公里呢？"], ["12.4274"]),
    (["monthly payment on 200000 at 5% over 30 years", "and over 15 years?"], ["1581.59"]),
    (["monthly payment on 200000 at 5% over 30 years", "what about 4%?"], ["954.83"]),
    (["monthly payment on 200000 at 5% over 30 years", "and for 100k?"], ["536.82"]),
    (["贷款20万，年利率5%，30年，每月还多少", "如果15年呢？"], ["1581.59"]),
    (["how many days between 2026-01-31 and 2026-03-01", "and to 2026-04-01?"], ["60"]),
    (["what is the monthly payment on 200000?", "5% over 30 years"], ["1073.64"]),
    (["贷款20万，每月还多少？", "年利率5%，30年"], ["1073.64"]),
]


@pytest.mark.parametrize(("turns", "contains"), FOLLOW_UPS)
async def test_a_follow_up_keeps_what_was_said(turns: list[str], contains: list[str]) -> None:
    package, history, text = Package(list(LIBRARY)), list[ChatMessage](), ""
    for turn in turns:
        text, _ = await package.converse(turn, history)
    assert [part for part in contains if part not in text] == [], text


@pytest.mark.parametrize(("turns", "contains"), FOLLOW_UPS[:8])
async def test_a_follow_up_works_where_the_history_holds_texts_alone(turns: list[str], contains: list[str]) -> None:
    package, history, text = Package(list(LIBRARY)), list[ChatMessage](), ""
    for turn in turns:
        text, _ = await package.converse(turn, history)
        history[:] = [message for message in history if message.role in ("user", "assistant") and not message.calls]
    assert [part for part in contains if part not in text] == [], text


@pytest.mark.parametrize(
    "said",
    [
        "Write a poem about the sea",
        "Who wrote Hamlet?",
        "翻译成法语",
        "tell me a joke",
        "What can you do?",
        "你能做什么？",
        "hi",
        "你好",
        "asdf",
        "😀",
        "Convert 10 apples to oranges",
        "I love you",
        "what is love",
        f"how many rows where amount > 6?\n{CSV}",
        f"how many rows where region is north?\n{CSV}",
        "How many words are in: the cat and the dog",
        "统计字数：你好世界",
        f"Top 2 rows by amount\n{CSV}",
        "貸款20萬，年利率5%，30年，每月還多少",
        "what is 20 divided by 3 rounded to 2 decimals",
        "remainder of 17 divided by 5",
        "What is 2026-01-15 14:30 in London in Tokyo?",
        "北京时间下午3点是纽约的几点？",
    ],
)
async def test_what_no_tool_serves_is_said_plainly(said: str) -> None:
    text, calls = await say(said)
    assert not calls
    assert "offline" in text


async def test_a_tool_that_is_not_offered_is_never_called() -> None:
    for said, tool, _ in EXAMPLES:
        _, calls = await say(said, [spec for spec in TOOLS if spec.name != tool])
        assert tool not in [call.name for call in calls]
        _, calls = await say(said, [])
        assert calls == []


async def test_small_talk_after_a_result_calls_nothing() -> None:
    package, history = Package(list(LIBRARY)), list[ChatMessage]()
    await package.converse("convert 10 km to miles", history)
    for said in ("thanks", "great, thank you!", "tell me a joke about 3 cats please", "谢谢"):
        text, calls = await package.converse(said, history)
        assert calls == [], said
        assert text


async def test_what_is_missing_is_asked_for() -> None:
    text, calls = await say("What is the monthly payment on 200000?")
    assert not calls
    assert "annual rate" in text
    assert "years" in text
    text, calls = await say("贷款20万，每月还多少？")
    assert not calls
    assert "年利率" in text


async def test_a_tool_that_fails_is_not_covered_up() -> None:
    text, calls = await Package(list(LIBRARY)).converse("what is 1/0?")
    assert [call.name for call in calls] == ["calculate"]
    assert "could not" in text


async def test_a_huge_message_is_answered() -> None:
    table = "word,count\n" + "a,1\n" * 9450
    text, calls = await Package(list(LIBRARY)).converse(f"Sum count:\n{table}")
    assert [call.name for call in calls] == ["query_csv"]
    assert "9450" in text
