"""The tool-calling loop."""

import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing

import msgspec
import structlog

from nexus.domain.core.errors import InvalidInput, NexusError, Unavailable
from nexus.domain.models.service import Models
from nexus.domain.ports.models import ChatMessage, Delta, End, ModelRequest, ToolCall
from nexus.domain.ports.tools import BoundTool, ToolCallContext, ToolProvider
from nexus.domain.runtime.journal import Journal
from nexus.domain.runtime.model import (
    AgentSpec,
    Answer,
    AnswerEvent,
    AnswerFinished,
    AnswerStop,
    ReasoningDelta,
    TextDelta,
    ToolCalled,
    ToolFinished,
    UsageRecorded,
)
from nexus.domain.runtime.quarantine import limit_work_time
from nexus.domain.runtime.steps import TookTooLong, ToolResult
from nexus.domain.tools.arguments import parse_tool_arguments
from nexus.domain.tools.calls import describe_exception
from nexus.domain.tools.model import ToolError

RESULT_CHARACTERS = 20_000
DEPTH = 3

logger = structlog.get_logger()


class Utterance:
    """What the model says in one call: its pieces as they come, and afterwards the whole."""

    def __init__(self) -> None:
        self._text = list[str]()
        self._end: End | None = None

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def end_item(self) -> End:
        if self._end is None:
            raise Unavailable("The model's stream had no end.")
        return self._end

    async def relay_model_stream(self, items: AsyncGenerator[Delta | End, None]) -> AsyncGenerator[AnswerEvent, None]:
        async with aclosing(items):
            async for item in items:
                if isinstance(item, End):
                    self._end = item
                    continue
                if item.text:
                    self._text.append(item.text)
                    yield TextDelta(item.text)
                if item.reasoning:
                    yield ReasoningDelta(item.reasoning)


