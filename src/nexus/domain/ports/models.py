"""Chat models: what is asked, what streams back, and which ones run on this machine."""

from collections.abc import AsyncIterator
from typing import Literal, Protocol

from msgspec import Struct

from nexus.domain.core.values import JSON

StopReason = Literal["end", "length", "tool_calls", "content_filter"]


class ToolCall(Struct, frozen=True):
    """A call that the model wants made. `arguments` is JSON text as the model wrote it: untrusted."""

    call_id: str
    name: str
    arguments: str


class ChatMessage(Struct, frozen=True):
    """One entry of a conversation as a model sees it; `calls` with role assistant, `call_id` with role tool."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None


class ToolSpec(Struct, frozen=True):
    """A tool as offered to a model; `parameters` is a JSON schema of type object."""

    name: str
    description: str
    parameters: JSON


class ModelRequest(Struct, frozen=True, kw_only=True):
    """What a model is asked.

    `purpose` says what for (`reply`, `build.intake` …): for accounting, and for models that are scripts.
    With `schema` (a JSON schema named `schema_name`) the text of the answer is to be one JSON document of that schema."""

    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    purpose: str = "reply"
    schema: JSON | None = None
    schema_name: str = "answer"
    max_tokens: int | None = None
    temperature: float | None = None


class Usage(Struct, frozen=True):
    """Tokens of one call, as the provider counts them."""

    input_tokens: int = 0
    output_tokens: int = 0


class Delta(Struct, frozen=True):
    """What one read from the model brought, joined."""

    text: str = ""
    reasoning: str = ""


class End(Struct, frozen=True):
    """The last item of a stream. `usage` is None when the provider did not say: unknown, not zero."""

    stop: StopReason
    calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None


class ChatModel(Protocol):
    @property
    def name(self) -> str:
        """The model as its provider knows it: `offline`, `gpt-4o-mini` …"""
        ...

    def stream(self, request: ModelRequest) -> AsyncIterator[Delta | End]:
        """Any number of Deltas, then exactly one End. Closing the iterator ends the call at the provider.

        Raises Unavailable (time-outs, resets, 429, 5xx, a stream that breaks off; `retry_after` where told; `reason` is `provider`
        where it did not begin to answer),
        PermissionDenied (401, 403: the key), QuotaExceeded (402), InvalidInput (other 4xx: asking again is useless).
        Never yields half a tool call."""
        ...


DEFAULT = "default"
"""The name by which every catalog has the model that is configured."""


class ModelCatalog(Protocol):
    def get_model(self, name: str) -> ChatModel:
        """The model of this name; DEFAULT is the configured one. InvalidInput for a name that no model here has."""
        ...


class LocalModel(Struct, frozen=True, kw_only=True):
    """A server of models on this machine. `provider` is one of `ollama`, `lmstudio`, `vllm`, `llamacpp`; `base_url` is what a
    ChatModel on it takes; `names` are the models that it offers, those for chats first; empty where it has loaded none."""

    provider: str
    base_url: str
    names: tuple[str, ...] = ()


class ModelDiscovery(Protocol):
    async def find_local_models(self) -> list[LocalModel]:
        """The servers of models that answer on this machine's usual ports, in a fixed order; empty when there is none.

        Takes less than a second, sends no key and nothing else that is secret, and never raises for what answers strangely."""
        ...
