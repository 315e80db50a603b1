"""Where it is recorded how a store was changed."""

from nexus.domain.migrations.model import MigrationRun
from nexus.domain.ports.rows import Table

MIGRATION_RUNS = Table("migration_runs", MigrationRun, ("scope", "number"))
