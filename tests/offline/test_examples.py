"""Every example of a card holds, alone and beside all other cards; every template passes its own tests; cards use what they read."""

import pytest

from nexus.adapters.offline.answers.readings import slot_names
from nexus.adapters.offline.cards import CARDS
from nexus.adapters.offline.writing import (
    formula_example,
    plan_formula,
    plan_template,
    spec_of_card,
    write_formula,
    write_template,
)
from nexus.domain.builds.outputs import WrittenTool
from nexus.domain.tools.library.registry import LIBRARY
from tests.offline.support import Package, run_tests

TEMPLATES = [name for name, card in CARDS.items() if card.kind == "template"]


def package(*names: str) -> Package:
    return Package([name for name in names if name in LIBRARY], [written(name) for name in names if name in TEMPLATES])


def written(name: str) -> WrittenTool:
    tool = write_template(name)
    assert tool is not None
    return tool


@pytest.mark.parametrize("tools", ["alone", "beside all others"])
@pytest.mark.parametrize("name", CARDS)
async def test_the_examples_of_a_card_are_answered_by_its_tool(name: str, tools: str) -> None:
    agent = package(name) if tools == "alone" else package(*CARDS)
    for language, examples in CARDS[name].examples.items():
        for example in examples:
            text, calls = await agent.converse(example.input)
            assert [call.name for call in calls] == [name], (language, example.input, text)
            assert [part for part in example.contains if part.lower() not in text.lower()] == [], text


@pytest.mark.parametrize("name", CARDS)
def test_a_card_has_an_example_of_every_topic_in_both_languages(name: str) -> None:
    card = CARDS[name]
    assert card.title("en")
    assert card.title("zh")
    for language in ("en", "zh"):
        shown = {example.topic for example in card.examples.get(language, ())}
        assert shown >= set(card.topics)


@pytest.mark.parametrize("name", CARDS)
def test_whatever_a_frame_reads_is_given_to_its_tool(name: str) -> None:
    card = CARDS[name]
    taken = set(spec_of_card(card).parameters["properties"])
    lists = {part for patterns in card.lists.values() for pattern in patterns for part in pattern.split("{")[1:]}
    for frame in card.frames:
        used = (
            taken
            | {part.partition("}")[0] for text in map(str, frame.args.values()) for part in text.split("{")[1:]}
            | {frame.each}
        )
        assert slot_names(frame) <= used, frame
    assert bool(card.lists) == bool(lists)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_passes_its_own_tests(name: str) -> None:
    assert run_tests(written(name)) == len(CARDS[name].checks) + len(CARDS[name].refuses)
    assert all(parameter.description for parameter in plan_template(name).parameters)


def test_a_card_of_the_library_names_a_tool_of_the_library() -> None:
    assert {name for name, card in CARDS.items() if card.kind == "library"} <= set(LIBRARY)


@pytest.mark.parametrize(
    ("text", "name", "expression"),
    [
        ("Computes cost = price times quantity plus 10", "compute_cost", "price * quantity + 10"),
        ("profit is revenue minus unit cost times units sold", "compute_profit", "revenue - unit_cost * units_sold"),
        ("total = base plus 20% times base", "compute_total", "base + 20 / 100 * base"),
    ],
)
async def test_a_formula_in_a_requirement_becomes_a_tool_that_is_asked_by_its_names(
    text: str, name: str, expression: str
) -> None:
    planned = plan_formula(text)
    assert planned is not None
    tool = write_formula(planned)
    assert tool is not None
    assert tool.name == name
    assert f"round({expression}, 6)" in tool.code
    assert run_tests(tool) == 2
    example = formula_example(planned)
    assert example is not None
    answer, calls = await Package([], [tool]).converse(example.input)
    assert [call.name for call in calls] == [name]
    assert example.contains[0] in answer


@pytest.mark.parametrize(
    "text",
    ["x = __import__('os').system('id')", "a = 9 ** 9 ** 9 ** b", "ratio = one over zero minus zero times 1 over", "=",
     "a = b" + " times b" * 5000, "cost = price times quantity unless the customer is new"],
)  # fmt: skip
def test_a_formula_that_is_none_or_harmful_is_not_written(text: str) -> None:
    planned = plan_formula(text)
    tool = write_formula(planned) if planned else None
    assert tool is None or ("import" not in tool.code and len(tool.code) < 2000 and run_tests(tool) == 2)
