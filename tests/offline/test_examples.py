"""Every example that a skill or template gives for itself holds, and every template's own tests pass."""

import pytest

from nexus.adapters.offline.build.needs import RIVALS
from nexus.adapters.offline.skills.registry import LIBRARY_SKILLS, SKILLS
from nexus.adapters.offline.skills.skill import Example
from nexus.adapters.offline.templates.formula import planned_formula, written_formula
from nexus.adapters.offline.templates.registry import TEMPLATES
from nexus.adapters.offline.templates.template import planned, written
from nexus.domain.tools.library.registry import LIBRARY
from tests.offline.support import Package, run_tests

EXAMPLES = [
    (name, language, example)
    for name, skill in SKILLS.items()
    for language, examples in skill.examples.items()
    for example in examples
]


@pytest.mark.parametrize(
    ("name", "language", "example"),
    EXAMPLES,
    ids=[f"{name}-{language}-{at}" for at, (name, language, _) in enumerate(EXAMPLES)],
)
async def test_an_example_calls_its_tool_and_answers(name: str, language: str, example: Example) -> None:
    own = [written(TEMPLATES[name], name)] if name in TEMPLATES else []
    text, calls = await Package([] if own else [name], own).converse(example.input)
    assert [call.name for call in calls] == [name], text
    assert [part for part in example.contains if part.lower() not in text.lower()] == [], text


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name not in RIVALS])
async def test_a_template_s_example_holds_beside_the_whole_library(name: str) -> None:
    package = Package(list(LIBRARY), [written(TEMPLATES[name], name)])
    for examples in TEMPLATES[name].examples.values():
        for example in examples:
            text, calls = await package.converse(example.input)
            assert [call.name for call in calls] == [name], (example.input, text)


@pytest.mark.parametrize("name", LIBRARY_SKILLS)
async def test_a_library_skill_s_example_holds_beside_all_others(name: str) -> None:
    package = Package(list(LIBRARY))
    for examples in LIBRARY_SKILLS[name].examples.values():
        for example in examples:
            text, calls = await package.converse(example.input)
            assert [call.name for call in calls] == [name], (example.input, text)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_passes_its_own_tests(name: str) -> None:
    tool = written(TEMPLATES[name], name)
    assert run_tests(tool) == len(TEMPLATES[name].checks) + len(TEMPLATES[name].refuses)
    assert [parameter.name for parameter in planned(TEMPLATES[name]).parameters]
    assert all(parameter.description for parameter in planned(TEMPLATES[name]).parameters)
    assert "Args:" in tool.code


def test_a_template_can_take_another_name() -> None:
    tool = written(TEMPLATES["bmi"], "body_mass")
    assert run_tests(tool) == len(TEMPLATES["bmi"].checks) + len(TEMPLATES["bmi"].refuses)


def test_every_library_tool_has_a_skill_and_none_is_shadowed_by_a_template() -> None:
    assert set(LIBRARY_SKILLS) == set(LIBRARY)
    assert not set(TEMPLATES) & set(LIBRARY)


@pytest.mark.parametrize(
    ("text", "name", "expression"),
    [
        ("Computes cost = price times quantity plus 10", "compute_cost", "price * quantity + 10"),
        ("profit is revenue minus unit cost times units sold", "compute_profit", "revenue - unit_cost * units_sold"),
        ("total = base plus 20% times base", "compute_total", "base + 20 / 100 * base"),
    ],
)
def test_a_formula_in_a_requirement_becomes_a_tool(text: str, name: str, expression: str) -> None:
    planned_tool = planned_formula(text)
    assert planned_tool is not None
    tool = written_formula(planned_tool)
    assert tool is not None
    assert tool.name == name
    assert f"round({expression}, 6)" in tool.code
    assert run_tests(tool) == 2


@pytest.mark.parametrize(
    "text",
    [
        "x = __import__('os').system('id')",
        "a = 9 ** 9 ** 9 ** b",
        "ratio = one over zero minus zero times 1 over",
        "=",
        "a = b" + " times b" * 5000,
    ],
)
def test_a_formula_that_is_none_or_harmful_is_not_written(text: str) -> None:
    planned_tool = planned_formula(text)
    tool = written_formula(planned_tool) if planned_tool else None
    assert tool is None or ("import" not in tool.code and len(tool.code) < 2000 and run_tests(tool) == 2)
