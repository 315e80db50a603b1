"""The judge's side: modules of the program that stand for those in the other process, and the line to it.

The judged never sees the tests, what they expect, or where their results go; what comes from it is plain JSON."""

import builtins
import contextlib
import importlib
import importlib.machinery
import json
import os
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

from nexus.adapters.confined.inside import results

_DEEPEST_FAMILY = 20


class JudgedEnded(BaseException):
    """The process of the judged is gone, or says what nobody asked: nothing more can be learnt from it."""


class Link:
    """Questions and answers in turn. Once `broken` says why, it stays so; `failures` counts the questions that have found it so."""

    def __init__(self, questions: int, answers: int, most: int) -> None:
        self._questions, self._answers, self._most = questions, answers, most
        self._number, self._heard = 0, b""
        self.broken: str | None = None
        self.failures = 0

    def wait_until_isolated(self) -> str | None:
        """Waits for the walls of the judged; why they do not stand, if so. Nothing of the program has run before."""
        try:
            answer = self._read_json_answer()
        except JudgedEnded as error:
            return str(error)
        return None if answer.get("ready") else str(answer.get("refused", "no word from it"))

    def send_request(self, do: str, module: str, name: str = "", **more: Any) -> dict[str, Any]:
        """The answer to this question and no other; raises what the program raised, or JudgedEnded."""
        if self.broken:
            raise self._mark_link_broken(self.broken)
        self._number += 1
        question = {"id": self._number, "do": do, "module": module, "name": name, **more}
        try:
            results.write_line(self._questions, json.dumps(question).encode())
            answer = self._read_json_answer()
        except OSError:
            raise self._mark_link_broken("the process of the program has ended") from None
        if "raised" in answer:
            raise self._rebuild_remote_error(answer["raised"])
        return answer

    def _read_json_answer(self) -> dict[str, Any]:
        while b"\n" not in self._heard:
            if len(self._heard) > self._most:
                raise self._mark_link_broken(f"more than {self._most} bytes came out of the program")
            if not (chunk := os.read(self._answers, 65_536)):
                raise self._mark_link_broken("the process of the program has ended")
            self._heard += chunk
        line, _, self._heard = self._heard.partition(b"\n")
        try:
            answer = json.loads(line, parse_constant=_refuse_json_constant)
        except (ValueError, RecursionError):
            answer = None
        if self._heard or not isinstance(answer, dict) or answer.get("id") != self._number:
            raise self._mark_link_broken("the program answers what was not asked")
        return answer

    def _mark_link_broken(self, why: str) -> JudgedEnded:
        self.broken, self.failures = why, self.failures + 1
        return JudgedEnded(why)

    def _rebuild_remote_error(self, raised: Any) -> BaseException:
        try:
            error = _make_error(rebuild_exception_type(raised["family"]), raised["arguments"], str(raised["text"]))
            error.__dict__[results.PLACE] = str(raised["place"])[:300]
        except Exception:
            return self._mark_link_broken("the program answers what was not asked")
        if isinstance(
            error, StopIteration | StopAsyncIteration | GeneratorExit
        ):  # `all(map(…))` would take it for its end
            return RuntimeError(f"the program raised {type(error).__name__}")
        return error


def _refuse_json_constant(constant: str) -> None:
    raise ValueError(constant)


_families: dict[tuple[str, str], type[BaseException]] = {}


def rebuild_exception_type(named: Any, depth: int = 0) -> type[BaseException]:
    """The exception here that is `[module, name, [its bases]]` there: a builtin one is itself, another one is made once."""
    module, name, bases = named
    builtin = getattr(builtins, str(name), None) if module == "builtins" else None
    if isinstance(builtin, type) and issubclass(builtin, BaseException):
        return builtin
    if (module, name) not in _families:
        if not bases or depth > _DEEPEST_FAMILY:
            raise ValueError(name)
        _families[module, name] = type(
            name, tuple(rebuild_exception_type(base, depth + 1) for base in bases), {"__module__": module}
        )
    return _families[module, name]


