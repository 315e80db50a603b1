"""Where the audit is kept."""

from nexus.domain.audit.model import AuditEntry
from nexus.domain.ports.rows import Table

AUDIT = Table("audit", AuditEntry, ("tenant_id", "entry_id"), owner="tenant_id", expires="expires_at")
