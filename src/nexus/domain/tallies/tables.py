"""Where counters are kept."""

from nexus.domain.ports.rows import Table
from nexus.domain.tallies.model import Tally

TALLIES = Table("tallies", Tally, ("tenant_id", "day"), owner="tenant_id")
