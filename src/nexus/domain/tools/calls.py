"""One call of a library function in a process of its own, from the inside. Imports little: it is started for each."""

import importlib
import resource
import sys
from typing import Any

import msgspec
from msgspec import Struct

from nexus.domain.core.values import JSON
from nexus.domain.tools.model import ToolError

MEMORY_BYTES = 1_500_000_000


class Call(Struct):
    module: str
    function: str
    arguments: dict[str, Any]


class Answer(Struct):
    """`refusal`: what the tool says is wrong with the call; `failure`: what broke in it."""

    value: JSON = {}
    refusal: str | None = None
    failure: str | None = None


def answer_tool_call() -> None:
    """The other side: reads one call, answers it, ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    call = msgspec.json.decode(sys.stdin.buffer.read(), type=Call)
    function = getattr(importlib.import_module(call.module), call.function)
    try:
        answer = Answer(value=dict(function(**call.arguments)))
    except ToolError as error:
        answer = Answer(refusal=error.detail)
    except Exception as error:
        answer = Answer(failure=describe_exception(error))
    sys.stdout.buffer.write(msgspec.json.encode(answer))


def describe_exception(error: BaseException) -> str:
    """What broke, in one short line that a model can be told."""
    said = " ".join(str(error)[:400].split())[:200]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
