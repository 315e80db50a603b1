"""The signature of a tool out of source text that is parsed and never run: name, description and JSON schema of its parameters.

Knows the standard library only, as the process that reads foreign source knows nothing else. What it costs is bounded by `LONGEST_SOURCE`,
`MOST_TYPES` and `DEEPEST_TYPE`, whatever the source says."""

import ast
import inspect
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

JSON = dict[str, Any]

LONGEST_SOURCE = 200_000
"""Characters."""
MOST_TYPES = 2_000
"""The types, names and constants that the annotations of a function may come to, aliases resolved; a long text counts as several."""
DEEPEST_TYPE = 24
_MISSING = object()
"""The default of a parameter that has none."""

_TOO_DEEP = (RecursionError, MemoryError)
_PLAIN = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
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


class NotPossible(ValueError):
    """Why this is no tool, as a sentence for who wrote it."""


class _Parameter(NamedTuple):
    name: str
    schema: JSON
    default: object = _MISSING


def parse_tool_signature(source: str, function: str, *, given: Sequence[str] = ()) -> JSON:
    """`{"name", "description", "parameters"}` of the last function of this name at the top of the source, without the parameters in `given`.
    NotPossible says what is wrong; the source may still take the parser more time or memory than there is: read foreign source in a process that can be ended."""
    if len(source) > LONGEST_SOURCE:
        raise NotPossible(f"The source of {function} is longer than {LONGEST_SOURCE} characters.")
    try:
        found = parse_function_signature(parse_python_source(source, function), function, given)
    except _TOO_DEEP as error:
        raise NotPossible(f"The source of {function} is nested too deep.") from error
    try:
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise NotPossible(f"{function}: its defaults and its docstring must be what JSON can hold: {error}") from error
    return found


