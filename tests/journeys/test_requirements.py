"""Requirements of many kinds, each ending in an agent that does what it says, or in a report that says what is missing."""

import json
from time import monotonic
from typing import NamedTuple

import pytest

from tests.journeys.conftest import ServedApp

CSV = "region,amount\nnorth,10\nsouth,5\nnorth,7"


class Wish(NamedTuple):
    requirement: str
    said: str
    answer: str
    tool: str


LIBRARY = [
    Wish("Build me a CSV analyst that sums and averages columns of pasted CSV data", f"sum amount by region\n{CSV}", "17", "query_csv"),
    Wish("日期规划助手：计算两个日期相差多少天，推算到期日，查询星期几", "2026年1月31日到2026年3月1日相差多少天", "29", "date_difference"),
    Wish("发票助手，计算明细合计和税额", "发票：3 x 19.99，2 x 5，税率20%，合计多少？", "83.96", "line_items_total"),
    Wish("A calculator for averages of numbers", "What is the average of 80, 90 and 100?", "90", "number_statistics"),
]  # fmt: skip

WRITTEN = [
    Wish("An agent that computes the body mass index (BMI)", "What is the BMI for 70 kg and 175 cm?", "22.9", "bmi"),
    Wish("A discount calculator", "What is the price of 80 with a 25% discount?", "60", "apply_discount"),
    Wish("一个计算年龄的智能体", "1990年5月20日出生的人在2026年5月19日多少岁？", "35", "age_in_years"),
    Wish("Split the bill between friends", "Split a bill of 120 between 4 people with a 10% tip", "33", "split_bill"),
]  # fmt: skip


@pytest.mark.parametrize("wish", LIBRARY, ids=[wish.tool for wish in LIBRARY])
def test_an_agent_with_tools_of_the_library_does_what_it_says(app: ServedApp, wish: Wish) -> None:
    project = app.user.built(wish.requirement)
    assert project["status"] == "completed", project["error_info"]
    [agent] = app.user.agents(project)
    assert (agent["active_version"], agent["status"]) == (1, "running")
    heard = app.user.asks(agent["agent_id"], wish.said)
    assert heard.ending == "reply.completed"
    assert wish.tool in heard.tools
    assert wish.answer in heard.text


@pytest.mark.parametrize("wish", WRITTEN, ids=[wish.tool for wish in WRITTEN])
def test_a_tool_that_was_written_for_the_agent_runs_in_the_code_runner(app: ServedApp, wish: Wish) -> None:
    project = app.user.built(wish.requirement)
    assert project["status"] == "completed", project["error_info"]
    [agent] = app.user.agents(project)
    folder = f"agents/{agent['slug']}"
    assert {f"{folder}/tools/{wish.tool}.py", f"{folder}/tests/test_{wish.tool}.py"} <= set(
        app.user.files(project["project_id"])
    )
    heard = app.user.asks(agent["agent_id"], wish.said)
    [finished] = [event for event in heard.events if event.tag == "tool.finished"]
    assert (finished.data["name"], finished.data["ok"]) == (wish.tool, True)
    assert json.loads(finished.data["result"]) is not None
    assert wish.answer in heard.text


@pytest.mark.parametrize(
    ("requirement", "way"),
    [
        ("An agent that translates English texts into French", "nexus models use"),
        ("一个把中文翻译成英语的智能体", "nexus models use"),
        (
            "a bot that answers about refunds (30 days, unopened, receipt needed) and hands over when unsure",
            "nexus models use",
        ),
    ],
    ids=["english", "chinese", "refunds"],
)
def test_what_needs_a_language_model_fails_at_once_and_names_the_way_on(
    app: ServedApp, requirement: str, way: str
) -> None:
    began = monotonic()
    project = app.user.built(requirement)
    assert monotonic() - began < 3
    assert (project["status"], project["agent_ids"]) == ("failed", [])
    assert (project["error_info"]["code"], project["error_info"]["stage"]) == ("needs_language_model", "intake")
    assert way in project["error_info"]["message"]


def test_what_can_be_done_is_built_beside_what_cannot(app: ServedApp) -> None:
    project = app.user.built("An agent that converts units, translates the answer into French, and computes BMI")
    assert (project["status"], project["verdict"]) == ("completed", "partial")
    metrics = project["metrics"]
    assert (metrics["requirements_met"], metrics["requirements_total"]) == (2, 3)
    assert "translates" in metrics["unmet"][0]
    assert metrics["unmet"][0] in app.user.text(f"/projects/{project['project_id']}/report")
    assert app.user.agents(project)[0]["active_version"] == 0
