"""The tool for a formula that the requirement itself spells out: `cost = price times quantity plus 10`."""

import ast
import operator
import re
from collections.abc import Callable, Mapping

from nexus.adapters.offline.cards import Example
from nexus.adapters.offline.reading.tokens import plain
from nexus.domain.builds.outputs import Parameter, PlannedTool, WrittenTool

_LONGEST = 160
_SPOKEN = (
    (r"\bmultiplied by\b|\btimes\b|乘以|乘上|乘", " * "), (r"\bdivided by\b|\bover\b|除以|÷", " / "),
    (r"\bplus\b|加上|加", " + "), (r"\bminus\b|\bless\b|减去|减", " - "), (r"\bsquared\b|的平方", " ** 2"), (r"(?<=\s)x(?=\s)", " * "), (r"\^", " ** "),
)  # fmt: skip
_EQUALS = re.compile(r"=|\bequals\b|\bis\b", re.IGNORECASE)
_ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}  # fmt: skip


def formula_in(text: str) -> tuple[str, str] | None:
    """The name and the expression of a formula that a text spells out; None without one that is safe to compute."""
    for part in re.split(r"[,;，；。\n]|\. ", plain(text[:2000])):
        named, sign, spoken = part.partition(found[0]) if (found := _EQUALS.search(part)) else ("", "", part)
        words = re.findall(r"[A-Za-z_]+", named)
        if expression := _expression(spoken[:_LONGEST], anywhere=not sign):
            return (f"compute_{words[-1].lower()}"[:40] if words else "formula_result"), expression
    return None


def plan_formula(text: str) -> PlannedTool | None:
    """The plan of the tool; its purpose carries the expression to the stage that writes it."""
    found = formula_in(text)
    if not found:
        return None
    name, expression = found
    about = {one: f"The value of {one.replace('_', ' ')}." for one in _names(expression)}
    parameters = [Parameter(name=one, type="float", description=text) for one, text in about.items()]
    return PlannedTool(name=name, purpose=f"Computes {name} = {expression}", parameters=parameters)


def write_formula(tool: PlannedTool) -> WrittenTool | None:
    """The tool as files; None when its purpose holds no formula."""
    expression = _expression(tool.purpose.partition("=")[2])
    if not expression:
        return None
    names = _names(expression)
    told = "\n".join(f"        {name}: The value of {name.replace('_', ' ')}." for name in names)
    signature = ", ".join(f"{name}: float" for name in names)
    head = f'def {tool.name}({signature}) -> float:\n    """{tool.purpose}.\n\n    Args:\n{told}\n    """\n'
    code = f"{head}    return round({expression}, 6)\n"
    return WrittenTool(name=tool.name, code=code, test_code=_tests(tool.name, expression))


def formula_example(tool: PlannedTool) -> Example | None:
    """A message that gives every name a value, and the result that must stand in the answer."""
    expression = _expression(tool.purpose.partition("=")[2])
    if not expression:
        return None
    values = _values(expression, 2)
    given = ", ".join(f"{name.replace('_', ' ')} = {value:g}" for name, value in values.items())
    return Example(f"{tool.name.replace('_', ' ')}: {given}", (f"{_result(expression, values):g}",))


def _computed(node: ast.expr, values: Mapping[str, float]) -> float:
    if isinstance(node, ast.BinOp):
        return float(_ARITHMETIC[type(node.op)](_computed(node.left, values), _computed(node.right, values)))
    if isinstance(node, ast.UnaryOp):
        return -_computed(node.operand, values)
    return values[node.id] if isinstance(node, ast.Name) else float(str(getattr(node, "value", 0)))


def _tests(name: str, expression: str) -> str:
    """Results worked out here, by another way than the code's own."""
    lines = [f"from tools.{name} import {name}"]
    for start in (2, 5):
        values = _values(expression, start)
        call = f"{name}({', '.join(f'{one}={value}' for one, value in values.items())})"
        lines.append(f"\n\ndef test_{name}_follows_the_formula_from_{start}() -> None:")
        lines.append(f"    assert abs({call} - {_result(expression, values)!r}) < 1e-6")
    return "\n".join(lines) + "\n"


def _values(expression: str, start: int) -> dict[str, float]:
    return {name: float(at) for at, name in enumerate(_names(expression), start)}


def _result(expression: str, values: Mapping[str, float]) -> float:
    return round(_computed(ast.parse(expression, mode="eval").body, values), 6)


def _expression(text: str, *, anywhere: bool = False) -> str | None:
    """The whole text as arithmetic over names and numbers; with `anywhere`, its first words may stand outside it."""
    for spoken, sign in _SPOKEN:
        text = re.sub(spoken, sign, text, flags=re.IGNORECASE)
    text = re.sub(r"(\d+(?:\.\d+)?)\s*%( of\b)?", lambda part: f"({part[1]} / 100)" + " * " * bool(part[2]), text)
    tokens = _joined_names(re.findall(r"\*\*|[-+*/()]|\d+(?:\.\d+)?|[A-Za-z_]\w*|\S", text.strip().rstrip(".")))
    if anywhere and tokens and "_" in tokens[0]:
        tokens[0] = tokens[0].rpartition("_")[2]
    shown = " ".join(tokens)
    return ast.unparse(ast.parse(shown, mode="eval")) if _is_safe(shown) and _is_computable(shown) else None


def _joined_names(tokens: list[str]) -> list[str]:
    """`unit price` is one name: `unit_price`."""
    parts: list[str] = []
    for token in tokens:
        word = re.fullmatch(r"[A-Za-z_]\w*", token)
        if word and token.lower() in ("the", "a", "an"):
            continue
        if word and parts and re.fullmatch(r"[a-z_]\w*", parts[-1]):
            parts[-1] += "_" + token.lower()
        else:
            parts.append(token.lower() if word else token)
    return parts


def _is_safe(text: str) -> bool:
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    allowed = (ast.BinOp, ast.UnaryOp, ast.Name, ast.Constant, ast.Load, *_ARITHMETIC, ast.USub)
    named, powers = _names(text), [node for node in ast.walk(tree) if isinstance(node, ast.Pow)]
    is_plain = isinstance(tree, ast.BinOp) and all(isinstance(node, allowed) for node in ast.walk(tree))
    return is_plain and 1 <= len(named) <= 8 and len(powers) <= 1 and all(len(name) <= 40 for name in named)


def _is_computable(expression: str) -> bool:
    """Whether it has a result for the values that its tests use."""
    try:
        return all(abs(_result(expression, _values(expression, start))) < 1e300 for start in (2, 5))
    except (ArithmeticError, KeyError, TypeError):
        return False


def _names(expression: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"[a-z_]\w*", expression)))
