"""As much of pytest as generated tests need, under its own names, so that they run here and under the real one alike."""

import ast
import math
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

_LONGEST_SHOWN = 200
_SHOWN = "__nexus_shown__"


class Raised:
    """The context of `with raises(...)`: `value` is the error that came."""

    def __init__(self, expected: type[BaseException] | tuple[type[BaseException], ...], match: str | None) -> None:
        self._expected = expected
        self._match = match
        self.value: Any = None
        self.type: type[BaseException] | None = None

    def __enter__(self) -> "Raised":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if kind is None:
            raise AssertionError(f"DID NOT RAISE {_format_exception_names(self._expected)}")
        if not issubclass(kind, self._expected):
            return False
        self.value, self.type = error, kind
        self.match(self._match or "")
        return True

    def match(self, pattern: str) -> bool:
        if not re.search(pattern, str(self.value)):
            message = _shorten_repr(str(self.value))
            raise AssertionError(f"the error says {message}, which {_shorten_repr(pattern)} does not match")
        return True


def raises(
    expected: type[BaseException] | tuple[type[BaseException], ...],
    *call: Any,
    match: str | None = None,
    **keywords: Any,
) -> Raised:
    context = Raised(expected, match)
    if call:
        with context:
            call[0](*call[1:], **keywords)
    return context


class Approx:
    """Equal within a relative 1e-6 or an absolute 1e-12, element by element, unless told otherwise."""

    __hash__ = None  # type: ignore[assignment]  # near is not the same: nothing to hash

    def __init__(self, expected: Any, rel: float | None, absolute: float | None) -> None:
        self._expected = expected
        self._rel = rel
        self._abs = absolute

    def __eq__(self, actual: object) -> bool:
        return self._is_approx_equal(actual, self._expected)

    def __repr__(self) -> str:
        return f"approx({self._expected!r})"

    def _is_approx_equal(self, actual: Any, expected: Any) -> bool:
        if isinstance(expected, Mapping):
            return (
                isinstance(actual, Mapping)
                and actual.keys() == expected.keys()
                and all(self._is_approx_equal(actual[key], expected[key]) for key in expected)
            )
        if isinstance(expected, Sequence) and not isinstance(expected, str):
            return len(actual) == len(expected) and all(map(self._is_approx_equal, actual, expected))
        if actual == expected or isinstance(expected, (str, bool, type(None))):
            return bool(actual == expected)
        if (
            isinstance(actual, (str, bytes))
            or isinstance(expected, complex)
            or math.isinf(expected)
            or math.isnan(expected)
        ):
            return False
        return self._is_number_close(actual, expected)

    def _is_number_close(self, actual: Any, expected: Any) -> bool:
        relative = 0.0 if self._rel is None and self._abs is not None else (self._rel or 1e-6) * abs(float(expected))
        absolute = 1e-12 if self._abs is None else self._abs
        return abs(float(actual) - float(expected)) <= max(relative, absolute)


def approx(expected: Any, rel: float | None = None, abs: float | None = None) -> Approx:  # noqa: A002 - pytest's word
    return Approx(expected, rel, abs)


class Marks:
    """`parametrize` multiplies a test; `asyncio` changes nothing, as async tests are awaited anyway."""

    @staticmethod
    def parametrize(names: str | Sequence[str], values: Iterable[Any], ids: Any = None) -> Callable[[Any], Any]:
        listed = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
        cases = [_make_test_case(listed, value) for value in values]

        def mark(test: Any) -> Any:
            test.parameters = [*getattr(test, "parameters", []), cases]
            return test

        return mark

    @staticmethod
    def asyncio(test: Any) -> Any:
        return test

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"pytest.mark.{name} is not available here: use plain test functions and mark.parametrize")


