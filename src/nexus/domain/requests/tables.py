"""Where answers to creating requests are kept."""

from nexus.domain.ports.rows import Table
from nexus.domain.requests.model import KeptAnswer

REQUESTS = Table("requests", KeptAnswer, ("key",), expires="expires_at")
