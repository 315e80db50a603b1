"""Requirements through all stages that a model answers, and the agent that comes out in conversation."""

from typing import TypeVar

import msgspec
import pytest
from msgspec import Struct

from nexus.adapters.offline.cards import CARDS
from nexus.domain.builds.documents import translate_category
from nexus.domain.builds.outputs import (
    Architecture,
    ArchitectureInput,
    Brief,
    BuildRequest,
    Design,
    DesignInput,
    LibraryTool,
    OfferedTool,
    PlannedAgent,
    PlannedTool,
    PromptInput,
    PromptText,
    Requirements,
    RequirementsInput,
    ToolInput,
    WrittenTool,
)
from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.models import ChatMessage, ModelRequest
from nexus.domain.tools.library.registry import LIBRARY
from tests.offline.support import Package, answered, run_tests

T = TypeVar("T", bound=Struct)
LISTING = [LibraryTool(name, tool.spec.description, tool.category) for name, tool in LIBRARY.items()]


async def ask(stage: str, kind: type[T], given: Struct) -> T:
    request = ModelRequest(
        messages=(ChatMessage("system", "…"), ChatMessage("user", msgspec.json.encode(given).decode())),
        purpose=f"build.{stage}",
    )
    text, end = await answered(request)
    assert end.stop == "end"
    return msgspec.json.decode(text, type=kind)


class Built(Struct):
    brief: Brief
    requirements: Requirements
    architecture: Architecture
    designs: dict[str, Design]
    written: dict[str, list[WrittenTool]]
    prompts: dict[str, str]


async def build(requirement: str) -> Built:
    brief = await ask("intake", Brief, BuildRequest(requirement))
    assert brief.intent == "new", brief.problem
    needed = await ask("requirements", Requirements, RequirementsInput(requirement, brief))
    planned = await ask("architecture", Architecture, ArchitectureInput(requirement, brief, needed, LISTING))
    built = Built(brief, needed, planned, {}, {}, {})
    for agent in planned.agents:
        design = await ask("design", Design, DesignInput(requirement, brief, needed, agent, planned.unmet))
        tools = [await ask("tools", WrittenTool, ToolInput(brief, agent, tool)) for tool in agent.new_tools]
        offered = [OfferedTool(name, LIBRARY[name].spec.description) for name in agent.library_tools]
        offered += [OfferedTool(tool.name, tool.purpose) for tool in agent.new_tools]
        prompt = await ask("prompt", PromptText, PromptInput(requirement, brief, agent, design, offered, planned.unmet))
        built.designs[agent.slug], built.written[agent.slug], built.prompts[agent.slug] = design, tools, prompt.prompt
    return built


def package(built: Built) -> Package:
    [agent] = built.architecture.agents
    return Package(agent.library_tools, built.written[agent.slug])


REQUIREMENTS: list[tuple[str, str, list[str], list[str]]] = [
    (
        "An agent that converts units and computes loan payments, and explains its steps",
        "en",
        ["convert_units", "loan_payment"],
        [],
    ),
    ("一个能换算单位、计算贷款月供并解释步骤的智能体", "zh", ["convert_units", "loan_payment"], []),
    (
        "Build me a CSV analyst that sums and averages columns of pasted CSV data",
        "en",
        ["query_csv"],
        [],
    ),
    ("做一个分析CSV表格的助手，可以按列分组汇总", "zh", ["query_csv"], []),
    (
        "A date planner: counts days between two dates, finds deadlines in business days and tells the weekday",
        "en",
        ["date_difference", "add_to_date", "weekday_of"],
        [],
    ),
    (
        "日期规划助手：计算两个日期相差多少天，推算到期日，查询星期几",
        "zh",
        ["date_difference", "add_to_date", "weekday_of"],
        [],
    ),
    ("An invoice helper that adds up line items with tax and discount", "en", ["line_items_total"], []),
    ("发票助手，计算明细合计和税额", "zh", ["line_items_total"], []),
    ("An agent that computes the body mass index (BMI)", "en", [], ["bmi"]),
    ("做一个计算BMI的健康助手", "zh", [], ["bmi"]),
    ("一个计算年龄的智能体", "zh", [], ["age_in_years"]),
    ("A calculator agent for percentages", "en", ["calculate"], []),
    ("Split the bill between friends, and compute the body mass index", "en", [], ["split_bill", "bmi"]),
]


