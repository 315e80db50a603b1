"""The tools that the offline model can write: from a template, or from a formula that the requirement spells out."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from nexus.adapters.offline import templates
from nexus.adapters.offline.cards import CARDS, Card
from nexus.adapters.offline.formulas import formula_example, plan_formula, write_formula
from nexus.domain.builds.outputs import Parameter, PlannedTool, WrittenTool
from nexus.domain.core.values import JSON
from nexus.domain.ports.models import ToolSpec
from nexus.domain.tools.library.registry import LIBRARY
from nexus.domain.tools.schema import spec_of

__all__ = ["formula_example", "plan_formula", "plan_template", "spec_of_card", "write_formula", "write_template"]


TEMPLATES: Mapping[str, Callable[..., Any]] = dict(inspect.getmembers(templates, inspect.isfunction))


def plan_template(tool: str) -> PlannedTool:
    """The template of that name as the architecture plans it. KeyError for a name without a template."""
    function = TEMPLATES[tool]
    told = spec_of(function).parameters["properties"]
    parameters = [
        Parameter(name=name, type=_type_name(parameter.annotation), description=told[name].get("description", ""))
        for name, parameter in inspect.signature(function).parameters.items()
    ]
    return PlannedTool(name=tool, purpose=_first_line(function), parameters=parameters)


def write_template(tool: str) -> WrittenTool | None:
    """The source and the tests of a template; None for a name without one."""
    function = TEMPLATES.get(tool)
    if function is None:
        return None
    code = f'"""{_first_line(function)}"""\n\n\n{inspect.getsource(function)}'
    return WrittenTool(name=tool, code=code, test_code=_tests(CARDS[tool]))


def spec_of_card(card: Card) -> ToolSpec:
    """The specification of the card's tool, of the library or as its template writes it."""
    return LIBRARY[card.tool].spec if card.kind == "library" else spec_of(TEMPLATES[card.tool])


def _tests(card: Card) -> str:
    name = card.tool
    tests = ["from pytest import raises\n"] if card.refuses else []
    tests.append(f"from tools.{name} import {name}")
    for at, check in enumerate(card.checks, 1):
        call = f"{name}({_given(check.given)})"
        tests.append(f"\n\ndef test_{name}_answers_example_{at}() -> None:\n    assert {call} == {check.result!r}")
    for at, given in enumerate(card.refuses, 1):
        call = f"    with raises(ValueError):\n        {name}({_given(given)})"
        tests.append(f"\n\ndef test_{name}_refuses_example_{at}() -> None:\n{call}")
    return "\n".join(tests) + "\n"


def _given(arguments: JSON) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def _type_name(annotation: Any) -> Any:
    is_plain = isinstance(annotation, type) and not hasattr(annotation, "__args__")
    return annotation.__name__ if is_plain else str(annotation)


def _first_line(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").splitlines()[0]
