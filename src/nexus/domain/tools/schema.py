"""Tool specifications from plain typed functions, imported ones and ones that are only source text."""

import ast
import copy
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from nexus.domain.ports.models import ToolSpec
from nexus.domain.tools.arguments import arguments_of as arguments_of  # the other half of a specification
from nexus.domain.tools.model import JSON, ToolError

_PLAIN = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_LISTS = ("list", "List", "Sequence", "Iterable", "tuple")
_DICTS = ("dict", "Dict", "Mapping")
_ANYTHING = ("Any", "object")
_SECTIONS = (
    "args:",
    "arguments:",
    "parameters:",
    "returns:",
    "raises:",
    "yields:",
    "example:",
    "examples:",
    "note:",
    "notes:",
)
_MISSING = object()


class _Parameter(msgspec.Struct, frozen=True):
    name: str
    schema: JSON
    default: object = _MISSING


def spec_of(function: Callable[..., Any], *, given: Sequence[str] = ()) -> ToolSpec:
    """The specification of a function; parameters in `given` are handed in by the house and not shown."""
    hints = typing.get_type_hints(function)
    parameters = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in given:
            continue
        _refuse_kind(parameter.kind.name, parameter.name)
        default = _MISSING if parameter.default is parameter.empty else parameter.default
        parameters.append(_Parameter(parameter.name, _of_hint(hints.get(parameter.name, str), parameter.name), default))
    return _spec(function.__name__, inspect.getdoc(function) or "", parameters)


def spec_of_source(source: str, function_name: str, *, given: Sequence[str] = ()) -> ToolSpec:
    """The same, from source text that is parsed and never run."""
    module = _module(source, function_name)
    found, named = _function(module, function_name), _Named(module)
    wanted = found.args
    if wanted.vararg or wanted.kwarg or wanted.posonlyargs:
        raise ToolError(f"{function_name}: only plain named parameters are possible.")
    missing: list[ast.expr | None] = [None] * (len(wanted.args) - len(wanted.defaults))
    defaults = [*missing, *wanted.defaults, *wanted.kw_defaults]
    parameters = [
        _Parameter(argument.arg, _of_node(named.meant(argument.annotation), argument.arg), _default(node, argument.arg))
        for argument, node in zip([*wanted.args, *wanted.kwonlyargs], defaults, strict=True)
        if argument.arg not in given
    ]
    return _spec(function_name, ast.get_docstring(found) or "", parameters)


class _Named(ast.NodeTransformer):
    """Types that the source names itself: `Kind = Literal["a", "b"]`."""

    def __init__(self, module: ast.Module) -> None:
        self._types = {
            target.id: node.value
            for node in module.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name) and isinstance(node.value, ast.Subscript | ast.BinOp | ast.Name)
        }

    def meant(self, annotation: ast.expr | None) -> ast.expr | None:
        if annotation is None:
            return None
        meant: ast.expr = annotation
        for _ in range(3 if self._types else 0):
            meant = self.visit(copy.deepcopy(meant))
        return meant

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._types.get(node.id, node)


