"""The tool for a formula that the requirement itself spells out: `price times quantity plus 10`."""

import ast
import operator
import re
from collections.abc import Callable, Mapping

from nexus.adapters.offline.language.numbers import plain
from nexus.adapters.offline.skills.skill import Example
from nexus.domain.builds.outputs import Parameter, PlannedTool, WrittenTool

_SPOKEN = (
    (r"\bmultiplied by\b|\btimes\b|乘以|乘上|乘", " * "), (r"\bdivided by\b|\bover\b|除以", " / "), (r"\bplus\b|加上|加", " + "),
    (r"\bminus\b|\bless\b|减去|减", " - "), (r"\bsquared\b|的平方", " ** 2"), (r"(?<=\s)x(?=\s)|×", " * "), (r"÷", " / "), (r"\^", " ** "),
)  # fmt: skip
_GIVEN = re.compile(
    r"(?:\b([A-Za-z][A-Za-z_]{1,30})|([一-鿿]{2,8}?))\s*(?:=|＝|\bequals\b|\bis (?=[\w ]+(?:\btimes\b|\bplus\b|\bminus\b|\bdivided\b|\bmultiplied\b)))\s*([^,.;，。；\n=]{3,160})",
    re.IGNORECASE,
)
_FREE = re.compile(
    r"((?:\b[A-Za-z]\w*|\d[\d.]*)(?:\s+(?:times|multiplied by|plus|minus|divided by|x|\*|/|\+|-)\s+(?:[A-Za-z]\w*|\d[\d.]*))+)",
    re.IGNORECASE,
)
_ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: operator.pow,
}  # fmt: skip
_OPERATORS = (*_ARITHMETIC, ast.USub)


def formula_in(text: str) -> tuple[str, str] | None:
    """The name and the expression of a formula that a text spells out; None without one that is safe to compute."""
    shown = plain(text)
    found = _GIVEN.search(shown)
    if found and (expression := _expression(found[3])):
        return _name(found[1] or ""), expression
    free = _FREE.search(shown)
    if free and (expression := _expression(free[1][:160])):
        return "formula_result", expression
    return None


def planned_formula(text: str) -> PlannedTool | None:
    """The plan of the tool; its purpose carries the expression to the stage that writes it."""
    found = formula_in(text)
    if not found:
        return None
    name, expression = found
    parameters = [
        Parameter(name=one, type="float", description=f"The value of {one.replace('_', ' ')}.")
        for one in _names(expression)
    ]
    return PlannedTool(name=name, purpose=f"Computes {name} = {expression}", parameters=parameters)


def written_formula(tool: PlannedTool) -> WrittenTool | None:
    """The tool as files; None when its purpose holds no formula."""
    found = re.search(r"=\s*(.+)$", tool.purpose)
    expression = _expression(found[1]) if found else None
    if not expression:
        return None
    names = _names(expression)
    told = "\n".join(f"        {name}: The value of {name.replace('_', ' ')}." for name in names)
    signature = ", ".join(f"{name}: float" for name in names)
    code = (
        f'def {tool.name}({signature}) -> float:\n    """{tool.purpose}.\n\n    Args:\n{told}\n\n    Returns:\n        The result, rounded to six decimals.\n    """\n'
        f"    return round({expression}, 6)\n"
    )
    return WrittenTool(name=tool.name, code=code, test_code=_tests(tool.name, expression, names))


def formula_example(tool: PlannedTool) -> Example | None:
    """A message that gives every name a value, and the result that must stand in the answer."""
    found = re.search(r"=\s*(.+)$", tool.purpose)
    expression = _expression(found[1]) if found else None
    if not expression:
        return None
    values = {name: float(at) for at, name in enumerate(_names(expression), 2)}
    given = ", ".join(f"{name.replace('_', ' ')} = {value:g}" for name, value in values.items())
    result = _result(expression, values)
    return Example(f"{tool.name.replace('_', ' ')}: {given}", (f"{result:g}",))


def _computed(node: ast.expr, values: Mapping[str, float]) -> float:
    if isinstance(node, ast.BinOp):
        return float(_ARITHMETIC[type(node.op)](_computed(node.left, values), _computed(node.right, values)))
    if isinstance(node, ast.UnaryOp):
        return -_computed(node.operand, values)
    return values[node.id] if isinstance(node, ast.Name) else float(str(getattr(node, "value", 0)))


def _tests(name: str, expression: str, names: list[str]) -> str:
    """Results worked out here, by another way than the code's own."""
    lines = [f"from tools.{name} import {name}"]
    for start in (2, 5):
        values = {one: float(start + at) for at, one in enumerate(names)}
        given = ", ".join(f"{one}={value}" for one, value in values.items())
        lines.append(
            f"\n\ndef test_{name}_follows_the_formula_from_{start}() -> None:\n    assert abs({name}({given}) - {_result(expression, values)!r}) < 1e-6"
        )
    return "\n".join(lines) + "\n"


def _result(expression: str, values: Mapping[str, float]) -> float:
    return round(_computed(ast.parse(expression, mode="eval").body, values), 6)


def _is_computable(expression: str) -> bool:
    """Whether it has a result for the values that its tests use."""
    try:
        return all(
            _result(expression, {one: float(start + at) for at, one in enumerate(_names(expression))}) < 1e300
            for start in (2, 5)
        )
    except (ArithmeticError, KeyError, TypeError):
        return False


def _expression(text: str) -> str | None:
    """The longest beginning of the text that is arithmetic over names and numbers, with at least one of each operator and name."""
    for pattern, sign in _SPOKEN:
        text = re.sub(pattern, sign, text, flags=re.IGNORECASE)
    text = re.sub(r"(\d+(?:\.\d+)?)\s*%", r"(\1 / 100)", text)
    tokens = re.findall(r"\*\*|[-+*/()]|\d+(?:\.\d+)?|[A-Za-z_]\w*|\S", text)
    text = " ".join(_joined_names(tokens))
    while text:
        if _safe(text) and _is_computable(text):
            return ast.unparse(ast.parse(text, mode="eval"))
        text = text.rpartition(" ")[0]
    return None


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


def _safe(text: str) -> bool:
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    allowed = (ast.BinOp, ast.UnaryOp, ast.Name, ast.Constant, ast.Load, *_OPERATORS)
    named = _names(text)
    powers = [node for node in ast.walk(tree) if isinstance(node, ast.Pow)]
    return (
        isinstance(tree, ast.BinOp) and all(isinstance(node, allowed) for node in ast.walk(tree)) and 1 <= len(named) <= 8 and len(powers) <= 1
        and all(len(name) <= 40 for name in named)
    )  # fmt: skip


def _names(expression: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"[a-z_]\w*", expression)))


def _name(text: str) -> str:
    slug = re.sub(r"\W+", "_", text.lower()).strip("_")
    return f"compute_{slug}"[:40] if re.fullmatch(r"[a-z]\w+", slug) else "formula_result"
