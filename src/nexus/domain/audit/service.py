"""Who did what: rows in the commit of the deed."""

from typing import Any

from nexus.domain.audit.model import AuditEntry
from nexus.domain.audit.tables import AUDIT
from nexus.domain.core.ids import NewId
from nexus.domain.core.instants import Clock, format_instant
from nexus.domain.core.principal import Principal
from nexus.domain.ports.rows import Write, insert

KEPT_SECONDS = 90 * 86_400


class Audit:
    def __init__(self, *, clock: Clock, new_id: NewId) -> None:
        self._clock, self._new_id = clock, new_id

    def make_audit_write(self, caller: Principal, verb: str, subject: str, **facts: Any) -> Write:
        now = self._clock()
        return insert(
            AUDIT,
            AuditEntry(
                tenant_id=caller.tenant_id,
                entry_id=self._new_id("aud"),
                user_id=caller.user_id,
                kind=caller.kind,
                verb=verb,
                subject=subject,
                facts=facts,
                created_at=format_instant(now),
                expires_at=int(now) + KEPT_SECONDS,
            ),
        )
