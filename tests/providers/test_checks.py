"""One call with words, one with a form, one with a tool: what works is told apart from what does not."""

import pytest

from nexus.domain.core.errors import PermissionDenied
from nexus.domain.ports.models import ChatModel, Delta, ToolCall
from nexus.providers.checks import Check, probe_configured_model, probe_model
from nexus.settings import Model, Secret, Settings
from tests.fakes.models import Gate, ScriptedModel, Turn, turn
from tests.openai_server import Call, OpenAIServer, Say

CALL = ToolCall("c1", "add", '{"a": 17, "b": 25}')
FORM = '{"sum": 42}'


async def told(model: ChatModel) -> dict[str, tuple[bool, str]]:
    return {check.name: (check.works, check.detail) for check in await probe_model(model, seconds=0.5)}


async def test_a_model_that_can_do_all_says_so_and_is_asked_once_each():
    model = ScriptedModel("pong", FORM, turn(CALL))
    assert await told(model) == {
        "text": (True, "It says “pong”."),
        "schema": (True, 'It fills in a form: {"sum":42}.'),
        "tool": (True, 'It calls the tool with “{"a": 17, "b": 25}”.'),
    }
    assert len(model.requests) == 3
    assert all(request.max_tokens for request in model.requests)
    assert model.requests[1].schema and [tool.name for tool in model.requests[2].tools] == ["add"]


@pytest.mark.parametrize(
    ("said", "works", "reason"),
    [
        ("乓", True, "It says “乓”."),
        (Turn(pieces=(Delta(reasoning="Hm."),), stop="length"), True, "thinks"),
        (Turn(pieces=(Delta(reasoning="Hm."),)), False, "empty"),
        (Turn(), False, "empty"),
        (Turn(pieces=("",), stop="content_filter"), False, "content filter"),
        (turn("x" * 60_000, Gate()), False, "does not end"),
        (turn("p", Gate()), False, "no whole answer within 0.5 s"),
        (turn(PermissionDenied("The model provider refused the key (401).")), False, "refused the key"),
    ],
)
async def test_words_are_the_first_thing_and_without_them_nothing_else_is_tried(
    said: Turn | str, works: bool, reason: str
):
    model = ScriptedModel(said, FORM, turn(CALL))
    checks = await told(model)
    assert checks["text"][0] is works
    assert reason in checks["text"][1]
    assert (len(checks), len(model.requests)) == ((3, 3) if works else (1, 1))


@pytest.mark.parametrize(
    ("said", "works"),
    [
        (FORM, True), (f"```json\n{FORM}\n```", True), (f"<think>17+25</think>{FORM}", True),
        ("The sum is 42.", False), ('{"sum": "many"}', False), ("", False), ("[" * 10_000, False), (Turn(pieces=('{"su',), stop="length"), False),
    ],
)  # fmt: skip
async def test_a_form_counts_when_it_can_be_read(said: Turn | str, works: bool):
    checks = await told(ScriptedModel("pong", said, turn(CALL)))
    assert (checks["schema"][0], checks["tool"][0]) == (works, True)


@pytest.mark.parametrize(
    ("said", "works"),
    [
        (turn("Let me see.", CALL), True),
        ("It is 42.", False),
        (turn(ToolCall("c", "multiply", "{}")), False),
        (turn(ToolCall("c", "add", "17, 25")), False),
    ],
)
async def test_a_tool_counts_when_it_is_called_with_arguments(said: Turn | str, works: bool):
    checks = await told(ScriptedModel("pong", FORM, said))
    assert (checks["schema"][0], checks["tool"][0]) == (True, works)


async def checked(server: OpenAIServer, key: str = "") -> list[Check]:
    model = Model(provider="openai", base_url=server.url, name="scripted", api_key=Secret(key))
    return await probe_configured_model(Settings(model=model), seconds=5)


async def test_a_server_is_asked_over_the_wire():
    chat = ["pong", Say(calls=(Call("add", {"a": 17, "b": 25}),))]
    async with OpenAIServer(answers={"check_schema": [{"sum": 42}]}, chat=chat) as server:
        assert [check.works for check in await checked(server)] == [True] * 3


@pytest.mark.parametrize(
    ("refuses", "works"), [(("response_format",), [True, True, False]), (("json_schema", "tools"), [True, True, False])]
)
async def test_a_server_without_schemas_is_asked_in_the_prompt_and_one_without_tools_is_told(
    refuses: tuple[str, ...], works: list[bool]
):
    async with OpenAIServer(answers={"check_schema": [{"sum": 42}]}, chat=["pong"], refuses=refuses) as server:
        checks = await checked(server)
        assert [check.works for check in checks] == works
        assert ("parameter: tools" if "tools" in refuses else "instead of calling") in checks[2].detail


async def test_a_wrong_key_is_told_without_it():
    async with OpenAIServer(api_key="sk-right") as server:
        [check] = await checked(server, "sk-canary-canary")
        assert (check.works, "refused the key" in check.detail) == (False, True)
        assert "canary" not in repr(check)
        assert len(server.requests) == 1


async def test_nobody_at_the_address_is_told_at_once():
    model = Model(provider="openai", base_url="http://127.0.0.1:9/v1", name="x")
    [check] = await probe_configured_model(Settings(model=model), seconds=5)
    assert (check.works, "could not be reached" in check.detail) == (False, True)
