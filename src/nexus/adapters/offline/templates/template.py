"""What a template is: a real typed function beside the words that ask for it, and the checks that prove it."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from nexus.adapters.offline.skills.skill import Cues, Example, Skill, Teller, Topic
from nexus.adapters.offline.skills.told import value_of
from nexus.domain.builds.outputs import Language, Parameter, PlannedTool, WrittenTool
from nexus.domain.ports.models import JSON

_TYPES = {
    "str": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "list[str]": "list[str]",
    "list[float]": "list[float]",
}


class Check(Struct, frozen=True):
    """What the function must answer for these arguments."""

    arguments: JSON
    result: Any


class Template(Struct, frozen=True, kw_only=True):
    """A tool that the offline model can write. `function` is the tool itself: its source becomes the generated file.

    `asks` is the pattern of a message that wants it (the topic's words when empty); `tell` are sentences with the names of
    arguments and results in braces.
    """

    function: Callable[..., Any]
    topic: Topic
    checks: tuple[Check, ...]
    refuses: tuple[JSON, ...] = ()
    asks: str = ""
    weight: int = 20
    cues: Cues = {}
    tell: Mapping[Language, str]
    examples: Mapping[Language, tuple[Example, ...]]

    @property
    def name(self) -> str:
        return self.function.__name__


def planned(template: Template) -> PlannedTool:
    """The tool as the architecture plans it."""
    told = dict(re.findall(r"^\s+(\w+): (.+)$", _arguments_told(template.function), re.MULTILINE))
    parameters = [
        Parameter(name=name, type=_type(parameter.annotation), description=told.get(name, ""))
        for name, parameter in inspect.signature(template.function).parameters.items()
    ]
    return PlannedTool(name=template.name, purpose=_first_line(template.function), parameters=parameters)


def written(template: Template, name: str) -> WrittenTool:
    """The tool as files, under the name that the plan gave it."""
    source = inspect.getsource(template.function).replace(f"def {template.name}(", f"def {name}(", 1)
    return WrittenTool(
        name=name, code=f'"""{_first_line(template.function)}"""\n\n\n{source}', test_code=_tests(template, name)
    )


def skill_of(template: Template) -> Skill:
    """How the chat uses the tool once it has been written."""
    return Skill(
        tool=template.name,
        topic=template.topic,
        asks=template.asks or template.topic.words,
        weight=template.weight,
        cues=template.cues,
        tell=_teller(template),
        examples=template.examples,
    )


def _tests(template: Template, name: str) -> str:
    lines = [f"from tools.{name} import {name}"]
    if template.refuses:
        lines.insert(0, "from pytest import raises\n")
    for at, check in enumerate(template.checks, 1):
        lines.append(
            f"\n\ndef test_{name}_answers_example_{at}() -> None:\n    assert {name}({_given(check.arguments)}) == {check.result!r}"
        )
    for at, arguments in enumerate(template.refuses, 1):
        lines.append(
            f"\n\ndef test_{name}_refuses_example_{at}() -> None:\n    with raises(ValueError):\n        {name}({_given(arguments)})"
        )
    return "\n".join(lines) + "\n"


def _given(arguments: JSON) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def _teller(template: Template) -> Teller:
    def tell(arguments: JSON, result: Any, language: Language) -> str:
        fields = {**arguments, **(result if isinstance(result, dict) else {}), "result": result}
        shown = {
            name: value_of(value, language) if isinstance(value, bool | list | float) else value
            for name, value in fields.items()
        }
        return template.tell[language].format_map(shown)

    return tell


def _type(annotation: Any) -> Any:
    return _TYPES[
        annotation
        if isinstance(annotation, str)
        else getattr(annotation, "__name__", "")
        if not hasattr(annotation, "__args__")
        else str(annotation)
    ]


def _first_line(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").splitlines()[0]


def _arguments_told(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").partition("Args:")[2].partition("Returns:")[0]