def _make_test_case(names: list[str], value: Any) -> tuple[str, dict[str, Any]]:
    values = [value] if len(names) == 1 else list(value)
    if len(values) != len(names):
        raise ValueError(f"parametrize names {len(names)} arguments ({', '.join(names)}) and gives {len(values)}")
    return "-".join(_shorten_repr(item, 40) if not isinstance(item, str) else item for item in values), dict(
        zip(names, values, strict=True)
    )


def list_test_cases(test: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every way a test is called: the ending of its name and its arguments."""
    rows: list[tuple[str, dict[str, Any]]] = [("", {})]
    for parameters in getattr(test, "parameters", []):
        rows = [
            (f"{label}-{ending}" if ending else label, {**arguments, **more})
            for label, more in parameters
            for ending, arguments in rows
        ]
    return ((f"[{label}]" if arguments else "", arguments) for label, arguments in rows)


def install_pytest_stub() -> None:
    """From here on `import pytest` gives this."""
    module = types.ModuleType(
        "pytest", "raises, approx and mark.parametrize: the part of pytest that is available here."
    )
    for name, value in {"raises": raises, "approx": approx, "mark": Marks(), "fail": _raise_assertion_error}.items():
        setattr(module, name, value)

    def refuse_name(name: str) -> Any:
        raise AttributeError(f"pytest.{name} is not available here: use raises, approx and mark.parametrize")

    module.__getattr__ = refuse_name  # type: ignore[method-assign]  # PEP 562 asks for it on the module itself
    sys.modules["pytest"] = module


def _raise_assertion_error(reason: str = "") -> None:
    raise AssertionError(reason)


def compile_tests(source: str, path: str) -> types.CodeType:
    """A test file whose plain assertions say, when they fail, what they compared. SyntaxError also for what overflows the parser."""
    try:
        tree = _Speaking(source).visit(ast.parse(source, path))
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)
    except (RecursionError, MemoryError):
        raise SyntaxError("the source is nested too deep") from None


def make_test_globals() -> dict[str, Any]:
    """What a file made by `compiled` needs in its namespace."""
    return {_SHOWN: _format_comparison}


class _Speaking(ast.NodeTransformer):
    """`assert a == b` becomes `assert (x := a) == (y := b), shown(…)`: nothing is evaluated twice."""

    def __init__(self, source: str) -> None:
        self._source = source

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        if node.msg is not None:
            return node
        said = ast.get_source_segment(self._source, node) or "assert"
        seen: list[ast.expr] = []
        if isinstance(node.test, ast.Compare) and len(node.test.ops) == 1:
            compared = node.test
            compared.left, seen = self._bind_operand_to_name("__nexus_left__", compared.left, seen)
            compared.comparators[0], seen = self._bind_operand_to_name("__nexus_right__", compared.comparators[0], seen)
        arguments: list[ast.expr] = [ast.Constant(said), *seen]
        node.msg = ast.Call(func=ast.Name(_SHOWN, ast.Load()), args=arguments, keywords=[])
        return node

    @staticmethod
    def _bind_operand_to_name(name: str, value: ast.expr, seen: list[ast.expr]) -> tuple[ast.expr, list[ast.expr]]:
        kept = ast.NamedExpr(target=ast.Name(name, ast.Store()), value=value)
        return kept, [*seen, ast.Name(name, ast.Load())]


def _format_comparison(said: str, *values: Any) -> str:
    text = said if len(said) <= 2 * _LONGEST_SHOWN else f"{said[: 2 * _LONGEST_SHOWN]}…"
    return f"{text}: left is {_shorten_repr(values[0])}, right is {_shorten_repr(values[1])}" if values else text


def _shorten_repr(value: Any, most: int = _LONGEST_SHOWN) -> str:
    try:
        text = repr(value)
    except Exception as error:
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= most else f"{text[:most]}…"


def _format_exception_names(expected: type[BaseException] | tuple[type[BaseException], ...]) -> str:
    kinds = expected if isinstance(expected, tuple) else (expected,)
    return " or ".join(kind.__name__ for kind in kinds)
