"""Every example that a skill or template gives for itself holds, and every template's own tests pass."""

import pytest

from nexus.adapters.offline.build.needs import RIVALS
from nexus.adapters.offline.skills.registry import LIBRARY_SKILLS, SKILLS
from nexus.adapters.offline.skills.skill import Example
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
    assert run_tests(tool) == 5


def test_every_library_tool_has_a_skill_and_none_is_shadowed_by_a_template() -> None:
    assert set(LIBRARY_SKILLS) == set(LIBRARY)
    assert not set(TEMPLATES) & set(LIBRARY)
