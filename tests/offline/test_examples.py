"""Every example of a card holds, alone and beside all other cards; every template passes its own tests; cards use what they read."""

import pytest

from nexus.adapters.offline.answers.readings import list_slot_names
from nexus.adapters.offline.cards import CARDS
from nexus.adapters.offline.writing import TEMPLATES, plan_tool_from_template, write_tool_from_template
from nexus.domain.tools.library.registry import LIBRARY
from tests.offline.support import Package, run_tests, spec_of_card


def package(*names: str) -> Package:
    return Package(
        [name for name in names if name in LIBRARY],
        [write_tool_from_template(name) for name in names if name in TEMPLATES],
    )


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
    assert card.get_title("en")
    assert card.get_title("zh")
    for language in ("en", "zh"):
        shown = {example.topic for example in card.examples.get(language, ())}
        assert shown >= set(card.topics)


@pytest.mark.parametrize("name", CARDS)
def test_whatever_a_frame_reads_is_given_to_its_tool(name: str) -> None:
    card = CARDS[name]
    taken = set(spec_of_card(card).parameters["properties"])
    for frame in card.frames:
        entries = {"quantity", "price", "description"} if frame.into == "items" else set[str]()
        filled = {
            part.partition("}")[0].rstrip("?") for text in map(str, frame.args.values()) for part in text.split("{")[1:]
        }
        assert list_slot_names(frame) <= taken | filled | entries | {"about", "each"}, frame


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_passes_its_own_tests(name: str) -> None:
    assert run_tests(write_tool_from_template(name)) == len(CARDS[name].checks) + len(CARDS[name].refuses)
    assert all(parameter.description for parameter in plan_tool_from_template(name).parameters)


def test_a_card_names_a_tool_of_the_library_or_a_template() -> None:
    assert set(CARDS) <= {*LIBRARY, *TEMPLATES}
    assert not set(LIBRARY) & set(TEMPLATES)
