"""Tool specifications from plain typed functions."""

import inspect
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any, Literal, Union, get_args, get_origin

from nexus.domain.core.values import JSON
from nexus.domain.ports.models import ToolSpec
from nexus.domain.tools import signatures
from nexus.domain.tools.arguments import arguments_of as arguments_of  # the other half of a specification
from nexus.domain.tools.model import ToolError
from nexus.domain.tools.signatures import MISSING, NotPossible, Parameter


def spec_of(function: Callable[..., Any], *, given: Sequence[str] = ()) -> ToolSpec:
    """The specification of a function; parameters in `given` are handed in and not shown."""
    hints = typing.get_type_hints(function)
    try:
        parameters = [
            _parameter(parameter, hints.get(parameter.name, str))
            for parameter in inspect.signature(function).parameters.values()
            if parameter.name not in given
        ]
    except NotPossible as error:
        raise ToolError(str(error)) from None
    return ToolSpec(**signatures.signature(function.__name__, inspect.getdoc(function) or "", parameters))


def without(spec: ToolSpec, given: Sequence[str]) -> ToolSpec:
    """The specification without the parameters that are handed in."""
    shape = spec.parameters
    shown = {name: schema for name, schema in shape["properties"].items() if name not in given}
    required = [name for name in shape["required"] if name not in given]
    return ToolSpec(spec.name, spec.description, {**shape, "properties": shown, "required": required})


def _parameter(parameter: inspect.Parameter, hint: Any) -> Parameter:
    if parameter.kind.name not in ("POSITIONAL_OR_KEYWORD", "KEYWORD_ONLY"):
        raise NotPossible(f"{parameter.name}: only plain named parameters are possible.")
    default = MISSING if parameter.default is parameter.empty else parameter.default
    return Parameter(parameter.name, _of_hint(hint, parameter.name), default)


def _of_hint(hint: Any, name: str) -> JSON:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return signatures.choice(list(inner), name)
    if origin in (Union, types.UnionType):
        return signatures.union([None if part is type(None) else _of_hint(part, name) for part in inner])
    word = getattr(origin or hint, "__name__", str(hint))
    return signatures.of_word(word, [_of_hint(part, name) for part in inner if part is not Ellipsis], name)
