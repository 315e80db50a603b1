"""The tools that the offline model can write, each from its template."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from nexus.adapters.offline import templates
from nexus.adapters.offline.cards import CARDS, Card
from nexus.domain.builds.outputs import Parameter, PlannedTool, WrittenTool
from nexus.domain.tools.schema import parse_tool_spec

TEMPLATES: Mapping[str, Callable[..., Any]] = dict(inspect.getmembers(templates, inspect.isfunction))


def plan_tool_from_template(tool: str) -> PlannedTool:
    """The template of that name as the architecture plans it. KeyError for a name without a template."""
    spec, given = parse_tool_spec(TEMPLATES[tool]), inspect.signature(TEMPLATES[tool]).parameters
    parameters = [
        Parameter(name=name, type=given[name].annotation.__name__, description=schema["description"])
        for name, schema in spec.parameters["properties"].items()
    ]
    return PlannedTool(name=tool, purpose=spec.description, parameters=parameters)


def write_tool_from_template(tool: str) -> WrittenTool:
    """The source and the tests of a template. KeyError for a name without one."""
    function = TEMPLATES[tool]
    code = f'"""{parse_tool_spec(function).description}"""\n\n\n{inspect.getsource(function)}'
    return WrittenTool(name=tool, code=code, test_code=_write_tool_tests(CARDS[tool]))


def _write_tool_tests(card: Card) -> str:
    name, tests = card.tool, [f"from pytest import raises\n\nfrom tools.{card.tool} import {card.tool}\n"]
    calls = [f"    assert {name}(**{check.given!r}) == {check.result!r}\n" for check in card.checks]
    calls += [f"    with raises(ValueError):\n        {name}(**{given!r})\n" for given in card.refuses]
    tests += [f"\n\ndef test_{name}_{at}() -> None:\n{call}" for at, call in enumerate(calls, 1)]
    return "".join(tests)