def _make_error(kind: type[BaseException], arguments: Any, text: str) -> BaseException:
    with contextlib.suppress(Exception):  # its maker wants other arguments: it is made to say the same all the same
        error = kind(*arguments)
        if results.format_error_text(error) == text:
            return error
    fields = {"__module__": kind.__module__, "__str__": lambda self: text}
    speaking: type[BaseException] = type(kind.__name__, (kind,), fields)
    error = speaking.__new__(speaking, text)
    error.args = tuple(arguments) if isinstance(arguments, list) else (text,)
    return error


class StandIn(types.ModuleType):
    """A module of the program, as its tests see it."""

    def __init__(self, name: str, link: Link, modules: frozenset[str]) -> None:
        super().__init__(name)
        self.__dict__.update(_link=link, _modules=modules)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        inner = f"{self.__name__}.{name}"
        if inner in self.__dict__["_modules"]:
            return importlib.import_module(inner)
        found = self.__dict__[name] = self._get_remote_attribute(name)
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, types.ModuleType) or name.startswith("__")):
            raise AttributeError(f"{self.__name__} runs in another process: {name} cannot be replaced from a test")
        super().__setattr__(name, value)

    def _get_remote_attribute(self, name: str) -> Any:
        link: Link = self.__dict__["_link"]
        answer = link.send_request("name", self.__name__, name)
        match answer.get("kind"):
            case "value":
                return answer.get("value")
            case "function":
                made = _make_proxy_function(link, self.__name__, name, is_async=bool(answer.get("is_async")))
                made.__doc__ = str(answer.get("doc"))
                return made
            case "error":
                return rebuild_exception_type(answer["family"])
            case "missing":
                raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        raise TypeError(
            f"{self.__name__}.{name} is a {answer.get('type')}: tests call functions of the program, which run in another process"
        )


def _make_proxy_function(link: Link, module: str, name: str, *, is_async: bool) -> Callable[..., Any]:
    def call(*positional: Any, **named: Any) -> Any:
        given = {"positional": convert_json_argument(list(positional)), "named": convert_json_argument(named)}
        return link.send_request("call", module, name, **given).get("value")

    async def call_async(*positional: Any, **named: Any) -> Any:
        return call(*positional, **named)

    made: Callable[..., Any] = call_async if is_async else call
    made.__name__ = made.__qualname__ = name
    made.__module__ = module
    return made


def convert_json_argument(value: Any, depth: int = 0) -> Any:
    """An argument as a tool is really given it. TypeError names what JSON cannot hold."""
    if depth > results.DEEPEST_VALUE:
        raise TypeError(f"the argument is nested more than {results.DEEPEST_VALUE} deep")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [convert_json_argument(item, depth + 1) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: convert_json_argument(item, depth + 1) for key, item in value.items()}
    raise TypeError(f"the argument holds a {type(value).__name__}: a tool is called with JSON values")


class Finder:
    """From here on the modules of the program are stand-ins, wherever a test imports them."""

    def __init__(self, link: Link, paths: Iterable[str]) -> None:
        self._link = link
        dotted = [path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in paths]
        parents = [name.rsplit(".", depth)[0] for name in dotted for depth in range(1, name.count(".") + 1)]
        self._packages = {*parents, *(dotted[at] for at, path in enumerate(paths) if path.endswith("__init__.py"))}
        self._modules = frozenset({*dotted, *parents})
        sys.meta_path.insert(0, self)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name not in self._modules:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=name in self._packages)  # type: ignore[arg-type]  # as above

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> StandIn:
        return StandIn(spec.name, self._link, self._modules)

    def exec_module(self, module: types.ModuleType) -> None:
        """What the real module raises when it is loaded, this one raises."""
        self._link.send_request("load", module.__name__)
