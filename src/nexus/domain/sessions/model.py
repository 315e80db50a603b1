"""Sessions: conversations, their messages, and the replies being written."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from nexus.domain.core.errors import Conflict
from nexus.domain.core.values import JSON
from nexus.domain.ports.jobs import Job
from nexus.domain.ports.rows import Entity, Row
from nexus.domain.runtime.model import ReasoningDelta, TextDelta, Told, ToolCalled, ToolFinished, UsageRecorded
from nexus.domain.tasks.execution import LeaseRow

Role = Literal["user", "assistant", "system"]
ReplyStatus = Literal["running", "completed", "failed", "cancelled", "interrupted"]


class TextPart(Struct, frozen=True, tag_field="type", tag="text"):
    text: str


class ToolCallPart(Struct, frozen=True, tag_field="type", tag="tool_call"):
    """A tool that was called; its arguments and its result are in the log of the reply."""

    call_id: str
    name: str
    ok: bool


Part = TextPart | ToolCallPart
"""What a message, and the input and the output of a reply, are made of. A new kind of content is one more Struct here."""


def join_text_parts(parts: Sequence[Part], between: str = "") -> str:
    return between.join(part.text for part in parts if isinstance(part, TextPart))


class Session(Entity, frozen=True, kw_only=True):
    """A conversation of one user with one agent. `active_reply` is the reply being written, `last_message_id` the end of its order."""

    session_id: str
    agent_id: str
    tenant_id: str
    user_id: str
    display_name: str = ""
    status: Literal["active", "closed"] = "active"
    message_count: int = 0
    active_reply: str | None = None
    last_message_id: str | None = None
    metadata: JSON | None = None
    created_at: str
    last_active_at: str
    deleted_at: str | None = None


class Message(Row, frozen=True, kw_only=True):
    """One kept utterance. An assistant's message has the id of its reply; `metadata.status` where the reply was not completed."""

    session_id: str
    message_id: str
    tenant_id: str
    user_id: str
    role: Role
    parts: tuple[Part, ...] = ()
    created_at: str
    metadata: JSON | None = None

    @property
    def content(self) -> str:
        """Its text. What a user sends in several parts are paragraphs; what a model says between two tool calls goes on."""
        return join_text_parts(self.parts, "" if self.role == "assistant" else "\n")


class Reply(LeaseRow, frozen=True, kw_only=True):
    """The answer to an `input`, while and after it is written. Once over, `output` is what it came to. In a session, `asked` is the message
    with that input. Only deaths of processes that had begun it count: one that ended in good order released it (no `worker_id`)."""

    reply_id: str
    session_id: str | None = None
    agent_id: str
    user_id: str
    status: ReplyStatus = "running"
    asked: str | None = None
    input: tuple[Part, ...] = ()
    output: tuple[Part, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    usage_unknown: bool = False

    @property
    def content(self) -> str:
        return join_text_parts(self.output)


class WriteReply(Job, frozen=True, kw_only=True, tag="sessions.write_reply"):
    reply_id: str


class ReplyStarted(Told, frozen=True, tag="reply.started"):
    session_id: str | None
    reply_id: str


class ReplyWaiting(Told, frozen=True, tag="reply.waiting"):
    """It has to wait before it starts by itself. `position`: how many others waited before it when it was asked for."""

    session_id: str | None
    reply_id: str
    reason: Literal["queue"]
    position: int


class ReplyReset(Told, frozen=True, tag="reply.reset"):
    """Everything that came of this reply so far is void; what follows begins anew."""

    reason: str


LOG_LOST = ReplyReset("The log of this reply was lost in part.")


class ReplyCompleted(Told, frozen=True, tag="reply.completed"):
    reply_id: str
    stop: str


class ReplyFailed(Told, frozen=True, tag="reply.failed"):
    reply_id: str
    reason: str


class ReplyCancelled(Told, frozen=True, tag="reply.cancelled"):
    reply_id: str


class ReplyInterrupted(Told, frozen=True, tag="reply.interrupted"):
    reply_id: str
    reason: str


Ending = ReplyCompleted | ReplyFailed | ReplyCancelled | ReplyInterrupted
ReplyEvent = (
    ReplyStarted
    | ReplyWaiting
    | ReplyReset
    | TextDelta
    | ReasoningDelta
    | ToolCalled
    | ToolFinished
    | UsageRecorded
    | ReplyCompleted
    | ReplyFailed
    | ReplyCancelled
    | ReplyInterrupted
)


class ReplyRunning(Conflict):
    """`facts["reply_id"]` is the one that is being written."""

    title = "One reply at a time"


class SessionClosed(Conflict):
    title = "The session is closed"


class NotLast(Conflict):
    title = "Only the last answer can be written again"
