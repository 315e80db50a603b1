"""Who did what."""

from nexus.domain.core.values import JSON
from nexus.domain.ports.rows import Row


class AuditEntry(Row, frozen=True, kw_only=True):
    """Written once, in the commit of the deed."""

    tenant_id: str
    entry_id: str
    user_id: str
    kind: str = "user"
    verb: str
    subject: str
    facts: JSON = {}
    created_at: str
    expires_at: int