def parse_python_source(source: str, name: str) -> ast.Module:
    """NotPossible for whatever no parser can read: syntax, null bytes, half characters, nesting beyond the parser's stack."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except _TOO_DEEP as error:
        raise NotPossible(f"The source of {name} cannot be read: it is nested too deep.") from error
    except (SyntaxError, ValueError) as error:
        raise NotPossible(f"The source of {name} cannot be read: {error}") from error


def parse_function_signature(module: ast.Module, name: str, given: Sequence[str]) -> JSON:
    """As `parse_tool_signature`, of source that is parsed."""
    found, types = _get_function_node(module, name), _Types(_find_type_aliases(module))
    wanted = found.args
    if wanted.vararg or wanted.kwarg or wanted.posonlyargs:
        raise NotPossible(f"{name}: only plain named parameters are possible.")
    missing: list[ast.expr | None] = [None] * (len(wanted.args) - len(wanted.defaults))
    defaults = [*missing, *wanted.defaults, *wanted.kw_defaults]
    parameters = [
        _Parameter(
            argument.arg,
            types.make_type_schema(argument.annotation, argument.arg),
            _parse_default_value(node, argument.arg),
        )
        for argument, node in zip([*wanted.args, *wanted.kwonlyargs], defaults, strict=True)
        if argument.arg not in given
    ]
    return _make_tool_schema(name, ast.get_docstring(found) or "", parameters)


def _find_type_aliases(module: ast.Module) -> Mapping[str, ast.expr]:
    """Types that the source names itself: `Kind = Literal["a", "b"]`."""
    return {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Subscript | ast.BinOp | ast.Name)
    }


def _get_function_node(module: ast.Module, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
    for node in reversed(module.body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return node
    raise NotPossible(f"There is no function {name} at the top of the source.")


def _make_tool_schema(name: str, doc: str, parameters: Sequence[_Parameter]) -> JSON:
    """The specification as JSON, with what the docstring says of each parameter."""
    description, about = _parse_docstring(doc)
    properties = dict[str, JSON]()
    for parameter in parameters:
        said = {"description": about[parameter.name]} if about.get(parameter.name) else {}
        preset = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
        properties[parameter.name] = parameter.schema | said | ({} if preset is _MISSING else {"default": preset})
    required = [parameter.name for parameter in parameters if parameter.default is _MISSING]
    shape: JSON = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {"name": name, "description": description, "parameters": shape}


def _parse_default_value(node: ast.expr | None, name: str) -> object:
    if node is None:
        return _MISSING
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise NotPossible(f"{name}: the default must be a plain value.") from None


class _Types:
    """Reads annotations into JSON schemas. An alias is resolved where it stands, and everything that is read is counted: names that double
    with every line come to an end like everything else."""

    def __init__(self, aliases: Mapping[str, ast.expr]) -> None:
        self._aliases, self._left = aliases, MOST_TYPES

    def make_type_schema(self, node: ast.expr | None, name: str, depth: int = 0) -> JSON:
        """The schema of an annotation as it stands in the source; without one, text."""
        if node is None:
            return {"type": "string"}
        self._check_type_budget(name, 1, depth)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            self._check_type_budget(name, len(node.value) // 50, depth)
            return self.make_type_schema(_parse_type_annotation(node.value, name), name, depth + 1)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return _make_union_schema(
                [self._make_member_schema(part, name, depth + 1) for part in _list_union_members(node)]
            )
        if isinstance(node, ast.Subscript):
            return self._make_subscript_schema(node, name, depth)
        if isinstance(node, ast.Name) and node.id in self._aliases:
            return self.make_type_schema(self._aliases[node.id], name, depth + 1)
        return _make_named_type_schema(_get_type_name(node, name), [], name)

    def _check_type_budget(self, name: str, cost: int, depth: int) -> None:
        self._left -= cost
        if self._left < 0 or depth > DEEPEST_TYPE:
            raise NotPossible(f"{name}: its type is too large, or nested too deep.")

    def _make_subscript_schema(self, node: ast.Subscript, name: str, depth: int) -> JSON:
        word = _get_type_name(node.value, name)
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if word == "Literal":
            return _make_literal_schema([self._parse_literal_value(part, name, depth) for part in inner], name)
        if word == "Annotated":
            return self.make_type_schema(inner[0], name, depth + 1)
        if word in ("Optional", "Union"):
            last: list[JSON | None] = [None] if word == "Optional" else []
            return _make_union_schema([self._make_member_schema(part, name, depth + 1) for part in inner] + last)
        shown = [part for part in inner if not (isinstance(part, ast.Constant) and part.value is Ellipsis)]
        return _make_named_type_schema(word, [self.make_type_schema(part, name, depth + 1) for part in shown], name)

    def _parse_literal_value(self, node: ast.expr, name: str, depth: int) -> object:
        value = _parse_default_value(node, name)
        self._check_type_budget(name, 1 + (len(value) // 50 if isinstance(value, str) else 0), depth)
        return value

    def _make_member_schema(self, node: ast.expr, name: str, depth: int) -> JSON | None:
        return (
            None if isinstance(node, ast.Constant) and node.value is None else self.make_type_schema(node, name, depth)
        )


def _list_union_members(node: ast.expr) -> list[ast.expr]:
    """`a | b | c` from left to right; the parser nests it, however long it is."""
    found = list[ast.expr]()
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        found.append(node.right)
        node = node.left
    return [node, *reversed(found)]


def _parse_type_annotation(text: str, name: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise NotPossible(f"{name}: the type {text[:80]!r} cannot be read.") from None


def _get_type_name(node: ast.expr, name: str) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    raise NotPossible(f"{name}: the type {ast.unparse(node)[:80]} is not possible for a tool.")


def _make_named_type_schema(word: str, inner: Sequence[JSON], name: str) -> JSON:
    """The schema of `list[…]` and its like, by the name of the type and the schemas of what it holds."""
    if word in _PLAIN:
        return {"type": _PLAIN[word]}
    if word in ("list", "List", "Sequence", "Iterable", "tuple"):
        return {"type": "array", "items": inner[0] if inner else {}}
    if word in ("dict", "Dict", "Mapping"):
        return {"type": "object", "additionalProperties": inner[-1] if inner else {}}
    if word in ("Any", "object"):
        return {}
    raise NotPossible(f"{name}: the type {word[:80]} is not possible for a tool.")


def _make_literal_schema(values: list[Any], name: str) -> JSON:
    kinds = {type(value).__name__ for value in values}
    if not kinds <= _PLAIN.keys():
        raise NotPossible(f"{name}: a Literal holds text, numbers or truth values.")
    return ({"type": _PLAIN[kinds.pop()]} if len(kinds) == 1 else {}) | {"enum": values}


def _make_union_schema(parts: Sequence[JSON | None]) -> JSON:
    shown: list[JSON] = []
    for part in parts:
        shown += [] if part is None else part.get("anyOf", [part])
    if None in parts:
        shown.append({"type": "null"})
    match shown:
        case [only]:
            return only
        case [{"type": str(plain), **others}, {"type": "null"}] if not others:
            return {"type": [plain, "null"]}
    return {"anyOf": [{"type": part["type"][0]} if isinstance(part.get("type"), list) else part for part in shown]}


def _parse_docstring(doc: str) -> tuple[str, Mapping[str, str]]:
    """What the text before the sections says, and what `Args:` says of each parameter."""
    description, about = list[str](), dict[str, list[str]]()
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
                about[current] = [rest.strip()]
            elif current:
                about[current].append(text)
    return " ".join(filter(None, description)), {name: " ".join(filter(None, lines)) for name, lines in about.items()}
