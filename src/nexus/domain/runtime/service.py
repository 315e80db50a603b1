"""The tool-calling loop."""

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import msgspec
import structlog

from nexus.domain.core.errors import InvalidInput, NexusError, Unavailable
from nexus.domain.models.service import Models
from nexus.domain.ports.code import CodeRunner, Limits
from nexus.domain.ports.models import ChatMessage, Delta, End, ModelRequest, ToolCall
from nexus.domain.runtime.journal import Journal
from nexus.domain.runtime.model import (
    AgentSpec,
    Answer,
    AnswerEvent,
    AnswerFinished,
    AnswerStop,
    BoundTool,
    ReasoningDelta,
    TextDelta,
    ToolCalled,
    ToolFinished,
    UsageRecorded,
)
from nexus.domain.runtime.quarantine import work_time
from nexus.domain.runtime.steps import TookTooLong, ToolResult
from nexus.domain.tools.arguments import arguments_of
from nexus.domain.tools.calls import describe_failure
from nexus.domain.tools.service import Tools

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
    def end(self) -> End:
        if self._end is None:
            raise Unavailable("The model's stream had no end.")
        return self._end

    async def heard(self, items: AsyncGenerator[Delta | End, None]) -> AsyncGenerator[AnswerEvent, None]:
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
        self, *, models: Models, tools: Tools, code: CodeRunner, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._models, self._tools, self._code, self._timer = models, tools, code, timer

    async def answer(
        self, spec: AgentSpec, history: Sequence[ChatMessage], *, journal: Journal | None = None, depth: int = 0
    ) -> AsyncGenerator[AnswerEvent | AnswerFinished, None]:
        """Model call, tool calls, model call … until the model is done or a limit is met; the last item is `AnswerFinished`.

        `history` ends with what the user said. When a limit is met, one last call without tools says what is known so far. What the
        `journal` has is not called again. The seconds of the limits are the caller's
        to enforce, by cancelling."""
        models = journal.models(self._models) if journal else self._models
        messages = [ChatMessage("system", spec.prompt), *history]
        offered, tokens, out_of = tuple(tool.spec for tool in spec.tools), 0, list[AnswerStop]()
        for step in range(1, spec.limits.steps + 1):
            if step == spec.limits.steps and step > 1:
                out_of.append("steps")
            said = Utterance()
            request = ModelRequest(messages=tuple(messages), tools=() if out_of else offered, purpose="reply")
            async with aclosing(said.heard(models.stream(request))) as pieces:
                async for piece in pieces:
                    yield piece
            recorded = self._recorded(said.end)
            tokens += recorded.input_tokens + recorded.output_tokens
            yield recorded
            if out_of or not said.end.calls:
                yield AnswerFinished(out_of[0] if out_of else said.end.stop)
                return
            messages.append(ChatMessage("assistant", said.text, calls=said.end.calls))
            for call in said.end.calls:
                yield ToolCalled(call.call_id, call.name, call.arguments)
                finished = await self._finished(spec, call, journal, depth)
                messages.append(ChatMessage("tool", finished.result, call_id=call.call_id))
                yield finished
            if tokens > spec.limits.tokens:
                out_of.append("tokens")
        yield AnswerFinished("steps")

    async def whole(
        self, spec: AgentSpec, history: Sequence[ChatMessage], *, journal: Journal | None = None, depth: int = 0
    ) -> Answer:
        """The answer, collected. TookTooLong when it takes longer than the agent's limits allow."""
        heard = list[AnswerEvent | AnswerFinished]()
        try:
            async with (
                work_time(spec.limits.seconds),
                aclosing(self.answer(spec, history, journal=journal, depth=depth)) as answer,
            ):
                async for item in answer:
                    heard.append(item)
        except TimeoutError as error:
            raise TookTooLong(f"{spec.name} took longer than {spec.limits.seconds:g} s.") from error
        return collected(heard)

    def _recorded(self, end: End) -> UsageRecorded:
        if end.usage is None:
            return UsageRecorded(self._models.name, 0, 0, unknown=True)
        return UsageRecorded(self._models.name, end.usage.input_tokens, end.usage.output_tokens)

    async def _finished(self, spec: AgentSpec, call: ToolCall, journal: Journal | None, depth: int) -> ToolFinished:
        """A tool that fails, in whatever way, is told to the model, which may do better; it never ends the answer. What happens to the
        house under it, or to the steps of another agent, is no failure of the tool."""
        tool = next((tool for tool in spec.tools if tool.spec.name == call.name), None)

        async def called(key: str) -> ToolResult:
            began = self._timer()
            try:
                ok, result = True, await self._result(spec, tool, call, (key, journal, depth))
            except NexusError as error:
                if tool is not None and not _is_its_own(tool, error):
                    raise
                ok, result = False, _failure_result(error.detail)
            except Exception as error:
                logger.warning("tool.failed", tool=call.name[:80], exc_info=True)
                ok, result = False, _failure_result(f"The tool failed ({describe_failure(error)}).")
            if len(result) > RESULT_CHARACTERS:
                result = result[:RESULT_CHARACTERS] + "… (cut)"
            return ToolResult(ok=ok, result=result, seconds=round(self._timer() - began, 3))

        if journal is None or tool is None or tool.kind == "agent":
            returned = await called("")
        else:
            returned = await journal.tool(call.name, call.arguments, tool.effect, called)
        return ToolFinished(call.call_id, call.name, returned.ok, returned.result, returned.seconds)

    async def _result(
        self, spec: AgentSpec, tool: BoundTool | None, call: ToolCall, at: tuple[str, Journal | None, int]
    ) -> str:
        key, journal, depth = at
        if tool is None:
            raise InvalidInput(f"There is no tool {call.name!r}.")
        arguments = arguments_of(tool.spec, call.arguments)
        match tool.kind:
            case "library":
                value: object = await self._tools.call(tool.target, arguments)
            case "generated":
                given = {"idempotency_key": key} if tool.takes_key else {}
                value = await self._generated(spec, tool, {**arguments, **given})
            case "agent":
                if depth >= DEPTH:
                    raise InvalidInput("Agents may ask agents only three deep.")
                asked = ChatMessage("user", str(arguments["message"]))
                answer = await self.whole(spec.agents[tool.target], [asked], journal=journal, depth=depth + 1)
                value = answer.text
        return msgspec.json.encode(value).decode()

    async def _generated(self, spec: AgentSpec, tool: BoundTool, arguments: dict[str, object]) -> object:
        outcome = await self._code.call(spec.program, tool.target, arguments, limits=Limits())
        if outcome.status != "ok":
            raise InvalidInput(outcome.error or f"The tool {outcome.status.replace('_', ' ')}.")
        return outcome.value


def _failure_result(detail: str) -> str:
    return msgspec.json.encode({"error": detail.encode(errors="replace").decode()}).decode()


def _is_its_own(tool: BoundTool, error: NexusError) -> bool:
    """Whether the tool is to blame, and not what it runs in."""
    match tool.kind:
        case "agent":
            return isinstance(error, InvalidInput | TookTooLong)
        case "generated":
            return isinstance(error, InvalidInput)
        case "library":
            return not (isinstance(error, Unavailable) and error.facts.keys() & {"reason", "part"})


def collected(heard: Sequence[AnswerEvent | AnswerFinished]) -> Answer:
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
