"""How an agent answers: what it is made of, and what it tells while it does."""

from typing import Literal

from msgspec import Struct

from nexus.domain.ports.code import Program
from nexus.domain.ports.models import DEFAULT, StopReason
from nexus.domain.ports.tools import BoundTool


class AnswerLimits(Struct, frozen=True, kw_only=True):
    """What one answer may use: model calls, tokens in and out, seconds."""

    steps: int = 8
    tokens: int = 60_000
    seconds: float = 180.0


class AgentSpec(Struct, frozen=True, kw_only=True):
    """Everything that is needed to answer: nothing is looked up any more but the `model`, by its name. Agents that it may ask are inside."""

    agent_id: str
    name: str
    prompt: str
    model: str = DEFAULT
    tools: tuple[BoundTool, ...] = ()
    program: Program = Program({})
    agents: "dict[str, AgentSpec]" = {}
    limits: AnswerLimits = AnswerLimits()


class Told(Struct, frozen=True, tag_field="type"):
    """Base of what an answer tells."""


class TextDelta(Told, frozen=True, tag="reply.delta"):
    text: str


class ReasoningDelta(Told, frozen=True, tag="reply.reasoning"):
    text: str


class ToolCalled(Told, frozen=True, tag="tool.called"):
    """`arguments` is JSON text as the model wrote it."""

    call_id: str
    name: str
    arguments: str


class ToolFinished(Told, frozen=True, tag="tool.finished"):
    """`result` is JSON text, cut when long; where `ok` is false it says what went wrong."""

    call_id: str
    name: str
    ok: bool
    result: str
    seconds: float


class UsageRecorded(Told, frozen=True, tag="usage.recorded"):
    """What one model call cost; `unknown` when the provider did not say."""

    model: str
    input_tokens: int
    output_tokens: int
    unknown: bool = False


AnswerEvent = TextDelta | ReasoningDelta | ToolCalled | ToolFinished | UsageRecorded
AnswerStop = StopReason | Literal["steps", "tokens"]


class AnswerFinished(Struct, frozen=True):
    """The last item of an answer."""

    stop: AnswerStop


class Answer(Struct, frozen=True, kw_only=True):
    """A whole answer, for callers that do not stream."""

    text: str
    stop: AnswerStop
    calls: tuple[ToolCalled, ...] = ()
    results: tuple[ToolFinished, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    usage_unknown: bool = False
