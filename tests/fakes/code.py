"""Generated code, run in this very process: for tests whose programs are their own. It confines nothing."""

import ast
import asyncio
import builtins
import functools
import inspect
import io
import math
import re
import sys
import time
import types
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import msgspec

from nexus.domain.core.values import JSON
from nexus.domain.ports.code import TESTS, Limits, Outcome, Program, TestResult, Tier
from nexus.domain.ports.models import ToolSpec
from nexus.domain.tools.model import ToolError
from nexus.domain.tools.signatures import NotPossible, parse_tool_signature

_runs = count(1)


def spec_of_source(source: str, function_name: str, *, given: Sequence[str] = ()) -> ToolSpec:
    """The specification of a function from source text, which is parsed in this process."""
    try:
        return ToolSpec(**parse_tool_signature(source, function_name, given=given))
    except NotPossible as error:
        raise ToolError(str(error)) from None


class MemoryCode:
    """`CodeRunner` for trusted programs: results, errors and tests are as in the real one, limits of time and memory are not."""

    def get_isolation_tier(self) -> Tier:
        return Tier(level=1, name="trusted fake", detail="Programs run in the process itself: for tests only.")

    async def parse_tool_spec(self, source: str, function: str) -> ToolSpec:
        return await asyncio.to_thread(spec_of_source, source, function)

    async def call_function(
        self, program: Program, function: str, arguments: JSON, *, limits: Limits = Limits()
    ) -> Outcome:
        run = _Run(Program({path: text for path, text in program.files.items() if not path.startswith(TESTS)}))
        return await asyncio.to_thread(run.finished, lambda: run.called(function, arguments), limits)

    async def run_tests(self, program: Program, *, limits: Limits = Limits()) -> tuple[Outcome, list[TestResult]]:
        run = _Run(program)
        return await asyncio.to_thread(run.finished, run.tested, limits), run.results


class _Run:
    """One program with modules, a `print` and an `import` of its own, so that runs do not see each other."""

    def __init__(self, program: Program) -> None:
        self._files = dict(program.files)
        self._prefix = f"_program{next(_runs)}"
        self._modules: dict[str, types.ModuleType] = {}
        self._output = io.StringIO()
        self._builtins = {**vars(builtins), "print": self._print, "__import__": self._import}
        self.results: list[TestResult] = []

    def finished(self, work: Callable[[], Any], limits: Limits) -> Outcome:
        began = time.perf_counter()
        try:
            outcome = Outcome(status="ok", value=work())
        except MemoryError:
            outcome = Outcome(status="out_of_memory", error=f"The program needs more than {limits.memory_mb} MB")
        except (Exception, SystemExit) as error:
            outcome = Outcome(status="raised", error=self._described(error))
        finally:
            for module in self._modules.values():
                sys.modules.pop(module.__name__, None)
        output = self._output.getvalue().encode()
        if max(len(output), len(msgspec.json.encode(outcome.value))) > limits.output_bytes:
            text = f"More than {limits.output_bytes} bytes came out of the program"
            outcome = Outcome(status="too_much_output", error=text)
        kept = output[: limits.output_bytes].decode(errors="replace")
        return msgspec.structs.replace(outcome, output=kept, seconds=time.perf_counter() - began)

    def called(self, function: str, arguments: JSON) -> Any:
        path, _, name = function.partition(":")
        if path not in self._files:
            raise LookupError(f"the program has no file {path}")
        found = getattr(self._module(_dotted(path)), name, None)
        if not callable(found):
            raise LookupError(f"{path} has no function {name}")
        return _jsonable(_awaited(found(**arguments)))

    def tested(self) -> Any:
        for path in [path for path in self._files if re.fullmatch(r"tests/test_[^/]*\.py", path)]:
            for name, test in self._collected(path):
                self.results.append(self._result(name, test))
        passed = sum(result.passed for result in self.results)
        return {"passed": passed, "failed": len(self.results) - passed}

    def _collected(self, path: str) -> Iterator[tuple[str, Callable[[], Any]]]:
        try:
            space = vars(self._module(_dotted(path)))
        except Exception as error:
            yield path, _raising(error)
            return
        for name, test in list(space.items()):
            if name.startswith("test_") and callable(test):
                for ending, arguments in _cases(test):
                    yield f"{path}::{name}{ending}", functools.partial(test, **arguments)

    def _result(self, name: str, test: Callable[[], Any]) -> TestResult:
        began = time.perf_counter()
        error = None
        try:
            _awaited(test())
        except MemoryError:
            raise
        except (Exception, SystemExit) as failure:
            error = self._described(failure)
        return TestResult(name=name, passed=error is None, error=error, seconds=time.perf_counter() - began)

    def _module(self, name: str) -> types.ModuleType:
        if name in self._modules:
            return self._modules[name]
        path = next((path for path in self._files if _dotted(path) == name), None)
        module = self._modules[name] = types.ModuleType(f"{self._prefix}.{name}")
        module.__dict__["__builtins__"] = self._builtins
        module.__package__ = name if path is None or path.endswith("__init__.py") else name.rpartition(".")[0]
        sys.modules[module.__name__] = module
        if "." in name:
            parent, _, last = name.rpartition(".")
            setattr(self._module(parent), last, module)
        if path is not None:
            self._execute(path, module)
        return module

    def _execute(self, path: str, module: types.ModuleType) -> None:
        try:
            tree = ast.parse(self._files[path], path)
            exec(compile(tree, path, "exec", dont_inherit=True), module.__dict__)
        except BaseException:
            self._modules.pop(_dotted(path))
            raise

    def _import(self, name: str, *given: Any) -> types.ModuleType:
        full: list[Any] = [*given, None, None, None, None][:4]
        space, _, wanted, level = full
        if level:
            package = str(space["__package__"]).split(".")
            name = ".".join([*package[: len(package) - level + 1], *([name] if name else [])])
        if name == "pytest":
            return _pytest()
        if not self._has(name):
            return __import__(name, space, None, wanted or (), 0)
        module = self._module(name)
        for inner in wanted or ():
            if not hasattr(module, inner) and self._has(f"{name}.{inner}"):
                self._module(f"{name}.{inner}")
        found = module if wanted else self._module(name.partition(".")[0])
        is_test = f"{space['__package__']}/" == TESTS
        return _StandIn(found) if is_test and not f"{name}.".startswith("tests.") else found

    def _has(self, name: str) -> bool:
        return any(f"{_dotted(path)}.".startswith(f"{name}.") for path in self._files)

    def _print(self, *values: Any, sep: str | None = None, end: str | None = None, **_: Any) -> None:
        print(*values, sep=sep, end=end, file=self._output)

    def _described(self, error: BaseException) -> str:
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        place = (error.filename, error.lineno) if isinstance(error, SyntaxError) else (None, None)
        for frame, line in _steps(error):
            if frame in self._files and not isinstance(error, SyntaxError):
                place = frame, line
        text = f"{type(error).__name__}: {said}" if said else type(error).__name__
        if isinstance(error, AssertionError) and not said and place[0] is not None:
            text = f"AssertionError: {_line(self._files[place[0]], place[1])}"
        return text[:2000] + (f" ({place[0]}, line {place[1]})" if place[0] else "")


