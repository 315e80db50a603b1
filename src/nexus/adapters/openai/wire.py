"""The chat-completions wire: what is sent, and what comes back in pieces."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from nexus.domain.core.errors import Unavailable
from nexus.domain.core.values import JSON
from nexus.domain.ports.models import ChatMessage, Delta, End, ModelRequest, StopReason, ToolCall, ToolSpec, Usage

_STOPS: dict[str, StopReason] = {
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
_MOST_CALLS = 128


class Dialect(Struct, frozen=True):
    """What an endpoint understands of the wire: the full set until it refused some of it."""

    answers: Literal["schema", "object", "prompt"] = "schema"
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    usage: bool = True
    temperature: bool = True


class FunctionPiece(Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class CallPiece(Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: FunctionPiece | None = None


class Words(Struct, gc=False):
    """A delta of a stream, or the whole message of an endpoint that does not stream."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[CallPiece] | None = None


class Choice(Struct, gc=False):
    delta: Words | None = None
    message: Words | None = None
    finish_reason: str | None = None


class Tokens(Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Fault(Struct):
    """An error as providers spell it: in the body of a refusal, or in the middle of a stream."""

    message: str | None = None
    code: str | int | None = None
    type: str | None = None


class Chunk(Struct, gc=False):
    id: str | None = None
    choices: list[Choice] | None = None
    usage: Tokens | None = None
    error: Fault | str | None = None


class FaultStream(Exception):
    """The provider wrote an error into its stream."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self.fault = fault


_chunk = msgspec.json.Decoder(Chunk).decode
_encode = msgspec.json.Encoder().encode


def encode_chat_request(request: ModelRequest, *, model: str, dialect: Dialect) -> bytes:
    """The body of POST /chat/completions."""
    messages = [_make_chat_message_json(message) for message in request.messages]
    body: JSON = {"model": model, "messages": messages, "stream": True}
    if dialect.usage:
        body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = [_make_tool_spec_json(tool) for tool in request.tools]
    if request.max_tokens is not None:
        body[dialect.limit] = request.max_tokens
    if request.temperature is not None and dialect.temperature:
        body["temperature"] = request.temperature
    if request.schema is not None:
        body |= _make_response_format(request, request.schema, dialect)
        if dialect.answers != "schema":
            body["messages"] = _add_schema_to_prompt(messages, request.schema_name, request.schema)
    return _encode(body)


def simplify_api_dialect(dialect: Dialect, refusal: str, request: ModelRequest) -> Dialect | None:
    """The next simpler dialect after a 400 that names what it did not understand; None when it names nothing of ours."""
    if dialect.usage and ("stream_options" in refusal or "include_usage" in refusal):
        return msgspec.structs.replace(dialect, usage=False)
    if request.max_tokens is not None and dialect.limit == "max_tokens" and "max_completion_tokens" in refusal:
        return msgspec.structs.replace(dialect, limit="max_completion_tokens")
    if request.schema is not None and ("response_format" in refusal or "json_schema" in refusal):
        simpler: dict[str, Literal["object", "prompt"]] = {"schema": "object", "object": "prompt"}
        answers = simpler.get(dialect.answers)
        return msgspec.structs.replace(dialect, answers=answers) if answers else None
    if request.temperature is not None and dialect.temperature and "temperature" in refusal:
        return msgspec.structs.replace(dialect, temperature=False)
    return None


class Assembly:
    """One answer as it arrives: text is handed on at once, tool calls are kept until they are whole."""

    __slots__ = ("_calls", "_id", "_stop", "_usage")

    def __init__(self) -> None:
        self._calls: list[_OpenCall] = []
        self._id = ""
        self._stop: str | None = None
        self._usage: Usage | None = None

    @property
    def has_stop_reason(self) -> bool:
        """The model said why it stopped; only its usage may still come."""
        return self._stop is not None

    @property
    def is_complete(self) -> bool:
        return self.has_stop_reason and self._usage is not None

    def add_sse_payloads(self, payloads: Iterable[bytes]) -> Delta | None:
        """Everything that one read brought, joined; None when it holds no words."""
        text: list[str] = []
        reasoning: list[str] = []
        for payload in payloads:
            for choice in self._get_chunk_choices(_decode_completion_chunk(payload)):
                if choice.finish_reason:
                    self._stop = choice.finish_reason
                if (words := choice.delta or choice.message) is None:
                    continue
                if said := words.content or words.refusal:
                    text.append(said)
                if thought := words.reasoning_content or words.reasoning:
                    reasoning.append(thought)
                for piece in words.tool_calls or ():
                    self._add_tool_call_delta(piece)
        return Delta(text="".join(text), reasoning="".join(reasoning)) if text or reasoning else None

    def make_end_event(self) -> End:
        """Only for an assembly that is `finished`. Calls of an answer that was cut off may be halves: there are none."""
        stop = _STOPS.get(self._stop or "", "end")
        if stop in ("length", "content_filter"):
            return End(stop=stop, usage=self._usage)
        calls = tuple(call.make_tool_call(f"{self._id or 'call'}-{n}") for n, call in enumerate(self._calls))
        if not all(call.name for call in calls):
            raise Unavailable("The model provider sent a tool call without a name.")
        return End(stop="tool_calls" if calls else "end", calls=calls, usage=self._usage)

    def _get_chunk_choices(self, chunk: Chunk) -> Sequence[Choice]:
        if chunk.error is not None:
            raise FaultStream(Fault(message=chunk.error) if isinstance(chunk.error, str) else chunk.error)
        if (told := chunk.usage) and told.prompt_tokens is not None and told.completion_tokens is not None:
            self._usage = Usage(told.prompt_tokens, told.completion_tokens)
        if not self._id:
            self._id = chunk.id or ""
        return chunk.choices or ()

    def _add_tool_call_delta(self, piece: CallPiece) -> None:
        call = self._get_or_add_partial_call(piece)
        call.call_id = call.call_id or piece.id or ""
        if piece.function is not None:
            call.name = call.name or piece.function.name or ""
            call.arguments.append(piece.function.arguments or "")

    def _get_or_add_partial_call(self, piece: CallPiece) -> "_OpenCall":
        """Fragments of one call share an index. Some endpoints count every call as 0, or not at all: a fragment that brings a
        name and a new id begins a call of its own."""
        same = [call for call in self._calls if piece.index is None or call.index == piece.index][-1:]
        named = piece.function is not None and bool(piece.function.name)
        told = bool(piece.id) or piece.index is None
        if same and not (named and same[0].name and told and piece.id != same[0].call_id):
            return same[0]
        if len(self._calls) >= _MOST_CALLS:
            raise Unavailable("The model provider sent more tool calls than any answer needs.")
        self._calls.append(_OpenCall(piece.index))
        return self._calls[-1]


class _OpenCall(Struct):
    index: int | None
    call_id: str = ""
    name: str = ""
    arguments: list[str] = []

    def make_tool_call(self, spare_id: str) -> ToolCall:
        return ToolCall(
            call_id=self.call_id or spare_id, name=self.name, arguments="".join(self.arguments).strip() or "{}"
        )


def _decode_completion_chunk(payload: bytes) -> Chunk:
    try:
        return _chunk(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Unavailable("The model provider sent something that is not a chat completion.") from None


def _make_chat_message_json(message: ChatMessage) -> JSON:
    sent: JSON = {"role": message.role, "content": message.content}
    if message.calls:
        sent["content"] = message.content or None
        sent["tool_calls"] = [_make_tool_call_json(call) for call in message.calls]
    if message.call_id is not None:
        sent["tool_call_id"] = message.call_id
    return sent


def _make_tool_call_json(call: ToolCall) -> JSON:
    return {
        "id": call.call_id,
        "type": "function",
        "function": {"name": call.name, "arguments": _wrap_invalid_arguments(call.arguments)},
    }


def _wrap_invalid_arguments(arguments: str) -> str:
    """Servers render past calls through templates that parse their arguments: what was no JSON object is wrapped in one."""
    try:
        parsed: Any = msgspec.json.decode(arguments)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        parsed = None
    return arguments if isinstance(parsed, dict) else _encode({"unreadable": arguments}).decode()


def _make_tool_spec_json(tool: ToolSpec) -> JSON:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _make_response_format(request: ModelRequest, schema: JSON, dialect: Dialect) -> JSON:
    match dialect.answers:
        case "schema":
            named = {"name": request.schema_name, "schema": schema, "strict": _is_strict_json_schema(schema)}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case "object":
            return {"response_format": {"type": "json_object"}}
        case "prompt":
            return {}


def _is_strict_json_schema(schema: object) -> bool:
    """Strict answers are only possible where every object names all its fields."""
    if isinstance(schema, list):
        return all(_is_strict_json_schema(part) for part in schema)
    if not isinstance(schema, dict):
        return True
    is_object = schema.get("type") == "object"
    return (not is_object or schema.get("additionalProperties") is False) and all(
        map(_is_strict_json_schema, schema.values())
    )


def _add_schema_to_prompt(messages: list[JSON], name: str, schema: JSON) -> list[JSON]:
    """The schema as part of the system prompt, which stays a single one: some chat templates refuse a second."""
    rule = (
        f"Answer with one JSON document and nothing else, without a code fence. It must fit the JSON schema {name}:\n"
        f"{_encode(schema).decode()}"
    )
    if messages and messages[0]["role"] == "system":
        return [{**messages[0], "content": f"{messages[0]['content']}\n\n{rule}"}, *messages[1:]]
    return [{"role": "system", "content": rule}, *messages]
