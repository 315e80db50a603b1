"""What a conversation holds for the next answer."""

from typing import Any

import msgspec
from msgspec import Struct

from nexus.domain.ports.models import JSON, ChatMessage, ToolCall


class Outcome(Struct, frozen=True):
    """A tool call and what came of it; `failure` is the reason when the tool could not do it."""

    call: ToolCall
    result: Any
    failure: str | None = None

    @property
    def arguments(self) -> JSON:
        return arguments_of(self.call)


class Conversation(Struct, frozen=True):
    """The messages without the system prompt, oldest first."""

    messages: tuple[ChatMessage, ...]

    @classmethod
    def of(cls, messages: tuple[ChatMessage, ...]) -> "Conversation":
        return cls(tuple(message for message in messages if message.role != "system"))

    @property
    def said(self) -> str:
        """What the user said last."""
        return next((message.content for message in reversed(self.messages) if message.role == "user"), "")

    @property
    def earlier(self) -> list[str]:
        """What the user said before that, newest first."""
        return [message.content for message in reversed(self.messages) if message.role == "user"][1:6]

    @property
    def outcomes(self) -> list[Outcome]:
        """The tool calls since the user spoke, in order, when the last message is a tool's."""
        if not self.messages or self.messages[-1].role != "tool":
            return []
        start = max((at for at, message in enumerate(self.messages) if message.role == "user"), default=-1)
        since = self.messages[start + 1 :]
        results = {message.call_id: message.content for message in since if message.role == "tool"}
        calls = [call for message in since for call in message.calls]
        return [_outcome(call, results[call.call_id]) for call in calls if call.call_id in results]

    @property
    def last_call(self) -> ToolCall | None:
        """The last call of an earlier turn."""
        return next((call for message in reversed(self.messages) for call in reversed(message.calls)), None)


def arguments_of(call: ToolCall) -> JSON:
    try:
        value = msgspec.json.decode(call.arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _outcome(call: ToolCall, content: str) -> Outcome:
    try:
        result = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError):
        reason = content.strip()
        return Outcome(call, content, reason if reason.lower().startswith("error") else None)
    if isinstance(result, dict) and result.keys() <= {"error", "errors", "detail"} and result:
        return Outcome(call, result, str(result.get("error", result)))
    return Outcome(call, result)
