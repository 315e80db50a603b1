"""What a model can do, tried with one call each: words, a typed answer, a tool."""

import asyncio
import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack, aclosing
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from nexus.adapters.memory.models import MemoryCatalog
from nexus.composition.adapters import open_model_catalog
from nexus.domain.core.errors import InvalidInput, NexusError, Unavailable
from nexus.domain.core.instants import system_clock
from nexus.domain.models.rules import Backoff, find_truncation_reason, make_answer_schema, parse_answer
from nexus.domain.models.service import Models
from nexus.domain.ports.models import DEFAULT, ChatMessage, ChatModel, End, ModelRequest, ToolSpec
from nexus.settings import Settings

SECONDS = 60.0
"""The most one call may take: a model on this machine may have to be loaded first."""
MOST_TOKENS = 1024
"""The most one answer may have: models that think first need some."""
MEANINGS = {
    "text": "Nothing works with this model until this does.",
    "schema": "Builds need this: their stages are forms that the model fills in.",
    "tool": "Agents on this model can talk, but use no tools.",
}
"""What the lack of each means."""
_MOST_CHARACTERS = 50_000
_SHOWN = 60


class Check(Struct, frozen=True, kw_only=True):
    """One call: whether the model can do it, what it gave or why not, and how long it took. Details hold no key."""

    name: Literal["text", "schema", "tool"]
    works: bool
    detail: str
    seconds: float = 0.0


class _Sum(Struct):
    sum: int


class _Answer(NamedTuple):
    text: str
    thoughts: str
    end: End


class _Operands(Struct):
    a: int
    b: int


_TOOL = ToolSpec("add", "Adds two whole numbers.", make_answer_schema(_Operands))


async def probe_configured_model(settings: Settings, *, seconds: float = SECONDS) -> list[Check]:
    """The checks of the model that is configured. A call takes at most so many seconds."""
    async with AsyncExitStack() as stack:
        return await probe_model((await open_model_catalog(settings, stack)).get_model(DEFAULT), seconds=seconds)


async def probe_model(model: ChatModel, *, seconds: float = SECONDS) -> list[Check]:
    """Words first; without them nothing else is tried."""
    models = Models(catalog=MemoryCatalog(model), clock=system_clock, sleep=asyncio.sleep, backoff=Backoff(tries=1))
    words = await _run_probe("text", _probe_text_answer(models), seconds)
    if not words.works:
        return [words]
    return [
        words,
        await _run_probe("schema", _probe_json_schema(models), seconds),
        await _run_probe("tool", _probe_tool_call(models), seconds),
    ]


async def _run_probe(name: Literal["text", "schema", "tool"], call: Awaitable[str], seconds: float) -> Check:
    began, works = time.monotonic(), False
    try:
        async with asyncio.timeout(seconds):
            detail, works = await call, True
    except TimeoutError:
        detail = f"There was no whole answer within {seconds:g} s."
    except NexusError as problem:
        detail = problem.detail
    return Check(name=name, works=works, detail=detail, seconds=round(time.monotonic() - began, 2))


async def _probe_text_answer(models: Models) -> str:
    answer = await _ask_model(models, "This is a test of the connection. Answer with the one word: pong")
    if answer.text.strip():
        return f"It says {_quote_and_shorten(answer.text)}."
    if answer.thoughts.strip() and answer.end.stop == "length":
        return f"It thinks, and came to no words within {MOST_TOKENS} tokens."
    raise _make_probe_error(answer, "Its answer is empty.")


async def _probe_json_schema(models: Models) -> str:
    answer = await _ask_model(
        models, "What is 17 plus 25?", schema=make_answer_schema(_Sum), schema_name="check_schema"
    )
    try:
        return f"It fills in a form: {msgspec.json.encode(parse_answer(_Sum, answer.text)).decode()}."
    except ValueError:
        raise _make_probe_error(
            answer, f"It gives {_quote_and_shorten(answer.text)} for a form that it was to fill in."
        ) from None


async def _probe_tool_call(models: Models) -> str:
    answer = await _ask_model(models, "What is 17 plus 25? Use the tool.", tools=(_TOOL,))
    if not answer.end.calls:
        raise _make_probe_error(answer, f"It says {_quote_and_shorten(answer.text)} instead of calling the tool.")
    name, arguments = answer.end.calls[0].name, answer.end.calls[0].arguments
    if name != _TOOL.name:
        raise InvalidInput(f"It calls a tool {_quote_and_shorten(name)} that it was not offered.")
    try:
        msgspec.json.decode(arguments, type=dict[str, int])
    except msgspec.MsgspecError:
        raise InvalidInput(f"It calls the tool with {_quote_and_shorten(arguments)}, which are no arguments.") from None
    return f"It calls the tool with {_quote_and_shorten(arguments)}."


def _make_probe_error(answer: _Answer, otherwise: str) -> InvalidInput:
    return InvalidInput(find_truncation_reason("the test", answer.end.stop) or otherwise)


async def _ask_model(models: Models, said: str, **wanted: Any) -> _Answer:
    messages = (ChatMessage("system", "You are a helpful assistant."), ChatMessage("user", said))
    request = ModelRequest(messages=messages, purpose="check", max_tokens=MOST_TOKENS, **wanted)
    text, thoughts = "", ""
    async with aclosing(models.stream(request)) as items:
        async for item in items:
            if isinstance(item, End):
                return _Answer(text, thoughts, item)
            text, thoughts = text + item.text, thoughts + item.reasoning
            if len(text) + len(thoughts) > _MOST_CHARACTERS:
                raise InvalidInput(f"Its answer does not end at {MOST_TOKENS} tokens.")
    raise Unavailable("The answer broke off.")


def _quote_and_shorten(text: str) -> str:
    flat = " ".join(text.split())
    return f"“{flat if len(flat) <= _SHOWN else flat[: _SHOWN - 1] + '…'}”"
