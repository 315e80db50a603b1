"""Sessions, their messages, and replies."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from nexus.wire.values import JSON

CONTENT_CHARACTERS = 50_000
Content = Annotated[
    str,
    Meta(
        min_length=1, max_length=CONTENT_CHARACTERS, description="What is said.", examples=["个税怎么算？月薪 30000 元"]
    ),
]
ReplyStatus = Literal["running", "completed", "failed", "cancelled", "interrupted"]


class NewSession(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Without a name, a session is named after the first thing that is said in it."""

    display_name: Annotated[str, Meta(max_length=100)] = ""
    metadata: Annotated[JSON, Meta(max_length=50)] | None = None


class SessionChanges(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    display_name: Annotated[str, Meta(min_length=1, max_length=100)]


class TextPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: Literal["text"]
    text: Content


class NewMessage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is said: as `content`, or in `parts`, of which each is a paragraph; together at most 50 000 characters."""

    content: Content | None = None
    parts: Annotated[list[TextPart], Meta(min_length=1, max_length=100)] | None = None

    def __post_init__(self) -> None:
        if self.content is None and self.parts is None:
            raise ValueError("Send parts, or the required field `content`")
        if self.content is not None and self.parts is not None:
            raise ValueError("Send `content` or `parts`, not both")
        if sum(len(part.text) for part in self.parts or ()) > CONTENT_CHARACTERS:
            raise ValueError(f"Expected parts of at most {CONTENT_CHARACTERS} characters together")


class SessionView(Struct, frozen=True, kw_only=True):
    """`active_reply` is the reply that is being written."""

    session_id: str
    agent_id: str
    user_id: str
    display_name: str
    status: Literal["active", "closed"]
    message_count: int
    active_reply: str | None
    metadata: JSON | None
    created_at: str
    last_active_at: str


class MessageView(Struct, frozen=True, kw_only=True):
    """An assistant's message has the id of its reply; `metadata.status` says where that was not completed."""

    session_id: str
    message_id: str
    role: Literal["user", "assistant", "system"]
    content: str
    created_at: str
    metadata: JSON | None


class ReplyStartedView(Struct, frozen=True, kw_only=True):
    """The reply is being written: its events are at `events_url`."""

    session_id: str
    reply_id: str
    status: ReplyStatus
    events_url: str


class ReplyView(Struct, frozen=True, kw_only=True):
    """`asked` is the message it answers; `content` and the sums are there once it is over."""

    session_id: str
    reply_id: str
    agent_id: str
    asked: str
    status: ReplyStatus
    content: str
    error_message: str | None
    input_tokens: int
    output_tokens: int
    usage_unknown: bool
    created_at: str
    completed_at: str | None