def _module(source: str, name: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ToolError(f"The source of {name} cannot be read: {error}") from None


def _function(module: ast.Module, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
    found = [
        node for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    if not found:
        raise ToolError(f"There is no function {name} at the top of the source.")
    return found[-1]


def _spec(name: str, doc: str, parameters: Sequence[_Parameter]) -> ToolSpec:
    description, told = _documented(doc)
    properties, required = {}, []
    for parameter in parameters:
        schema = dict(parameter.schema)
        if told.get(parameter.name):
            schema["description"] = told[parameter.name]
        if parameter.default is _MISSING:
            required.append(parameter.name)
        else:
            schema["default"] = _plain(parameter.default)
        properties[parameter.name] = schema
    shape: JSON = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return ToolSpec(name=name, description=description, parameters=shape)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _refuse_kind(kind: str, name: str) -> None:
    if kind not in ("POSITIONAL_OR_KEYWORD", "KEYWORD_ONLY"):
        raise ToolError(f"{name}: only plain named parameters are possible.")


def _default(node: ast.expr | None, name: str) -> object:
    if node is None:
        return _MISSING
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise ToolError(f"{name}: the default must be a plain value.") from None


def _of_hint(hint: Any, name: str) -> JSON:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _choice(list(inner), name)
    if origin in (Union, types.UnionType):
        return _union([None if part is type(None) else _of_hint(part, name) for part in inner], name)
    word = getattr(origin or hint, "__name__", str(hint))
    return _of_word(word, [_of_hint(part, name) for part in inner if part is not Ellipsis], name)


def _of_node(node: ast.expr | None, name: str) -> JSON:
    """The schema of an annotation as it stands in the source; without one, text."""
    if node is None:
        return {"type": "string"}
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _of_node(_annotation(node.value, name), name)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union([_part(node.left, name), _part(node.right, name)], name)
    if isinstance(node, ast.Subscript):
        return _of_subscript(node, name)
    return _of_word(_word(node, name), [], name)


def _of_subscript(node: ast.Subscript, name: str) -> JSON:
    word = _word(node.value, name)
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if word == "Literal":
        return _choice([_default(part, name) for part in inner], name)
    if word == "Annotated":
        return _of_node(inner[0], name)
    if word in ("Optional", "Union"):
        return _union([_part(part, name) for part in inner] + ([None] if word == "Optional" else []), name)
    shown = [part for part in inner if not (isinstance(part, ast.Constant) and part.value is Ellipsis)]
    return _of_word(word, [_of_node(part, name) for part in shown], name)


def _part(node: ast.expr, name: str) -> JSON | None:
    return None if isinstance(node, ast.Constant) and node.value is None else _of_node(node, name)


def _annotation(text: str, name: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ToolError(f"{name}: the type {text!r} cannot be read.") from None


def _word(node: ast.expr, name: str) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    raise ToolError(f"{name}: the type {ast.unparse(node)} is not possible for a tool.")


def _of_word(word: str, inner: Sequence[JSON], name: str) -> JSON:
    if word in _PLAIN:
        return {"type": _PLAIN[word]}
    if word in _LISTS:
        return {"type": "array", "items": inner[0] if inner else {}}
    if word in _DICTS:
        return {"type": "object", "additionalProperties": inner[-1] if inner else {}}
    if word in _ANYTHING:
        return {}
    raise ToolError(f"{name}: the type {word} is not possible for a tool.")


def _choice(values: list[Any], name: str) -> JSON:
    kinds = {type(value).__name__ for value in values}
    if not kinds <= _PLAIN.keys():
        raise ToolError(f"{name}: a Literal holds text, numbers or truth values.")
    return ({"type": _PLAIN[kinds.pop()]} if len(kinds) == 1 else {}) | {"enum": values}


def _union(parts: list[JSON | None], name: str) -> JSON:
    shown: list[JSON] = []
    for part in parts:
        shown += [] if part is None else part.get("anyOf", [part])
    if None in parts:
        shown.append({"type": "null"})
    if len(shown) == 1:
        return shown[0]
    if (
        len(shown) == 2
        and shown[1] == {"type": "null"}
        and shown[0].keys() == {"type"}
        and isinstance(shown[0]["type"], str)
    ):
        return {"type": [shown[0]["type"], "null"]}
    return {"anyOf": [_flat(part) for part in shown]}


def _flat(part: JSON) -> JSON:
    return {"type": part["type"][0]} if isinstance(part.get("type"), list) else part


def _documented(doc: str) -> tuple[str, Mapping[str, str]]:
    """What the text before the sections says, and what `Args:` says of each parameter."""
    description: list[str] = []
    told: dict[str, str] = {}
    section, current, margin = "", "", 0
    for line in inspect.cleandoc(doc).splitlines():
        text, indent = line.strip(), len(line) - len(line.lstrip())
        if indent == 0 and text.lower() in _SECTIONS:
            section, current, margin = text.lower(), "", 0
        elif not section:
            description.append(text)
        elif section in _SECTIONS[:3] and text:
            margin = margin or indent
            name, colon, rest = text.partition(":")
            if indent <= margin and colon:
                current = name.split("(")[0].strip().lstrip("*")
                told[current] = rest.strip()
            elif current:
                told[current] = f"{told[current]} {text}".strip()
    return " ".join(part for part in description if part), told
