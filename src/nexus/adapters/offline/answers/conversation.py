"""The tool calls of a conversation, and what came of them."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from nexus.domain.core.values import JSON
from nexus.domain.ports.models import ChatMessage


class Outcome(Struct, frozen=True):
    """A tool call and what came of it; `failure` is the reason when the tool could not do it."""

    tool: str
    arguments: JSON
    result: Any
    failure: str | None = None


def outcomes_of(messages: Sequence[ChatMessage]) -> list[Outcome]:
    """The tool calls since the user spoke, in order, when the last message is a tool's."""
    if not messages or messages[-1].role != "tool":
        return []
    start = max((at for at, message in enumerate(messages) if message.role == "user"), default=-1)
    results = {message.call_id: message.content for message in messages[start + 1 :] if message.role == "tool"}
    calls = [call for message in messages[start + 1 :] for call in message.calls if call.call_id in results]
    return [_outcome(call.name, call.arguments, results[call.call_id]) for call in calls]


def _outcome(tool: str, arguments: str, content: str) -> Outcome:
    given, result = _decoded(arguments), _decoded(content)
    given = given if isinstance(given, dict) else {}
    failure = content.strip() if result is content and content.lower().startswith("error") else None
    if isinstance(result, dict) and result and result.keys() <= {"error", "errors", "detail"}:
        failure = str(result.get("error", result))
    return Outcome(tool, given, result, failure)


def _decoded(text: str) -> Any:
    """JSON; a text that is none stays as it is."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