class Runtime:
    def __init__(
        self, *, models: Models, providers: Mapping[str, ToolProvider], timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._models, self._providers, self._timer = models, providers, timer

    async def stream_answer(
        self, spec: AgentSpec, history: Sequence[ChatMessage], *, journal: Journal | None = None, depth: int = 0
    ) -> AsyncGenerator[AnswerEvent | AnswerFinished, None]:
        """Model call, tool calls, model call … until the model is done or a limit is met; the last item is `AnswerFinished`.

        `history` ends with what the user said. When a limit is met, one last call without tools says what is known so far. What the
        `journal` has is not called again. The seconds of the limits are the caller's
        to enforce, by cancelling."""
        models = self._models.with_model(spec.model)
        if journal:
            models = journal.wrap_models_in_journal(models)
        messages = [ChatMessage("system", spec.prompt), *history]
        offered, tokens, out_of = tuple(tool.spec for tool in spec.tools), 0, list[AnswerStop]()
        for step in range(1, spec.limits.steps + 1):
            if step == spec.limits.steps and step > 1:
                out_of.append("steps")
            said = Utterance()
            request = ModelRequest(messages=tuple(messages), tools=() if out_of else offered, purpose="reply")
            async with aclosing(said.relay_model_stream(models.stream(request))) as pieces:
                async for piece in pieces:
                    yield piece
            recorded = _make_usage_event(models.name, said.end_item)
            tokens += recorded.input_tokens + recorded.output_tokens
            yield recorded
            if out_of or not said.end_item.calls:
                yield AnswerFinished(out_of[0] if out_of else said.end_item.stop)
                return
            messages.append(ChatMessage("assistant", said.text, calls=said.end_item.calls))
            for call in said.end_item.calls:
                yield ToolCalled(call.call_id, call.name, call.arguments)
                finished = await self._run_tool_call(spec, call, journal, depth)
                messages.append(ChatMessage("tool", finished.result, call_id=call.call_id))
                yield finished
            if tokens > spec.limits.tokens:
                out_of.append("tokens")
        yield AnswerFinished("steps")

    async def collect_answer(
        self, spec: AgentSpec, history: Sequence[ChatMessage], *, journal: Journal | None = None, depth: int = 0
    ) -> Answer:
        """The answer, collected. TookTooLong when it takes longer than the agent's limits allow."""
        heard = list[AnswerEvent | AnswerFinished]()
        try:
            async with (
                limit_work_time(spec.limits.seconds),
                aclosing(self.stream_answer(spec, history, journal=journal, depth=depth)) as answer,
            ):
                async for item in answer:
                    heard.append(item)
        except TimeoutError as error:
            raise TookTooLong(f"{spec.name} took longer than {spec.limits.seconds:g} s.") from error
        return collect_answer(heard)

    async def _run_tool_call(
        self, spec: AgentSpec, call: ToolCall, journal: Journal | None, depth: int
    ) -> ToolFinished:
        """A tool that fails, in whatever way, is told to the model, which may do better; it never ends the answer. What happens to the
        server under it, or to the steps of another agent, is no failure of the tool."""
        tool = next((tool for tool in spec.tools if tool.spec.name == call.name), None)

        async def call_tool(key: str) -> ToolResult:
            began = self._timer()
            try:
                ok, result = (
                    True,
                    await self._call_tool_provider(tool, call, self._make_tool_context(spec, key, journal, depth)),
                )
            except InvalidInput as error:
                ok, result = False, _format_error_json(error.detail)
            except NexusError:
                raise
            except Exception as error:
                logger.warning("tool.failed", tool=call.name[:80], exc_info=True)
                ok, result = False, _format_error_json(f"The tool failed ({describe_exception(error)}).")
            if len(result) > RESULT_CHARACTERS:
                result = result[:RESULT_CHARACTERS] + "… (cut)"
            return ToolResult(ok=ok, result=result, seconds=round(self._timer() - began, 3))

        if journal is None or tool is None or tool.asks:
            returned = await call_tool("")
        else:
            returned = await journal.call_tool_as_step(call.name, call.arguments, tool.effect, call_tool)
        return ToolFinished(call.call_id, call.name, returned.ok, returned.result, returned.seconds)

    async def _call_tool_provider(self, tool: BoundTool | None, call: ToolCall, context: ToolCallContext) -> str:
        if tool is None:
            raise InvalidInput(f"There is no tool {call.name!r}.")
        arguments = parse_tool_arguments(tool.spec, call.arguments)
        value = await self._providers[tool.provider].call_tool(tool, arguments, context)
        return msgspec.json.encode(value).decode()

    def _make_tool_context(self, spec: AgentSpec, key: str, journal: Journal | None, depth: int) -> ToolCallContext:
        async def ask(slug: str, message: str) -> str:
            if depth >= DEPTH:
                raise InvalidInput("Agents may ask agents only three deep.")
            try:
                answer = await self.collect_answer(
                    spec.agents[slug], [ChatMessage("user", message)], journal=journal, depth=depth + 1
                )
            except TookTooLong as error:
                raise ToolError(error.detail) from error
            return answer.text

        return ToolCallContext(program=spec.program, key=key, ask=ask)


def _format_error_json(detail: str) -> str:
    return msgspec.json.encode({"error": detail.encode(errors="replace").decode()}).decode()


def _make_usage_event(model: str, end: End) -> UsageRecorded:
    if end.usage is None:
        return UsageRecorded(model, 0, 0, unknown=True)
    return UsageRecorded(model, end.usage.input_tokens, end.usage.output_tokens)


def collect_answer(heard: Sequence[AnswerEvent | AnswerFinished]) -> Answer:
    """A whole answer out of what was told of it."""
    usages = [event for event in heard if isinstance(event, UsageRecorded)]
    stops = [event.stop for event in heard if isinstance(event, AnswerFinished)]
    return Answer(
        text="".join(event.text for event in heard if isinstance(event, TextDelta)),
        stop=stops[-1] if stops else "end",
        calls=tuple(event for event in heard if isinstance(event, ToolCalled)),
        results=tuple(event for event in heard if isinstance(event, ToolFinished)),
        input_tokens=sum(usage.input_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
        usage_unknown=any(usage.unknown for usage in usages),
    )
