"""Where steps are kept."""

from nexus.domain.ports.rows import Table
from nexus.domain.runtime.steps import Step

STEPS = Table("steps", Step, ("scope", "ordinal"), expires="expires_at")
