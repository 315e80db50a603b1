"""What the offline model makes of questions by people who did not see its cards: `make exam`. A score, not a test.

A line of a question file has `agent` (a key of `REQUIREMENTS`), `language`, `input` and `right`: texts of which one must stand in a right
answer, a number also where the answer rounds to it; empty where only a refusal, a question back or a tool that says what it cannot do is
right. `wrong` in the score is an answer by a tool without any of them: each is to be read by somebody.
"""

import asyncio
import re
import sys
from collections import Counter
from pathlib import Path

import msgspec
from msgspec import Struct

from nexus.domain.builds.outputs import Language
from tests.offline import support
from tests.offline.support import Package
from tests.offline.test_builds import build

_NUMBER, _COULD_NOT = re.compile(r"-?\d+(?:\.\d+)?"), re.compile(r"^The tool \w+ could not|^工具\w+没能完成")
TODAY = 1_796_083_200.0  # 2026-12-01T00:00:00Z
REQUIREMENTS: dict[str, dict[Language, str]] = {
    "units": {"en": "An agent that converts units of length and weight", "zh": "一个换算单位的助手"},
    "bmi": {"en": "An agent that computes the body mass index", "zh": "一个计算身体质量指数（BMI）的助手"},
    "invoice": {"en": "An invoice helper that adds up line items", "zh": "发票助手，计算明细合计和税额"},
    "loan": {"en": "An agent that computes loan payments", "zh": "一个计算贷款月供的助手"},
    "statistics": {"en": "A calculator for averages, median and sums of numbers", "zh": "一个计算平均数、中位数的助手"},
    "dates": {
        "en": "A date planner: counts days between two dates, adds days to dates and tells the weekday",
        "zh": "日期规划助手：计算两个日期相差多少天，推算到期日，查询星期几",
    },
    "age": {"en": "An age calculator", "zh": "一个计算年龄的助手"},
    "discount": {"en": "A discount calculator", "zh": "一个计算折扣的助手"},
    "tip": {"en": "Computes tips and splits the bill", "zh": "一个计算小费和分摊账单的助手"},
    "percent": {
        "en": "A calculator for percentages that also tells the percent change",
        "zh": "一个计算百分比和增长率的助手",
    },
    "calculator": {"en": "A calculator agent", "zh": "一个计算器助手"},
    "csv": {"en": "A CSV analyst that sums and averages columns", "zh": "做一个分析CSV表格的助手，可以按列分组汇总"},
}


class Question(Struct, frozen=True):
    agent: str
    language: Language
    input: str
    right: tuple[str, ...]


async def build_package(key: str, language: Language) -> Package:
    built = await build(REQUIREMENTS[key][language])
    agent = built.architecture.agents[0]
    return Package(agent.library_tools, built.written[agent.slug])


def _stands_in(right: str, text: str) -> bool:
    """Whether it is said, or a number that rounds to it."""
    plain = text.replace(",", "").replace("*", "")
    if not _NUMBER.fullmatch(right := right.replace(",", "")):
        return right in plain
    places = len(right.partition(".")[2])
    return any(
        abs(float(found) - float(right)) <= 0.5000001 * 10**-places
        for found in _NUMBER.findall(plain if right[0] == "-" else plain.replace("-", ""))
    )


async def ask_all(questions: list[Question]) -> Counter[str]:
    """How many were answered rightly, refused, and answered otherwise; what is not right is printed."""
    packages = {
        place: await build_package(*place) for place in dict.fromkeys((one.agent, one.language) for one in questions)
    }
    score = Counter[str]()
    for one in questions:
        text, calls = await packages[one.agent, one.language].converse(one.input)
        has_answer = bool(calls) and not _COULD_NOT.search(text)
        is_right = has_answer and any(_stands_in(part, text) for part in one.right)
        result = "right" if is_right or not (has_answer or one.right) else "wrong" if has_answer else "refused"
        score[result] += 1
        if result != "right":
            sys.stdout.write(f"{result} [{one.agent}] {one.input!r}\n    wanted {one.right}, got {text[:200]!r}\n")
    return score


def main() -> None:
    support.NOW = TODAY
    for file in sorted(Path(__file__).parent.glob("*y.jsonl")):
        lines = file.read_bytes().splitlines()
        score = asyncio.run(ask_all([msgspec.json.decode(line, type=Question) for line in lines]))
        sys.stdout.write(f"{file.stem}: {dict(score)} of {score.total()}\n")


if __name__ == "__main__":
    main()
