"""Whatever breaks in a tool is the tool's failure, told to the model; what happens to the server under it is not."""

import asyncio

import msgspec
import pytest

from nexus.adapters.memory.models import MemoryCatalog
from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.core.errors import Conflict, Unavailable
from nexus.domain.models.service import Models
from nexus.domain.ports.code import CodeRunner, Outcome
from nexus.domain.ports.database import Tables
from nexus.domain.ports.models import ChatMessage, ToolCall, ToolSpec
from nexus.domain.ports.tools import BoundTool
from nexus.domain.ports.web import Web
from nexus.domain.runtime.model import AgentSpec, Answer
from nexus.domain.runtime.service import Runtime
from nexus.domain.tools.library.registry import LIBRARY
from nexus.domain.tools.providers import make_tool_providers
from nexus.domain.tools.service import Tools
from tests.fakes.code import MemoryCode
from tests.fakes.models import ScriptedModel, turn
from tests.fakes.web import MemoryWeb, ScriptedPage

ADDRESS = "https://example.com/"
ANYTHING = {"type": "object", "properties": {"message": {"type": "string"}}}
ASKED = [ChatMessage("user", "Go on")]
HTTP_GET = BoundTool(provider="library", spec=LIBRARY["http_get"].spec, target="http_get")
MADE = BoundTool(provider="generated", spec=ToolSpec("made", "", ANYTHING), target="tools/made.py:made")
OTHER = BoundTool(provider="agent", spec=ToolSpec("other", "", ANYTHING), target="other", asks=True)


class Breaking:
    """A web, and a runner of code, in which a library breaks."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    async def fetch_url(self, url: str, **_: object) -> object:
        raise self._error

    async def call_function(self, *_: object, **__: object) -> object:
        raise self._error


class Answering:
    """A runner of code that answers this value."""

    def __init__(self, value: object) -> None:
        self._value = value

    async def call_function(self, *_: object, **__: object) -> Outcome:
        return Outcome(status="ok", value=self._value)


class Crashing(ScriptedModel):
    """Its second call, that of the other agent, breaks in a way that no port allows."""

    async def stream(self, request):  # type: ignore[no-untyped-def]  # as the port has it
        if len(self.requests) == 1:
            self.requests.append(request)
            raise ZeroDivisionError("of the model")
        async for item in super().stream(request):
            yield item


async def answered(
    tool: BoundTool, arguments: str, *, web: object = None, code: object = None, model: ScriptedModel | None = None
) -> Answer:
    scripted = model or ScriptedModel()
    scripted.add(turn(ToolCall("c1", tool.spec.name, arguments)), "I could not do it.")
    found: Web = web or MemoryWeb({})  # type: ignore[assignment]  # a stand-in of the parts that are called
    runner: CodeRunner = code or MemoryCode()  # type: ignore[assignment]  # as above
    tables = Tables(MemoryTables(), secret=b"s" * 32, clock=lambda: 0.0)
    models = Models(catalog=MemoryCatalog(scripted), clock=lambda: 0.0, sleep=asyncio.sleep)
    providers = make_tool_providers(Tools(tables=tables, web=found, clock=lambda: 0.0), runner)
    runtime = Runtime(models=models, providers=providers)
    other = AgentSpec(agent_id="other", name="Other", prompt="Help.")
    spec = AgentSpec(agent_id="one", name="One", prompt="Help.", tools=(tool,), agents={"other": other})
    return await runtime.collect_answer(spec, ASKED)


def failure(answer: Answer) -> str:
    [result] = answer.results
    assert not result.ok
    assert answer.text == "I could not do it."
    said: str = msgspec.json.decode(result.result)["error"]
    return said


BROKEN = [
    ValueError("Exceeds the limit"),
    KeyError("x"),
    RecursionError(),
    MemoryError(),
    ExceptionGroup("both", [OSError()]),
    OSError(28, "full"),
]


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
async def test_an_exception_of_a_library_tool_is_told_to_the_model(error: Exception) -> None:
    said = failure(await answered(HTTP_GET, f'{{"url": "{ADDRESS}"}}', web=Breaking(error)))
    assert type(error).__name__ in said


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
async def test_an_exception_around_generated_code_is_told_to_the_model(error: Exception) -> None:
    assert type(error).__name__ in failure(await answered(MADE, "{}", code=Breaking(error)))


@pytest.mark.parametrize(
    "value", ["\ud800", {"a": "\udfff"}, 1 << 80, {1j: 1}, object()], ids=lambda value: type(value).__name__
)
async def test_a_value_that_is_no_json_is_told_to_the_model(value: object) -> None:
    answer = await answered(MADE, "{}", code=Answering(value))
    assert answer.text == "I could not do it."


async def test_an_exception_of_another_agent_is_told_to_the_one_that_asked() -> None:
    assert "ZeroDivisionError" in failure(await answered(OTHER, '{"message": "x"}', model=Crashing()))


async def test_an_agent_that_is_asked_without_a_message_is_a_wrong_call() -> None:
    assert failure(await answered(OTHER, "{}"))


@pytest.mark.parametrize("error", [Unavailable("away", reason="database"), Conflict("lost")])
async def test_what_happens_to_the_server_under_a_tool_is_not_the_tools_failure(error: Exception) -> None:
    with pytest.raises(type(error)):
        await answered(MADE, "{}", code=Breaking(error))


@pytest.mark.parametrize(
    "page",
    [
        "&#" + "9" * 5000 + ";",
        "&#x" + "f" * 5000 + ";",
        "&#" + "0" * 5000 + "65;",
        "<p>&#" + "1" * 900_000,
        "&#;&#x;&#xg;&#-1;",
    ],
    ids=["decimal", "hexadecimal", "zeros", "endless", "none"],
)
async def test_a_page_with_a_number_of_any_length_is_read(page: str) -> None:
    web = MemoryWeb({ADDRESS: ScriptedPage(text=f"<p>Hello {page} you</p>", content_type="text/html")})
    answer = await answered(HTTP_GET, f'{{"url": "{ADDRESS}"}}', web=web)
    assert answer.results[0].ok
    assert "Hello" in answer.results[0].result


@pytest.mark.parametrize("place", ["http://[", "//[", "https://[::1", "http://exa mple.com:x/", "http://ａ［/"])
async def test_a_redirect_to_nowhere_is_told_to_the_model(place: str) -> None:
    web = MemoryWeb({ADDRESS: ScriptedPage(status=302, location=place)})
    assert failure(await answered(HTTP_GET, f'{{"url": "{ADDRESS}"}}', web=web))
