"""Models: tries again where that is honest, repairs answers that do not fit, and counts what it cost."""

import asyncio
from contextlib import aclosing
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from nexus.adapters.memory.models import MemoryCatalog
from nexus.domain.builds import outputs
from nexus.domain.core.errors import InvalidInput, PermissionDenied, Unavailable
from nexus.domain.models.model import Spent, Unparseable
from nexus.domain.models.rules import (
    Backoff,
    make_answer_schema,
    make_repair_request,
    make_schema_name,
    parse_answer,
    strip_markdown_fence,
)
from nexus.domain.models.service import Models
from nexus.domain.ports.models import ChatMessage, Delta, End, ModelRequest, Usage
from tests.fakes.models import Gate, ScriptedModel, Turn, turn

QUESTION = ModelRequest(messages=(ChatMessage("user", "哪个城市？"),), purpose="build.intake")


class City(Struct):
    name: Annotated[str, Meta(min_length=1, max_length=20)]
    people: int = 0


class Night:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.pauses: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class ScriptedModels:
    def __init__(self, *turns: Turn | str, jitter: float = 1.0, backoff: Backoff = Backoff()) -> None:
        self.night = Night()
        self.script = ScriptedModel(*turns)
        self.models = Models(
            catalog=MemoryCatalog(self.script),
            clock=self.night.clock,
            sleep=self.night.sleep,
            jitter=lambda: jitter,
            backoff=backoff,
        )

    async def read(self) -> list[Delta | End]:
        return [item async for item in self.models.stream(QUESTION)]


def busy(retry_after: float | None = None) -> Turn:
    return turn(Unavailable("busy", retry_after=retry_after))


async def test_a_stream_passes_through_as_it_comes() -> None:
    asked = ScriptedModels(turn("a", Delta(reasoning="r"), "b"))
    assert await asked.read() == [Delta("a"), Delta(reasoning="r"), Delta("b"), End(stop="end", usage=Usage(10, 5))]
    assert asked.models.name == "scripted"


async def test_what_is_unavailable_is_tried_again_with_growing_pauses() -> None:
    asked = ScriptedModels(busy(), busy(), busy(), "at last")
    assert (await asked.read())[0] == Delta("at last")
    assert asked.night.pauses == [0.5, 1.0, 2.0]


async def test_tries_are_bounded() -> None:
    asked = ScriptedModels(busy(), busy(), busy(), busy(), "never said")
    with pytest.raises(Unavailable):
        await asked.read()
    assert len(asked.script.requests) == 4


async def test_jitter_spreads_the_pauses() -> None:
    asked = ScriptedModels(busy(), busy(), "x", jitter=0.5)
    await asked.read()
    assert asked.night.pauses == [0.25, 0.5]


async def test_a_pause_that_the_provider_asks_for_is_kept() -> None:
    asked = ScriptedModels(busy(12), "x", jitter=0.0)
    await asked.read()
    assert asked.night.pauses == [12.0]


async def test_a_pause_too_long_to_wait_for_is_told_at_once() -> None:
    asked = ScriptedModels(busy(3600), "x")
    with pytest.raises(Unavailable) as told:
        await asked.read()
    assert (asked.night.pauses, told.value.facts["retry_after"]) == ([], 3600)


async def test_no_try_begins_after_its_time_is_over() -> None:
    asked = ScriptedModels(busy(20), busy(20), busy(20), "x", jitter=0.0, backoff=Backoff(within=45))
    with pytest.raises(Unavailable):
        await asked.read()
    assert asked.night.pauses == [20.0, 20.0]


async def test_what_was_shown_is_never_begun_again() -> None:
    asked = ScriptedModels(turn("half", Unavailable("broke off")), "whole")
    seen = []
    with pytest.raises(Unavailable):
        async for item in asked.models.stream(QUESTION):
            seen.append(item)
    assert (seen, len(asked.script.requests)) == ([Delta("half")], 1)


@pytest.mark.parametrize("problem", [PermissionDenied("the key"), InvalidInput("too long")])
async def test_what_asking_again_does_not_help_is_asked_once(problem: InvalidInput | PermissionDenied) -> None:
    asked = ScriptedModels(turn(problem), "x")
    with pytest.raises(type(problem)):
        await asked.read()
    assert asked.night.pauses == []


async def test_leaving_a_stream_ends_the_call_at_the_model() -> None:
    asked = ScriptedModels(turn("a", "b"))
    async with aclosing(asked.models.stream(QUESTION)) as items:
        await anext(items)
        assert asked.script.open == 1
    assert asked.script.open == 0


async def test_cancelling_a_structured_answer_ends_the_call_at_the_model() -> None:
    gate = Gate()
    asked = ScriptedModels(turn("{", gate))
    asking = asyncio.create_task(asked.models.ask_for_struct(City, QUESTION))
    await gate.reached.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert asked.script.open == 0


async def test_a_structured_answer_is_asked_with_its_schema_and_typed() -> None:
    asked = ScriptedModels(turn('{"name": "上', '海", "unknown": 1}'))
    answer = await asked.models.ask_for_struct(City, QUESTION)
    assert (answer.value, answer.repairs) == (City("上海"), 0)
    assert answer.spent == Spent(input_tokens=10, output_tokens=5)
    (asked,) = asked.script.requests
    assert (asked.schema_name, asked.schema) == ("build_intake", make_answer_schema(City))
    assert asked.messages == QUESTION.messages


