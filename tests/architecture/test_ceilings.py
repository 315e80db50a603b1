"""How long, how wide and how deep code may be."""

import ast
from collections.abc import Callable, Iterator

import pytest

from tests.architecture.sources import Function, Offence, Source, functions, listed, sources

FILE = 400
FUNCTION, TEST_FUNCTION = 40, 60
PARAMETERS = 5
CONSTRUCTOR = 8
NESTING = 3

EXCEPTIONS = {
    "src/nexus/domain/models/service.py:Models.stream": "tries of a stream that must be closed in order",
    "src/nexus/domain/models/service.py:Models._stream_whole": "tries of a stream that must be closed in order",
    "src/nexus/adapters/http/app.py:make_http_app": "puts the app together: a constructor in all but name",
    "src/nexus/domain/tools/library/dates.py:add_to_date": "the parameters of a tool are what a model may say",
    "src/nexus/domain/tools/library/tabular.py:query_csv": "the parameters of a tool are what a model may say",
}
"""Places above a ceiling, and why."""

NESTS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)


def long_files(source: Source) -> Iterator[Offence]:
    if (lines := source.text.count("\n")) > FILE:
        yield Offence(source.path, f"{lines} lines of {FILE}")


def long_functions(source: Source) -> Iterator[Offence]:
    ceiling = TEST_FUNCTION if source.within("tests/") else FUNCTION
    for name, function in functions(source.tree):
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > ceiling:
            yield Offence(f"{source.path}:{name}", f"{lines} lines of {ceiling}")


def wide_functions(source: Source) -> Iterator[Offence]:
    """Constructors, routes and commands are exempt: their parameters are the fields of something."""
    if source.within("tests/"):
        return
    for name, function in functions(source.tree):
        found = function.args
        named = [one.arg for one in (*found.posonlyargs, *found.args, *found.kwonlyargs)]
        wide = len([one for one in named if one not in ("self", "cls")])
        if wide > PARAMETERS and not _is_exempt(source, function):
            yield Offence(f"{source.path}:{name}", f"{wide} parameters of {PARAMETERS}")


def wide_constructors(source: Source) -> Iterator[Offence]:
    """Who needs more services than this does more than one thing."""
    for name, function in functions(source.tree):
        if name.endswith(".__init__") and source.within("src/"):
            held = function.args
            wide = len([*held.posonlyargs, *held.args, *held.kwonlyargs]) - 1
            if wide > CONSTRUCTOR:
                yield Offence(f"{source.path}:{name}", f"{wide} parameters of {CONSTRUCTOR}")


def tuple_parameters(source: Source) -> Iterator[Offence]:
    """A tuple of so many different things is so many parameters that nobody counts: a Struct names them."""
    if source.within("tests/"):
        return
    for name, function in functions(source.tree):
        found = function.args
        for one in (*found.posonlyargs, *found.args, *found.kwonlyargs, found.vararg, found.kwarg):
            if one and one.annotation and any(map(_is_record, _alternatives(one.annotation))):
                yield Offence(f"{source.path}:{name}", f"{one.arg} stands for several values")


def deep_functions(source: Source) -> Iterator[Offence]:
    if source.within("tests/"):
        return
    for name, function in functions(source.tree):
        if (depth := _depth(function)) > NESTING:
            yield Offence(f"{source.path}:{name}", f"nested {depth} of {NESTING}")


def _alternatives(annotation: ast.expr) -> Iterator[ast.expr]:
    """What a parameter may be: each side of `A | B`, `Optional[A]` and `Annotated[A, …]` opened, and a text read."""
    match annotation:
        case ast.Constant(value=str(text)):
            yield from _alternatives(ast.parse(text, mode="eval").body)
        case ast.BinOp(left=left, right=right):
            yield from (*_alternatives(left), *_alternatives(right))
        case ast.Subscript(value=ast.Name(id="Optional" | "Union" | "Annotated"), slice=inside):
            for one in inside.elts if isinstance(inside, ast.Tuple) else [inside]:
                if not isinstance(one, ast.Constant):
                    yield from _alternatives(one)
        case _:
            yield annotation


