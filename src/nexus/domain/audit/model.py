"""Who did what."""

from typing import Any

from nexus.domain.ports.rows import Row

JSON = dict[str, Any]


class AuditEntry(Row, frozen=True, kw_only=True):
    """Written once, in the commit of the deed."""

    tenant_id: str
    entry_id: str
    user_id: str
    verb: str
    subject: str
    facts: JSON = {}
    created_at: str
    expires_at: int
