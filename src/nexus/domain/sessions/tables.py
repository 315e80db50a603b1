"""Where sessions, messages and replies are kept."""

from nexus.domain.ports.rows import Index, Table
from nexus.domain.sessions.model import Message, Reply, Session
from nexus.domain.tasks.execution import LeaseTable

SESSIONS = Table(
    "sessions",
    Session,
    ("session_id",),
    owner="user_id",
    indexes=(
        Index("AgentIndex", "agent_id", "last_active_at", keys_only=True),
        Index("UserIndex", "user_id", "last_active_at"),
        Index("UserAgentIndex", "user_id+agent_id", "last_active_at"),
    ),
)
MESSAGES = Table("messages", Message, ("session_id", "message_id"), owner="user_id")
REPLIES = Table(
    "replies",
    Reply,
    ("reply_id",),
    owner="user_id",
    indexes=(
        Index("SessionIndex", "session_id", "created_at", keys_only=True),
        Index("DispatchIndex", "dispatch", "due_at", keys_only=True),
    ),
)
REPLY_LEASES = LeaseTable(
    REPLIES, places={"running": ("reply", *(f"reply#{number}" for number in range(1, 16)))}, waiting="running"
)
"""A reply that no worker has may be claimed; it is found there until its last event is in its log. Places are only ever added: a reply
stays where the release that wrote it put it."""