class _StandIn(types.ModuleType):
    """A module of the program as its tests see it: what its functions are given and give is JSON."""

    def __init__(self, module: types.ModuleType) -> None:
        super().__init__(module.__name__)
        self.__dict__["_module"] = module

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__dict__["_module"], name)
        if isinstance(found, types.ModuleType):
            return _StandIn(found)
        return _speaking_json(found) if isinstance(found, types.FunctionType) else found


def _speaking_json(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*positional: Any, **named: Any) -> Any:
        found = function(*_jsonable(positional), **_jsonable(named))
        return found if inspect.iscoroutine(found) else _jsonable(found)

    return call


def _steps(error: BaseException) -> Iterator[tuple[str, int]]:
    step = error.__traceback__
    while step is not None:
        yield step.tb_frame.f_code.co_filename, step.tb_lineno
        step = step.tb_next


def _line(source: str, number: int | None) -> str:
    return source.splitlines()[(number or 1) - 1].strip()


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _awaited(value: Any) -> Any:
    return asyncio.run(value) if inspect.iscoroutine(value) else value


def _raising(error: Exception) -> Callable[[], Any]:
    def work() -> None:
        raise error

    return work


def _jsonable(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=repr)
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError(f"the result holds {value}, which JSON has no word for")
    try:
        return msgspec.json.decode(msgspec.json.encode(value))
    except (TypeError, ValueError):
        raise TypeError(f"the result holds a {type(value).__name__}, which is not JSON") from None


class _Raises:
    def __init__(self, expected: type[BaseException] | tuple[type[BaseException], ...], match: str = "") -> None:
        self._expected, self._match = expected, match
        self.value: BaseException | None = None

    def __enter__(self) -> "_Raises":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if kind is None:
            raise AssertionError(f"DID NOT RAISE {self._expected}")
        self.value = error
        if issubclass(kind, self._expected) and not re.search(self._match, str(error)):
            raise AssertionError(f"the error says {str(error)!r}, which {self._match!r} does not match")
        return issubclass(kind, self._expected)


class _Approx:
    __hash__ = None  # type: ignore[assignment]  # near is not the same: nothing to hash

    def __init__(self, expected: Any, rel: float = 1e-6, abs: float = 1e-12) -> None:  # noqa: A002 - pytest's word
        self._expected, self._rel, self._abs = expected, rel, abs

    def __eq__(self, actual: object) -> bool:
        if isinstance(self._expected, (list, tuple)) and isinstance(actual, (list, tuple)):
            near = [_Approx(item, self._rel, self._abs) for item in self._expected]
            return len(actual) == len(near) and all(a == b for a, b in zip(near, actual, strict=True))
        if not isinstance(actual, (int, float)):
            return bool(actual == self._expected)
        return math.isclose(actual, self._expected, rel_tol=self._rel, abs_tol=self._abs)


def _parametrize(names: str, values: list[Any]) -> Callable[[Any], Any]:
    listed = [name.strip() for name in names.split(",")]

    def mark(test: Any) -> Any:
        test.cases = [dict(zip(listed, [row] if len(listed) == 1 else row, strict=True)) for row in values]
        return test

    return mark


def _cases(test: Any) -> list[tuple[str, JSON]]:
    rows = getattr(test, "cases", None)
    return [("", {})] if rows is None else [(f"[{'-'.join(map(str, row.values()))}]", row) for row in rows]


def _pytest() -> types.ModuleType:
    module = types.ModuleType("pytest")
    vars(module).update(raises=_Raises, approx=_Approx, mark=types.SimpleNamespace(parametrize=_parametrize))
    return module
