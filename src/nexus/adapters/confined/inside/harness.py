"""Runs the program behind the walls: one function, or its tests; and tells how it went, one frame a line."""

import functools
import importlib
import importlib.machinery
import os
import sys
import time
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from nexus.adapters.confined.inside import results

if TYPE_CHECKING:
    from nexus.adapters.confined.inside.judge import Link

MEMORY_EXIT = 97

Frame = dict[str, Any]


class Told:
    """The pipe to the server, the only thing that leads out of here. Past `most` bytes the run ends."""

    def __init__(self, pipe: int, most: int) -> None:
        self._pipe = pipe
        self._left = most

    def send_frame(self, frame: Frame) -> None:
        line = results.encode_json(frame)
        self._left -= len(line) + 1
        if self._left >= 0:
            return results.write_line(self._pipe, line)
        results.write_line(self._pipe, b'{"type":"ended","status":"too_much_output"}')
        os._exit(0)


def run_program_and_exit(work: Callable[[], Frame], told: Told, root: str) -> None:
    """Tells how `work` ended; never returns. Threads it left do not live on."""
    sys.path.insert(0, root)
    sys.dont_write_bytecode = True
    try:
        told.send_frame({"type": "ended", **_run_catching_errors(work, root)})
    except MemoryError:
        os._exit(MEMORY_EXIT)
    os._exit(0)


def _run_catching_errors(work: Callable[[], Frame], root: str) -> Frame:
    try:
        return {"status": "ok", **work()}
    except MemoryError:
        return {"status": "out_of_memory"}
    except BaseException as error:
        return {"status": "raised", "error": results.format_error(error, root)}


def call_program_function(function: str, arguments: dict[str, Any]) -> Frame:
    """`tools/vat.py:vat` with keyword arguments."""
    path, _, name = function.partition(":")
    if not os.path.isfile(path):  # noqa: PTH113 - importing pathlib would cost every call some milliseconds
        raise LookupError(f"the program has no file {path}")
    module = importlib.import_module(_make_module_name(path))
    found = getattr(module, name, None)
    if not callable(found):
        raise LookupError(f"{path} has no function {name}")
    return {"value": results.convert_to_json(run_if_coroutine(found(**arguments)))}


def run_tests(request: dict[str, Any], told: Told, root: str, link: "Link") -> Frame:
    """Runs the tests here, in the process of the judge; what they call runs in that of the judged, behind the link. Every test is told as it ends, so that a later one that hangs does not take the earlier ones with it."""
    from nexus.adapters.confined.inside import checks, judge

    checks.install_pytest_stub()
    judge.Finder(link, request["judged"])
    counts = {True: 0, False: 0}
    for path in request["tests"]:
        for name, work in _collect_tests(path, f"{root}/{path}"):
            began = time.perf_counter()
            failures = link.failures
            error = _run_test_case(work, root)
            if link.failures > failures:  # whatever the test made of it
                error = f"The program did not outlive the test: {link.broken}"
            counts[error is None] += 1
            result = {"name": name, "passed": error is None, "error": error}
            told.send_frame({"type": "tested", **result, "seconds": round(time.perf_counter() - began, 6)})
    return {"value": {"passed": counts[True], "failed": counts[False]}}


def _collect_tests(path: str, place: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The tests of a file in its order; a file that cannot be loaded is itself a failed test."""
    try:
        space = _load_test_file(path, place)
    except MemoryError:
        raise
    except BaseException as error:
        yield path, functools.partial(_raise_error, error)
        return
    for name, found in list(space.items()):
        if name.startswith("test_") and callable(found):
            yield from _expand_test_cases(f"{path}::{name}", found)
        elif name.startswith("Test") and isinstance(found, type):
            for inner in _list_test_methods(found):
                yield from _expand_test_cases(f"{path}::{name}::{inner}", getattr(found(), inner))


def _list_test_methods(kind: type) -> list[str]:
    """Its own tests and those it inherits."""
    names = (name for one in reversed(kind.__mro__) for name in vars(one) if name.startswith("test_"))
    return list(dict.fromkeys(names))


def _expand_test_cases(name: str, test: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    from nexus.adapters.confined.inside import checks

    for ending, arguments in checks.list_test_cases(test):
        yield name + ending, functools.partial(test, **arguments)


def _load_test_file(path: str, place: str) -> dict[str, Any]:
    from nexus.adapters.confined.inside import checks

    with open(place, encoding="utf-8") as file:  # noqa: PTH123 - see above
        source = file.read()
    name = _make_module_name(path)
    if "." in name:
        importlib.import_module(name.rpartition(".")[0])
    module = types.ModuleType(name)
    module.__file__ = place
    module.__package__ = name.rpartition(".")[0]
    module.__spec__ = importlib.machinery.ModuleSpec(name, None, origin=place)
    module.__dict__.update(checks.make_test_globals())
    sys.modules[name] = module
    exec(checks.compile_tests(source, place), module.__dict__)  # noqa: S102 - to run it is what this process is for
    return module.__dict__


def _run_test_case(work: Callable[[], Any], root: str) -> str | None:
    try:
        answer = run_if_coroutine(work())
    except MemoryError:
        raise
    except BaseException as error:
        return results.format_error(error, root)
    if answer is not None:
        return f"The test gives a {type(answer).__name__}: it must assert, and one that yields is never run."
    return None


def _raise_error(error: BaseException) -> None:
    raise error


def run_if_coroutine(value: Any) -> Any:
    if isinstance(value, types.CoroutineType):
        import asyncio  # a tenth of a second that most programs need not pay

        return asyncio.run(value)
    return value


def _make_module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
