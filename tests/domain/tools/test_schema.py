import inspect
import json
from typing import Any, Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.domain.ports.models import ToolSpec
from nexus.domain.tools.arguments import parse_tool_arguments
from nexus.domain.tools.library.registry import LIBRARY, LibraryTool
from nexus.domain.tools.model import ToolError
from nexus.domain.tools.schema import parse_tool_spec
from tests.fakes.code import spec_of_source

SOURCE = '''
"""A module that must not run."""
raise SystemExit("imported")


def price(net: float, rate: "int" = 19, *, kind: Literal["full", "half"] = "full", notes: list[str] | None = None) -> dict:
    """Adds tax to a price,
    rounded to the cent.

    Args:
        net: The price without tax,
            in whatever money.
        rate (int): The tax in percent.
        kind: Which tax.

    Returns:
        The price: with tax.
    """
'''


def every(
    a: str, b: int, c: float, d: bool, e: list[str], f: dict[str, float], g: Literal[1, 2], h: Optional[int] = None,  # noqa: UP045 - models write it so
    i: str | None = None, j: list[dict[str, Any]] = [], k: Literal["x"] | None = None, m: int | str = 1, n: dict | None = None,  # type: ignore[type-arg]  # noqa: B006
) -> None:  # fmt: skip
    """All types."""


def test_a_function_becomes_a_specification_without_being_run() -> None:
    spec = spec_of_source(SOURCE, "price")
    assert spec.description == "Adds tax to a price, rounded to the cent."
    assert spec.parameters == {
        "type": "object",
        "properties": {
            "net": {"type": "number", "description": "The price without tax, in whatever money."},
            "rate": {"type": "integer", "description": "The tax in percent.", "default": 19},
            "kind": {"type": "string", "enum": ["full", "half"], "description": "Which tax.", "default": "full"},
            "notes": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}], "default": None},
        },
        "required": ["net"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize("tool", LIBRARY.values(), ids=LIBRARY)
def test_the_source_and_the_function_say_the_same(tool: LibraryTool) -> None:
    module = inspect.getmodule(tool.function)
    assert module is not None
    assert spec_of_source(inspect.getsource(module), tool.name, given=tool.given) == tool.spec
    parameters = tool.spec.parameters["properties"]
    assert parameters.keys().isdisjoint(tool.given)
    assert all(schema.get("description") for schema in parameters.values())
    json.dumps(tool.spec.parameters)


def test_all_types_are_read_alike_from_source_and_function() -> None:
    assert spec_of_source(inspect.getsource(every), "every") == parse_tool_spec(every)
    properties = parse_tool_spec(every).parameters["properties"]
    assert properties["h"] == {"type": ["integer", "null"], "default": None}
    assert properties["k"] == {"anyOf": [{"type": "string", "enum": ["x"]}, {"type": "null"}], "default": None}


@pytest.mark.parametrize(
    "source",
    [
        "def f(", "def g(): ...", "def f(*a): ...", "def f(**a): ...", "def f(a: bytes): ...", "def f(a: Path): ...", "def f(a=print()): ...",
        "def f(a: (lambda: 1)): ...", "def f(a: Literal[b'x']): ...", "def f(a: 'str['): ...", "def f(a: " + "(" * 500 + "): ...", "\x00",
    ],
)  # fmt: skip
def test_source_that_is_no_tool_is_refused(source: str) -> None:
    with pytest.raises(ToolError):
        spec_of_source(source, "f")


def test_arguments_are_coerced_where_nothing_is_guessed() -> None:
    spec = parse_tool_spec(every)
    text = '{"a": 5, "b": "１,２00", "c": "2.5", "d": "true", "e": "[\\"x\\", \\"y\\"]", "f": {"z": 1}, "g": 2, "h": "7", "m": "q"}'
    assert parse_tool_arguments(spec, text) == {
        "a": "5", "b": 1200, "c": 2.5, "d": True, "e": ["x", "y"], "f": {"z": 1}, "g": 2, "h": 7, "m": "q",
    }  # fmt: skip


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ToolError) as told:
        parse_tool_arguments(
            spec_of_source(SOURCE, "price"), '{"rate": 1.5, "kind": "none", "extra": 1, "notes": [true]}'
        )
    errors = {error["pointer"]: error["message"] for error in told.value.facts["errors"]}
    assert errors["/net"] == "is missing"
    assert errors["/rate"] == "must be a whole number"
    assert errors["/kind"] == "must be one of full, half"
    assert "possible are net" in errors["/extra"]
    assert errors.keys() == {"/net", "/rate", "/kind", "/extra", "/notes"}


@pytest.mark.parametrize("text", ["[]", "{", "5", "[" * 100_000, '{"a": NaN}', "x" * 300_000, "null", '"net"'])
def test_arguments_that_are_no_object_are_refused(text: str) -> None:
    with pytest.raises(ToolError):
        parse_tool_arguments(spec_of_source(SOURCE, "price"), text)


def test_no_text_is_no_arguments_and_null_is_the_default() -> None:
    spec = LIBRARY["current_time"].spec
    assert parse_tool_arguments(spec, "  ") == {}
    assert parse_tool_arguments(spec, '{"timezone": null}') == {}


VALUES = st.fixed_dictionaries(
    {
        "a": st.text(), "b": st.integers(-(10**12), 10**12), "c": st.floats(allow_nan=False, allow_infinity=False, width=32), "d": st.booleans(),
        "e": st.lists(st.text()), "f": st.dictionaries(st.text(), st.integers(-100, 100)), "g": st.sampled_from([1, 2]),
    },
    optional={"h": st.none() | st.integers(0, 9), "i": st.none() | st.text(), "m": st.integers(0, 9) | st.text(), "k": st.just("x") | st.none()},
)  # fmt: skip


@given(VALUES)
def test_arguments_that_fit_pass_unchanged(values: dict[str, Any]) -> None:
    assert parse_tool_arguments(parse_tool_spec(every), json.dumps(values)) == values


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("abcdefghijkmnz"), JSON_VALUES))
def test_any_arguments_fit_or_are_refused(values: dict[str, Any]) -> None:
    spec: ToolSpec = parse_tool_spec(every)
    try:
        fitting = parse_tool_arguments(spec, json.dumps(values))
    except ToolError:
        return
    assert fitting.keys() <= spec.parameters["properties"].keys()
