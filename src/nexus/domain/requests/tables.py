"""Where answers to creating requests are kept."""

from nexus.domain.ports.rows import Table
from nexus.domain.requests.model import KeptAnswer
from nexus.domain.tasks.execution import LeaseTable

REQUESTS = Table("requests", KeptAnswer, ("key",), expires="expires_at")
REQUEST_LEASES = LeaseTable(REQUESTS, places={})
"""Nobody looks for these: who comes with the same key takes over what a dead worker left."""