@pytest.mark.parametrize(
    ("requirement", "language", "library", "new"), REQUIREMENTS, ids=[str(at) for at in range(len(REQUIREMENTS))]
)
async def test_a_requirement_becomes_an_agent_that_passes_its_cases(
    requirement: str, language: str, library: list[str], new: list[str]
) -> None:
    built = await build(requirement)
    agent = built.architecture.agents[0]
    assert built.brief.language == language
    assert built.architecture.unmet == []
    assert set(library) <= set(agent.library_tools), agent
    assert set(new) <= {tool.name for tool in agent.new_tools}, agent
    assert all(run_tests(tool) for tool in built.written[agent.slug])
    await _cases_hold(built)
    assert all(name in built.prompts[agent.slug] for name in [*library, *new])
    exercised = {name for case in built.designs[agent.slug].cases for name in case.calls}
    assert {*agent.library_tools, *(tool.name for tool in agent.new_tools)} <= exercised


async def _cases_hold(built: Built) -> None:
    [design] = built.designs.values()
    names = [case.name for case in design.cases]
    assert len(set(names)) == len(names)
    for case in design.cases:
        text, calls = await package(built).converse(case.input)
        assert set(case.calls) <= {call.name for call in calls}, (case, text)
        assert [part for part in case.contains if part.casefold() not in text.casefold()] == [], (case, text)


async def test_the_readme_example_has_the_tools_the_name_and_the_cases_that_one_expects() -> None:
    built = await build("An agent that converts units and computes loan payments, and explains its steps")
    assert built.brief.slug == "unit_converter_loan_calculator"
    assert built.architecture.agents[0].library_tools == ["convert_units", "loan_payment"]
    assert built.architecture.agents[0].new_tools == []
    assert [one.title for one in built.requirements.functional] == ["Converts units", "Computes loan payments"]
    assert any("steps" in one.statement for one in built.requirements.nonfunctional)
    cases = built.designs[built.brief.slug].cases
    assert any("6.2137" in case.contains for case in cases)
    assert any("1073.64" in case.contains for case in cases)


async def test_what_can_be_done_is_built_beside_what_cannot() -> None:
    built = await build("An agent that converts units, translates the answer into French, and computes BMI")
    agent = built.architecture.agents[0]
    assert agent.library_tools == ["convert_units"]
    assert [tool.name for tool in agent.new_tools] == ["bmi"]
    assert [unmet.requirement_id for unmet in built.architecture.unmet] == ["FR-2"]
    assert agent.purpose == "converts units; computes BMI"
    await _cases_hold(built)


@pytest.mark.parametrize(
    "requirement",
    [
        "hi there friend how are you",
        "asdf asdf asdf",
        "😀😀😀😀😀😀",
        "!!! ??? ...",
        "1234567890",
        "你好你好你好你好",
        "build me an agent please",
        "qwrt zxcv bnmk plkj",
        "做一个很好的智能体",
    ],
)
async def test_a_requirement_without_a_task_is_unclear_and_says_why(requirement: str) -> None:
    brief = await ask("intake", Brief, BuildRequest(requirement))
    assert brief.intent == "unclear"
    assert brief.problem


@pytest.mark.parametrize(
    "requirement",
    [
        "Change my unit agent so that it also handles loans",
        "Add loan payments to the existing agent",
        "修改现有的智能体，增加贷款计算",
        "给我的智能体增加单位换算",
    ],
)
async def test_a_change_of_an_agent_is_seen_as_one(requirement: str) -> None:
    assert (await ask("intake", Brief, BuildRequest(requirement))).intent == "change"


