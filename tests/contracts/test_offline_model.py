"""The offline model keeps what every ChatModel promises."""

import asyncio

import msgspec
import pytest

from nexus.adapters.offline import OfflineModel
from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.values import JSON
from nexus.domain.ports.models import ChatMessage, ChatModel, Delta, End, ModelRequest
from nexus.domain.tools.library.registry import LIBRARY

HELLO = ModelRequest(messages=(ChatMessage("user", "hello"),))
CALCULATE = LIBRARY["calculate"].spec


def model() -> ChatModel:
    return OfflineModel(clock=lambda: 1_767_225_600.0)


async def heard(request: ModelRequest) -> list[Delta | End]:
    return [item async for item in model().stream(request)]


def test_it_is_called_offline() -> None:
    assert model().name == "offline"


async def test_a_stream_is_many_small_deltas_and_one_end() -> None:
    *deltas, end = await heard(HELLO)
    assert len(deltas) > 5
    assert all(isinstance(item, Delta) and 0 < len(item.text) <= 60 for item in deltas)
    assert isinstance(end, End)
    assert end.stop == "end"
    assert end.usage is not None
    assert end.usage.input_tokens == 1
    assert end.usage.output_tokens > 5


async def test_the_same_request_has_the_same_answer() -> None:
    assert await heard(HELLO) == await heard(HELLO)


async def test_other_work_goes_on_between_deltas() -> None:
    async with asyncio.TaskGroup() as group:
        streams = [group.create_task(heard(HELLO)) for _ in range(50)]
    assert all(stream.result() == streams[0].result() for stream in streams)


async def test_a_stream_can_be_left_early() -> None:
    stream = model().stream(HELLO)
    async for item in stream:
        assert isinstance(item, Delta)
        break
    closing = getattr(stream, "aclose", None)
    assert closing is not None
    await closing()


async def test_a_call_has_arguments_as_json_of_the_schema() -> None:
    request = ModelRequest(messages=(ChatMessage("user", "What is 12 * 7?"),), tools=(CALCULATE,))
    *deltas, end = await heard(request)
    assert isinstance(end, End)
    assert end.stop == "tool_calls"
    assert deltas == []
    assert msgspec.json.decode(end.calls[0].arguments) == {"expression": "12 × 7"}


async def test_calls_of_one_answer_have_ids_of_their_own() -> None:
    text, units = "What is 10 km in miles and metres?", LIBRARY["convert_units"].spec
    end = (await heard(ModelRequest(messages=(ChatMessage("user", text),), tools=(units,))))[-1]
    assert isinstance(end, End)
    assert [msgspec.json.decode(call.arguments)["to_unit"] for call in end.calls] == ["miles", "metres"]
    assert len({call.call_id for call in end.calls}) == 2


async def test_a_form_of_another_purpose_needs_a_language_model() -> None:
    schema: JSON = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    with pytest.raises(InvalidInput, match="language model"):
        await heard(ModelRequest(messages=(ChatMessage("user", "x"),), purpose="title", schema=schema))


async def test_odd_conversations_are_answered() -> None:
    odd = [
        (),
        (ChatMessage("system", "only a system prompt"),),
        (ChatMessage("user", ""),),
        (ChatMessage("tool", "a result of no call", call_id="call_x"),),
        (ChatMessage("user", "\x00\ufeff" + "9" * 5000),),
        (ChatMessage("user", "((((" * 4000),),
    ]
    for messages in odd:
        end = (await heard(ModelRequest(messages=messages, tools=(CALCULATE,))))[-1]
        assert isinstance(end, End)