def _is_record(annotation: ast.expr) -> bool:
    """Whether it is a tuple of a given length: `tuple[A, B]`, and not `tuple[A, ...]`."""
    match annotation:
        case ast.Subscript(value=ast.Name(id="tuple" | "Tuple"), slice=ast.Tuple(elts=parts)):
            return len(parts) > 1 and ast.unparse(parts[-1]) != "..."
    return False


def _is_exempt(source: Source, function: Function) -> bool:
    edge = source.within("src/nexus/adapters/http/", "src/nexus/cli/") and bool(function.decorator_list)
    return edge or function.name == "__init__"


def _depth(node: ast.AST) -> int:
    """`elif` is no deeper than its `if`; a function inside is counted by itself."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        deepest = max(deepest, _depth(child) + (isinstance(child, NESTS) and not is_elif))
    return deepest


RULES = [long_files, long_functions, wide_functions, wide_constructors, tuple_parameters, deep_functions]


def _found(rule: Callable[[Source], Iterator[Offence]]) -> list[Offence]:
    return [offence for folder in ("src", "tests") for source in sources(folder) for offence in rule(source)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_code_stays_under_the_ceiling(rule: Callable[[Source], Iterator[Offence]]) -> None:
    found = listed(offence for offence in _found(rule) if offence.place not in EXCEPTIONS)
    assert not found, f"\n{found}"


def test_every_exception_is_still_needed() -> None:
    needed = {offence.place for rule in RULES for offence in _found(rule)}
    assert set(EXCEPTIONS) - needed == set()


TOO_WIDE = "def f(a, b, c, *, d, e, g): ..."
TOO_DEEP = "def f():\n if 1:\n  for a in b:\n   with c:\n    try: ...\n    finally: ..."
ELIFS = "def f():\n if 1: ...\n elif 2: ...\n elif 3: ...\n elif 4: ..."


@pytest.mark.parametrize(
    ("rule", "path", "text", "offends"),
    [
        (long_files, "src/nexus/a.py", "\n" * 400, False),
        (long_files, "src/nexus/a.py", "\n" * 401, True),
        (long_functions, "src/nexus/a.py", "@b\ndef f():" + "\n a" * 39, False),
        (long_functions, "src/nexus/a.py", "class A:\n def f(self):" + "\n  a" * 40, True),
        (long_functions, "tests/a.py", "async def f():" + "\n a" * 60, True),
        (wide_functions, "src/nexus/a.py", TOO_WIDE, True),
        (wide_functions, "src/nexus/a.py", "def f(self, a, b, c, *, d, e): ...", False),
        (wide_functions, "src/nexus/a.py", "class A:\n def __init__(self, a, b, c, d, e, f): ...", False),
        (wide_functions, "src/nexus/adapters/http/a.py", TOO_WIDE, True),
        (wide_functions, "src/nexus/adapters/http/a.py", f"@get()\n{TOO_WIDE}", False),
        (wide_constructors, "src/nexus/a.py", f"class A:\n def __init__(self, {', '.join('abcdefgh')}): ...", False),
        (wide_constructors, "src/nexus/a.py", f"class A:\n def __init__(self, *, {', '.join('abcdefghi')}): ...", True),
        (tuple_parameters, "src/nexus/a.py", "def f(a: tuple[A, B]): ...", True),
        (
            tuple_parameters,
            "src/nexus/a.py",
            "class A:\n async def f(self, *, a: 'tuple[A, B] | None' = None): ...",
            True,
        ),
        (tuple_parameters, "src/nexus/a.py", "def f(*a: Optional[Tuple[A, A]]): ...", True),
        (
            tuple_parameters,
            "src/nexus/a.py",
            "def f(a: tuple[A, ...], b: list[tuple[A, B]]) -> tuple[A, B]: ...",
            False,
        ),
        (deep_functions, "src/nexus/a.py", TOO_DEEP, True),
        (deep_functions, "src/nexus/a.py", ELIFS, False),
    ],
)
def test_a_rule_finds_what_it_is_for(
    rule: Callable[[Source], Iterator[Offence]], path: str, text: str, offends: bool
) -> None:
    assert bool(list(rule(Source(path, text)))) is offends
