"""Decisions about conversations. Pure."""

from collections.abc import Sequence

import msgspec

from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.ids import NewId, make_id_after
from nexus.domain.core.texts import estimate_tokens, truncate_to_bytes
from nexus.domain.core.values import JSON
from nexus.domain.ports.models import ChatMessage
from nexus.domain.ports.rows import is_nested_deeper_than
from nexus.domain.runtime.model import TextDelta
from nexus.domain.sessions.model import (
    Ending,
    Message,
    Part,
    Reply,
    ReplyCancelled,
    ReplyCompleted,
    ReplyEvent,
    ReplyFailed,
    ReplyInterrupted,
    ReplyReset,
    ReplyWaiting,
    TextPart,
)

NAME_CHARACTERS = 40
CONTEXT_WEIGHT = 12_000
"""Tokens of a conversation that a model is shown, counted as by `estimate_tokens`."""
KEPT_BYTES = 380_000
"""What input and output of a reply may take in its row; the log has the whole."""
PART_BYTES = 100
"""More than a part takes beside its text."""


METADATA_BYTES, METADATA_LEVELS = 16 * 1024, 20


def check_session_metadata(metadata: JSON | None) -> None:
    """InvalidInput for more than a session carries."""
    if is_nested_deeper_than(metadata, METADATA_LEVELS) or len(msgspec.json.encode(metadata)) > METADATA_BYTES:
        message = f"At most {METADATA_BYTES} bytes, nested at most {METADATA_LEVELS} levels deep."
        raise InvalidInput(message, errors=[{"pointer": "/metadata", "message": message}])


def make_reply_topic(reply_id: str) -> str:
    return f"reply:{reply_id}"


def make_session_name(content: str) -> str:
    """A session's name from the first thing said in it."""
    line = " ".join(content.split())
    return line if len(line) <= NAME_CHARACTERS else line[: NAME_CHARACTERS - 1].rstrip() + "…"


def make_message_ids(last: str | None, new_id: NewId) -> tuple[str, str]:
    """Two message ids behind the last one of a session, whichever process made that."""
    first = new_id("msg")
    if last and first <= last:
        first = make_id_after(last)
    return first, max(new_id("msg"), make_id_after(first))


def select_context_messages(messages: Sequence[Message]) -> list[ChatMessage]:
    """The newest messages that fit, oldest first; what came to nothing is left out."""
    kept, room = list[ChatMessage](), CONTEXT_WEIGHT
    for message in reversed(messages):
        if not message.content:
            continue
        room -= estimate_tokens(message.content)
        if room < 0 and kept:
            break
        kept.append(ChatMessage(message.role, message.content))
    return kept[::-1]


def truncate_output_parts(parts: Sequence[Part], *, beside: Sequence[Part]) -> tuple[Part, ...]:
    """As many of the parts as a row can hold beside these, the last one cut."""
    kept, space = list[Part](), KEPT_BYTES - len(msgspec.json.encode(beside))
    for part in parts:
        size = len(msgspec.json.encode(part))
        if size <= space:
            kept.append(part)
        elif isinstance(part, TextPart) and space > PART_BYTES:
            kept.append(TextPart(truncate_to_bytes(part.text, space - PART_BYTES)))
        if (space := space - size - 1) < 0:
            break
    return tuple(kept)


def make_end_event(reply: Reply) -> Ending:
    """The last event of a reply, as its row tells it."""
    match reply.status:
        case "completed":
            return ReplyCompleted(reply.reply_id, "end")
        case "cancelled":
            return ReplyCancelled(reply.reply_id)
        case "failed":
            return ReplyFailed(reply.reply_id, reply.error_message or "")
        case _:
            return ReplyInterrupted(reply.reply_id, reply.error_message or "")


def has_reply_started(events: Sequence[ReplyEvent]) -> bool:
    """Whether more was emitted of a reply than that it waits."""
    return any(not isinstance(event, ReplyWaiting) for event in events)


def make_lost_log_events(reply: Reply, events: Sequence[ReplyEvent]) -> list[ReplyEvent]:
    """What takes the place of all that the log of a reply that is over should hold, where it holds nothing of it."""
    if has_reply_started(events) or (events and not reply.content):
        return []
    return [ReplyReset("The log of this reply was lost."), TextDelta(reply.content)]
