"""What every ChatModel does: Deltas, then one End; errors by kind; closing ends the call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Literal

import aiohttp
import pytest

from nexus.adapters.openai.model import OpenAIModel
from nexus.adapters.prometheus.metrics import ProcessMetrics
from nexus.adapters.prometheus.models import MeteredModel
from nexus.domain.core.errors import InvalidInput, NexusError, PermissionDenied, QuotaExceeded, Unavailable
from nexus.domain.ports.models import ChatMessage, ChatModel, Delta, End, ModelRequest, ToolCall, ToolSpec, Usage
from tests.fakes.models import Gate, ScriptedModel, Turn, turn
from tests.openai_server import Answer, Call, OpenAIServer, Say

KEY = "hunter.1234567890"
REQUEST = ModelRequest(messages=(ChatMessage("system", "Be brief."), ChatMessage("user", "你好")))
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
ASKED = ModelRequest(messages=REQUEST.messages, schema=SCHEMA, schema_name="build_intake")
TOOLS = (ToolSpec("add", "Adds.", {"type": "object", "properties": {}}),)


class Openers:
    """Makes the same model twice: as a script, and as a client of a server that has the script."""

    def __init__(self, kind: Literal["scripted", "metered", "openai"], stack: AsyncExitStack) -> None:
        self.kind = kind
        self._stack = stack

    async def model(self, *turns: Turn) -> ChatModel:
        if self.kind != "openai":
            model = ScriptedModel(*turns)
            return model if self.kind == "scripted" else MeteredModel(model, ProcessMetrics("0"), label="scripted")
        served, _ = await self.served(*(_say(one) for one in turns))
        return served

    async def served(
        self,
        *chat: Answer,
        answers: dict[str, list[Answer]] | None = None,
        refuses: tuple[str, ...] = (),
        **limits: float,
    ) -> tuple[OpenAIModel, OpenAIServer]:
        server = await self._stack.enter_async_context(
            OpenAIServer(chat=chat or ("Hello.",), answers=answers, refuses=refuses, api_key=KEY)
        )
        return await self.client(server.url, KEY, **limits), server

    async def client(self, url: str, key: str, **limits: float) -> OpenAIModel:
        session = await self._stack.enter_async_context(aiohttp.ClientSession())
        return OpenAIModel(session=session, base_url=url, api_key=key, name="gpt-test", clock=lambda: 0.0, **limits)


def _say(one: Turn) -> Say:
    texts = tuple(piece for piece in one.pieces if isinstance(piece, str))
    calls = tuple(
        Call(piece.name, piece.arguments, piece.call_id) for piece in one.pieces if isinstance(piece, ToolCall)
    )
    usage = (one.usage.input_tokens, one.usage.output_tokens) if one.usage else None
    broken = any(isinstance(piece, NexusError) for piece in one.pieces)
    held = any(isinstance(piece, Gate) for piece in one.pieces)
    finish = {"end": "stop", None: None}.get(one.stop, one.stop)
    return Say(pieces=texts, calls=calls, usage=usage, drop=broken, stall=held, finish=finish, cut=3)


@pytest.fixture(params=["scripted", "metered", "openai"])
async def openers(request: pytest.FixtureRequest) -> AsyncIterator[Openers]:
    async with AsyncExitStack() as stack:
        yield Openers(request.param, stack)


@pytest.fixture
async def openai() -> AsyncIterator[Openers]:
    async with AsyncExitStack() as stack:
        yield Openers("openai", stack)


async def read(model: ChatModel, request: ModelRequest = REQUEST) -> tuple[str, End]:
    """The text and the End; nothing may follow the End, no Delta may be empty."""
    items = [item async for item in model.stream(request)]
    *deltas, end = items
    assert isinstance(end, End)
    texts = [delta.text for delta in deltas if isinstance(delta, Delta) and (delta.text or delta.reasoning)]
    assert len(texts) == len(deltas)
    return "".join(texts), end


async def test_an_answer_is_deltas_and_then_one_end(openers: Openers) -> None:
    model = await openers.model(Turn(pieces=("你", "好, ", "world"), usage=Usage(7, 3)))
    assert await read(model) == ("你好, world", End(stop="end", usage=Usage(7, 3)))


async def test_an_empty_answer_is_an_end_alone(openers: Openers) -> None:
    assert await read(await openers.model(Turn())) == ("", End(stop="end", usage=Usage(10, 5)))


async def test_tool_calls_come_whole_and_in_order(openers: Openers) -> None:
    calls = (ToolCall("c1", "add", '{"a": 1, "b": "二二二二"}'), ToolCall("c2", "add", "{}"))
    _, end = await read(await openers.model(turn("Let me see.", *calls)))
    assert (end.stop, end.calls) == ("tool_calls", calls)


async def test_an_uncounted_answer_has_unknown_usage(openers: Openers) -> None:
    _, end = await read(await openers.model(Turn(pieces=("x",), usage=None)))
    assert end.usage is None


async def test_an_answer_cut_at_its_limit_says_so(openers: Openers) -> None:
    text, end = await read(await openers.model(Turn(pieces=("half a sen",), stop="length")))
    assert (text, end.stop) == ("half a sen", "length")


async def test_a_broken_stream_shows_what_came_and_is_unavailable(openers: Openers) -> None:
    model = await openers.model(turn("first ", "second", Unavailable("broke off")))
    seen = []
    with pytest.raises(Unavailable):
        async for item in model.stream(REQUEST):
            assert isinstance(item, Delta)
            seen.append(item.text)
    assert "".join(seen) == "first second"


async def test_turns_are_said_in_order_and_many_at_once(openers: Openers) -> None:
    model = await openers.model(*(turn(f"answer {n}") for n in range(20)))
    said = await asyncio.gather(*(read(model) for _ in range(20)))
    assert sorted(text for text, _ in said) == sorted(f"answer {n}" for n in range(20))


async def test_a_reader_that_is_cancelled_or_leaves_ends_the_call(openers: Openers) -> None:
    model = await openers.model(turn("begin", Gate()), turn("begin", Gate()), turn("next"))
    async with aclosing(model.stream(REQUEST)) as items:  # type: ignore[type-var]  # generators of both adapters
        assert (await anext(items)) == Delta("begin")
    shown = asyncio.Event()
    reading = asyncio.create_task(_follow(model, shown))
    await shown.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (await read(model))[0] == "next"
    if isinstance(model, ScriptedModel):
        assert model.open == 0


async def _follow(model: ChatModel, shown: asyncio.Event) -> None:
    async for _ in model.stream(REQUEST):
        shown.set()


async def test_a_scripted_model_waits_at_its_gate_and_has_queues_by_purpose() -> None:
    gate = Gate()
    model = ScriptedModel("for all", by_purpose={"build.intake": [turn("held", gate)]})
    held = asyncio.create_task(read(model, ModelRequest(messages=(), purpose="build.intake")))
    await gate.reached.wait()
    assert (await read(model))[0] == "for all"
    assert (model.open, held.done()) == (1, False)
    gate.opened.set()
    assert (await held)[0] == "held"
    assert [seen.purpose for seen in model.requests] == ["build.intake", "reply"]
    with pytest.raises(InvalidInput):
        await read(model)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidInput), (404, InvalidInput), (422, InvalidInput), (302, InvalidInput),
        (401, PermissionDenied), (403, PermissionDenied), (402, QuotaExceeded),
        (429, Unavailable), (500, Unavailable), (503, Unavailable), (408, Unavailable),
    ],
)  # fmt: skip
async def test_a_status_has_its_kind_and_no_error_shows_the_key(
    openai: Openers, status: int, kind: type[NexusError]
) -> None:
    model, _ = await openai.served(Say(status=status, error=f"no: {KEY}, sk-other-key\n" + "x" * 5000))
    with pytest.raises(NexusError) as told:
        await read(model)
    assert type(told.value) is kind
    assert not any(secret in told.value.detail for secret in (KEY, "other-key", "\n"))
    assert len(told.value.detail) < 300


async def test_a_wrong_key_is_permission_denied_and_not_repeated(openai: Openers) -> None:
    _, server = await openai.served()
    wrong = await openai.client(server.url, "sk-wrong-abcdefgh")
    with pytest.raises(PermissionDenied) as told:
        await read(wrong)
    assert "sk-wrong" not in told.value.detail


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("7", 7.0), ("Thu, 01 Jan 1970 00:01:30 GMT", 90.0), ("-3", 0.0), ("soon", None), ("inf", None), (None, None)],
)
async def test_a_pause_is_told_in_seconds_or_as_a_date(
    openai: Openers, told: str | None, seconds: float | None
) -> None:
    model, _ = await openai.served(Say(status=429, retry_after=told))
    with pytest.raises(Unavailable) as problem:
        await read(model)
    assert problem.value.facts.get("retry_after") == seconds


@pytest.mark.parametrize("said", [Say(text="abc", stall=True), Say(text="abc", garbage=True), Say(first_byte=30)])
async def test_stalls_garbage_and_silence_are_unavailable(openai: Openers, said: Say) -> None:
    model, server = await openai.served(said, first_byte=0.3, idle=0.1)
    with pytest.raises(Unavailable):
        await read(model)
    if not said.garbage:
        await server.departed()


async def test_nobody_listening_is_unavailable_and_no_url_is_invalid(openai: Openers) -> None:
    with pytest.raises(Unavailable):
        await read(await openai.client("http://127.0.0.1:9/v1", ""))
    with pytest.raises(InvalidInput):
        await read(await openai.client("nonsense", ""))


async def test_leaving_early_closes_the_connection(openai: Openers) -> None:
    model, server = await openai.served(Say(text="begin", stall=True))
    async with aclosing(model.stream(REQUEST)) as items:
        await anext(items)
        assert server.left == 0
    await server.departed()


async def test_a_connection_is_used_again(openai: Openers) -> None:
    model, server = await openai.served(Say(text="one", delay=0.02), Say(status=500), "three")
    assert (await read(model))[0] == "one"
    with pytest.raises(Unavailable):
        await read(model)
    assert (await read(model))[0] == "three"
    assert server.connections == 1


async def test_reasoning_is_apart_from_text(openai: Openers) -> None:
    model, _ = await openai.served(Say(reasoning="Hm.", text="Yes."))
    deltas = [item async for item in model.stream(REQUEST) if isinstance(item, Delta)]
    assert "".join(delta.reasoning for delta in deltas) == "Hm."
    assert "".join(delta.text for delta in deltas) == "Yes."


async def test_a_conversation_with_tools_is_sent_as_the_wire_has_it(openai: Openers) -> None:
    model, server = await openai.served("3")
    call = ToolCall("c1", "add", "not json")
    said = (*REQUEST.messages, ChatMessage("assistant", calls=(call,)), ChatMessage("tool", "3", call_id="c1"))
    await read(model, ModelRequest(messages=said, tools=TOOLS, max_tokens=50, temperature=0.0))
    body = server.requests[0]
    assert body["messages"][2]["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"unreadable":"not json"}'}
    assert body["messages"][3] == {"role": "tool", "content": "3", "tool_call_id": "c1"}
    assert body["tools"][0]["function"]["name"] == "add"
    assert (body["model"], body["max_tokens"], body["temperature"], body["stream"]) == ("gpt-test", 50, 0.0, True)


async def test_a_schema_goes_along_with_its_name(openai: Openers) -> None:
    model, server = await openai.served(answers={"build_intake": [{"n": 1}]})
    assert (await read(model, ASKED))[0] == '{"n": 1}'
    sent = server.requests[0]["response_format"]["json_schema"]
    assert (sent["name"], sent["schema"], sent["strict"]) == ("build_intake", SCHEMA, True)


@pytest.mark.parametrize(
    ("refuses", "last"),
    [(("json_schema",), {"type": "json_object"}), (("response_format",), None)],
)
async def test_an_endpoint_without_schemas_is_told_in_the_prompt_and_remembered(
    openai: Openers, refuses: tuple[str, ...], last: object
) -> None:
    model, server = await openai.served(answers={"build_intake": [{"n": 1}, {"n": 2}]}, refuses=refuses)
    assert (await read(model, ASKED))[0] == '{"n": 1}'
    tried = len(server.requests)
    assert (await read(model, ASKED))[0] == '{"n": 2}'
    assert len(server.requests) == tried + 1
    body = server.requests[-1]
    assert body.get("response_format") == last
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert '"integer"' in body["messages"][0]["content"]


async def test_one_refused_schema_does_not_change_how_others_are_asked(openai: Openers) -> None:
    refused = Say(status=400, error="Invalid schema for response_format 'build_intake'")
    model, server = await openai.served(answers={"build_intake": [refused, {"n": 1}]})
    assert (await read(model, ASKED))[0] == '{"n": 1}'
    await read(model, ASKED)
    assert server.requests[-1]["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize("field", ["stream_options", "temperature"])
async def test_a_field_that_is_refused_by_name_is_left_out(openai: Openers, field: str) -> None:
    model, server = await openai.served("fine", refuses=(field,))
    text, end = await read(model, ModelRequest(messages=REQUEST.messages, temperature=0.5))
    assert (text, end.usage) == ("fine", None if field == "stream_options" else Usage(10, 5))
    assert field not in server.requests[-1]


async def test_a_refusal_that_names_nothing_of_ours_is_asked_once(openai: Openers) -> None:
    model, server = await openai.served(Say(status=400, error="context length exceeded"))
    with pytest.raises(InvalidInput, match="context length exceeded"):
        await read(model, ASKED)
    assert len(server.requests) == 1