@pytest.mark.parametrize(
    ("requirement", "slug"),
    [
        ("一个种花的智能体，帮我安排浇水", "agent_"),
        ("Ein Agent, der Längen umrechnet", "agent_"),
        ("An agent called Ada that converts units", "ada"),
        ("单位换算助手", "unit_converter"),
    ],
)
async def test_a_slug_is_always_ascii(requirement: str, slug: str) -> None:
    assert (await ask("intake", Brief, BuildRequest(requirement))).slug.startswith(slug)


async def test_an_extreme_requirement_is_answered() -> None:
    for requirement in ("converts units and " * 500, "换算单位，" * 2000, "converts units\n" * 700):
        built = await build(requirement)
        assert [one.title.casefold() for one in built.requirements.functional] in (["converts units"], ["换算单位"])
    many = ", ".join(f"paints wall {at}" for at in range(900))
    for requirement in (many, "x" * 10_000 + " converts units", " " * 4000 + "juggles" + " balls" * 900):
        assert (await ask("intake", Brief, BuildRequest(requirement))).intent == "needs_language_model"


async def test_what_lies_beyond_the_clauses_that_are_read_is_unmet() -> None:
    built = await build("converts units, " + ", ".join(f"paints wall {at}" for at in range(60)))
    assert len(built.requirements.functional) <= 30
    assert len(built.architecture.unmet) == len(built.requirements.functional) - 1


async def test_a_library_that_lacks_a_tool_leaves_its_requirement_unmet() -> None:
    requirement = "An agent that converts units"
    brief = await ask("intake", Brief, BuildRequest(requirement))
    needed = await ask("requirements", Requirements, RequirementsInput(requirement, brief))
    planned = await ask("architecture", Architecture, ArchitectureInput(requirement, brief, needed, []))
    assert planned.agents[0].library_tools == []
    assert planned.unmet


@pytest.mark.parametrize(
    ("requirement", "name"),
    [
        ("An agent that converts units and computes loan payments", "Unit converter and Loan calculator"),
        ("Ein Agent, der Längen umrechnet", "Agent"),
        ("换算单位、计算小费和BMI", "单位换算、小费分账等助手"),
        ("名为小算的智能体，换算单位", "小算"),
        ("An agent called Ada that converts units", "Ada"),
        ("Tells me the weather and converts units", "Unit converter"),
    ],
)
async def test_a_name_says_what_the_agent_does_and_nothing_that_it_does_not(requirement: str, name: str) -> None:
    assert (await ask("intake", Brief, BuildRequest(requirement))).name == name


async def test_a_failed_tool_is_answered_with_the_best_again() -> None:
    brief = await ask("intake", Brief, BuildRequest("computes the BMI"))
    agent = PlannedAgent(slug="bmi_agent", name="BMI", purpose="BMI")
    tool = PlannedTool(name="bmi", purpose="Computes the BMI")
    first = await ask("tools", WrittenTool, ToolInput(brief, agent, tool))
    again = await ask("tools", WrittenTool, ToolInput(brief, agent, tool, first, "test_x: failed"))
    assert first == again
    assert first.name == "bmi"
    assert run_tests(again) > 0


async def test_what_has_no_template_or_rules_fails_clearly() -> None:
    brief = await ask("intake", Brief, BuildRequest("computes the BMI"))
    agent = PlannedAgent(slug="some_agent", name="Some", purpose="Some")
    with pytest.raises(InvalidInput):
        await ask(
            "tools", WrittenTool, ToolInput(brief, agent, PlannedTool(name="fold_protein", purpose="Folds proteins"))
        )
    with pytest.raises(InvalidInput):
        await ask("unheard_of", Brief, BuildRequest("computes the BMI"))
    with pytest.raises(InvalidInput):
        await answered(ModelRequest(messages=(ChatMessage("user", "not JSON"),), purpose="build.intake"))


def test_a_chinese_document_has_a_chinese_word_for_the_category_of_every_card() -> None:
    assert {
        card.category for card in CARDS.values() if translate_category(card.category, "zh") == card.category
    } == set()