async def test_a_wrong_answer_goes_back_with_its_text_and_the_exact_error() -> None:
    asked = ScriptedModels('{"name": 5}', "no JSON at all", '{"name": "Xi\'an"}')
    answer = await asked.models.ask_for_struct(City, QUESTION)
    assert (answer.value.name, answer.repairs) == ("Xi'an", 2)
    _, second, third = asked.script.requests
    assert second.messages[:-2] == third.messages[:-2] == QUESTION.messages
    assert second.messages[-2] == ChatMessage("assistant", '{"name": 5}')
    assert "Expected `str`, got `int` - at `$.name`" in second.messages[-1].content
    assert third.messages[-2].content == "no JSON at all"


async def test_after_three_repairs_it_is_over() -> None:
    asked = ScriptedModels(*["{}"] * 5)
    with pytest.raises(Unparseable, match=r"answer for build\.intake was not usable after 4 tries: .*`name`") as told:
        await asked.models.ask_for_struct(City, QUESTION)
    assert len(asked.script.requests) == 4
    assert told.value.facts["spent"] == Spent(input_tokens=40, output_tokens=20)


@pytest.mark.parametrize(("stop", "said"), [("length", "cut off"), ("content_filter", "withheld")])
async def test_an_answer_that_was_cut_is_not_repaired(stop: Literal["length", "content_filter"], said: str) -> None:
    asked = ScriptedModels(Turn(pieces=('{"name": "A"}',), stop=stop), '{"name": "B"}')
    with pytest.raises(Unparseable, match=said) as told:
        await asked.models.ask_for_struct(City, QUESTION)
    assert (told.value.facts["reason"], len(asked.script.requests)) == (stop, 1)


async def test_a_structured_answer_that_breaks_off_is_asked_again_and_its_cost_is_unknown() -> None:
    asked = ScriptedModels(turn('{"na', Unavailable("broke off")), '{"name": "A"}')
    answer = await asked.models.ask_for_struct(City, QUESTION)
    assert answer.value == City("A")
    assert answer.spent == Spent(input_tokens=10, output_tokens=5, unknown=True)


async def test_tries_of_a_structured_answer_are_bounded_whatever_breaks() -> None:
    asked = ScriptedModels(busy(), turn("{", Unavailable("x")), busy(), turn("{", Unavailable("x")), '{"name": "A"}')
    with pytest.raises(Unavailable):
        await asked.models.ask_for_struct(City, QUESTION)
    assert len(asked.script.requests) == 4


async def test_an_uncounted_call_makes_the_sum_unknown() -> None:
    asked = ScriptedModels(Turn(pieces=("{}",), usage=None), '{"name": "A"}')
    answer = await asked.models.ask_for_struct(City, QUESTION)
    assert answer.spent == Spent(input_tokens=10, output_tokens=5, unknown=True)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "A"}',
        '  \n{"name": "A"}\n',
        '```json\n{"name": "A"}\n```',
        '```\r\n{"name": "A"}\r\n```\r\n',
        'Here it is:\n```JSON\n{"name": "A"}\n```\nAnything else?',
        '<think>\nmaybe ```json\n{}\n```\n</think>\n\n{"name": "A"}',
    ],
)
def test_fences_and_thoughts_are_taken_off(text: str) -> None:
    assert parse_answer(City, text) == City("A")


def test_a_fence_inside_an_answer_stays() -> None:
    text = '{"name": "```json\\n{}\\n```"}'
    assert strip_markdown_fence(text) == text


@pytest.mark.parametrize(
    "text", ["", "null", "[]", '{"name": ""}', '{"name": "A", "people": "3"}', "[" * 100_000, "\ud800"]
)
def test_what_does_not_fit_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        parse_answer(City, text)


def test_a_huge_wrong_answer_is_quoted_in_part() -> None:
    asked = make_repair_request(QUESTION, "x" * 1_000_000, "too long")
    assert len(asked.messages[-2].content) == 20_000
    assert make_repair_request(QUESTION, "", "empty").messages[-2].content == "(nothing)"


class Leaf(Struct, tag=True):
    default: int = 0


class Branch(Struct, tag=True):
    children: "list[Leaf | Branch]"
    title: Annotated[str, Meta(max_length=5)] | None = None
    kind: Literal["a", "b"] = "a"


def test_a_schema_is_closed_and_a_field_may_be_called_anything() -> None:
    schema = make_answer_schema(Branch)
    assert (schema["type"], schema["additionalProperties"]) == ("object", False)
    assert schema["required"] == ["type", "children", "title", "kind"]
    assert schema["properties"]["kind"] == {"enum": ["a", "b"], "type": "string"}
    assert set(schema["$defs"]) == {"Leaf", "Branch"}
    assert schema["$defs"]["Leaf"]["required"] == ["type", "default"]
    said = msgspec.json.encode(schema).decode()
    assert "At most 5 characters." in said
    assert not any(word in said for word in ("discriminator", "maxLength", '"default":0'))


@pytest.mark.parametrize("kind", [outputs.Brief, outputs.Requirements, outputs.Architecture])
def test_the_stages_of_a_build_have_schemas_without_loose_references(kind: type[Struct]) -> None:
    schema = make_answer_schema(kind)
    said = msgspec.json.encode(schema).decode()
    references = {part.split('"')[0] for part in said.split('"$ref":"#/$defs/')[1:]}
    assert references <= set(schema.get("$defs", {}))


@pytest.mark.parametrize("kind", [int, list[int], dict[str, int]])
def test_only_structs_can_be_asked_for(kind: type[object]) -> None:
    with pytest.raises(TypeError):
        make_answer_schema(kind)


def test_a_schema_is_named_as_providers_allow() -> None:
    assert make_schema_name("build.intake") == "build_intake"
    assert len(make_schema_name("构建" * 100)) == 64
    assert make_schema_name("") == "answer"
