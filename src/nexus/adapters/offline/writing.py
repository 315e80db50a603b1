"""The tools that the offline model can write: from a template, or from a formula that the requirement spells out."""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from nexus.adapters.offline.cards import CARDS, Card
from nexus.adapters.offline.formulas import formula_example, plan_formula, write_formula
from nexus.adapters.offline.written import body, codes, money
from nexus.domain.builds.outputs import Parameter, PlannedTool, WrittenTool
from nexus.domain.ports.models import JSON, ToolSpec
from nexus.domain.tools.library.registry import LIBRARY
from nexus.domain.tools.schema import spec_of

__all__ = ["formula_example", "plan_formula", "plan_template", "spec_of_card", "write_formula", "write_template"]


@cache
def templates() -> Mapping[str, Callable[..., Any]]:
    """The functions of all templates by their name."""
    found = [pair for module in (body, codes, money) for pair in inspect.getmembers(module, inspect.isfunction)]
    return {name: function for name, function in found if not name.startswith("_")}


def plan_template(tool: str) -> PlannedTool:
    """The template of that name as the architecture plans it. KeyError for a name without a template."""
    function = templates()[tool]
    told = spec_of(function).parameters["properties"]
    parameters = [
        Parameter(name=name, type=_type_name(parameter.annotation), description=told[name].get("description", ""))
        for name, parameter in inspect.signature(function).parameters.items()
    ]
    return PlannedTool(name=tool, purpose=_first_line(function), parameters=parameters)


def write_template(tool: str) -> WrittenTool | None:
    """The source and the tests of a template; None for a name without one."""
    function = templates().get(tool)
    if function is None:
        return None
    code = f'"""{_first_line(function)}"""\n\n\n{inspect.getsource(function)}'
    return WrittenTool(name=tool, code=code, test_code=_tests(CARDS[tool]))


def spec_of_card(card: Card) -> ToolSpec:
    """The specification of the card's tool, of the library or as its template writes it."""
    return LIBRARY[card.tool].spec if card.kind == "library" else spec_of(templates()[card.tool])


def _tests(card: Card) -> str:
    name = card.tool
    lines = ["from pytest import raises\n"] if card.refuses else []
    lines.append(f"from tools.{name} import {name}")
    for at, check in enumerate(card.checks, 1):
        lines.append(
            f"\n\ndef test_{name}_answers_example_{at}() -> None:\n    assert {name}({_given(check.given)}) == {check.result!r}"
        )
    for at, given in enumerate(card.refuses, 1):
        lines.append(
            f"\n\ndef test_{name}_refuses_example_{at}() -> None:\n    with raises(ValueError):\n        {name}({_given(given)})"
        )
    return "\n".join(lines) + "\n"


def _given(arguments: JSON) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def _type_name(annotation: Any) -> Any:
    return (
        annotation.__name__ if isinstance(annotation, type) and not hasattr(annotation, "__args__") else str(annotation)
    )


def _first_line(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").splitlines()[0]
