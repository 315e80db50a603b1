"""The process of the judged: runs the program for a judge that lives in another one, and knows of the tests what they call.

A question is a line of JSON, `{"id", "do": "load" | "name" | "call", "module", "name", "positional", "named"}`; so is an answer, with its id."""

import importlib
import json
import os
import sys
import types
from typing import Any, NoReturn

from nexus.adapters.confined.inside import results
from nexus.adapters.confined.inside.harness import run_if_coroutine

_COROUTINE = 0x80
Answer = dict[str, Any]


def serve_test_requests(questions: int, answers: int, root: str) -> NoReturn:
    """Answers until the judge is gone. Whatever the program does to this function, it can only change its own answers."""
    sys.path.insert(0, root)
    sys.dont_write_bytecode = True
    send_answer(answers, {"id": 0, "ready": True})
    with os.fdopen(questions, "rb") as lines:
        for line in lines:
            asked = json.loads(line)
            send_answer(answers, {"id": asked["id"], **_execute_request(asked, root)})
    os._exit(0)


def send_answer(pipe: int, answer: Answer) -> None:
    results.write_line(pipe, results.encode_json(answer))


def _execute_request(asked: dict[str, Any], root: str) -> Answer:
    try:
        module = importlib.import_module(asked["module"])
        match asked["do"]:
            case "name":
                return _describe_attribute(module, asked["name"])
            case "call":
                found = getattr(module, asked["name"])
                return {
                    "value": results.convert_to_json(run_if_coroutine(found(*asked["positional"], **asked["named"])))
                }
        return {}
    except BaseException as error:
        return {"raised": _describe_error(error, root)}


def _describe_attribute(module: types.ModuleType, name: str) -> Answer:
    """What a test may hold of the program: its functions and exceptions by name, and values that JSON can hold."""
    if name == "__all__" and not hasattr(module, name):
        return {"kind": "value", "value": [one for one in vars(module) if not one.startswith("_")]}
    if not hasattr(module, name):
        return {"kind": "missing"}
    found = getattr(module, name)
    if isinstance(found, type) and issubclass(found, BaseException):
        return {"kind": "error", "family": _describe_exception_type(found)}
    if isinstance(found, type | types.ModuleType):
        return {"kind": "other", "type": type(found).__name__}
    if callable(found):
        return {
            "kind": "function",
            "is_async": bool(getattr(getattr(found, "__code__", None), "co_flags", 0) & _COROUTINE),
            "doc": str(found.__doc__ or ""),
        }
    return {"kind": "value", "value": results.convert_to_json(found)}


def _describe_error(error: BaseException, root: str) -> Answer:
    try:
        arguments = results.convert_to_json(list(error.args))
    except Exception:
        arguments = None
    return {
        "family": _describe_exception_type(type(error)),
        "arguments": arguments,
        "text": results.shorten_text(results.format_error_text(error), results.LONGEST_ERROR),
        "place": results.format_error_location(error, root),
    }


def _describe_exception_type(kind: type[BaseException]) -> list[Any]:
    """The module and the name of an exception, and its bases alike."""
    bases = [] if kind.__module__ == "builtins" else [one for one in kind.__bases__ if issubclass(one, BaseException)]
    return [kind.__module__, kind.__name__, [_describe_exception_type(one) for one in bases]]
