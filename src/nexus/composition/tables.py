"""Every table of every module: what the driver of tables has to know."""

from collections.abc import Sequence
from typing import Any

from nexus.domain.agents.tables import AGENTS, DEPLOYMENTS, INVOCATIONS, RESERVATIONS, VERSIONS
from nexus.domain.audit.tables import AUDIT
from nexus.domain.events.tables import EVENTS
from nexus.domain.migrations.tables import MIGRATION_RUNS
from nexus.domain.ports.rows import Table
from nexus.domain.projects.tables import BUILDS, PROJECTS, STAGES
from nexus.domain.requests.tables import REQUESTS
from nexus.domain.runtime.tables import STEPS
from nexus.domain.sessions.tables import MESSAGES, REPLIES, SESSIONS
from nexus.domain.tallies.tables import TALLIES
from nexus.domain.tasks.tables import TASKS
from nexus.domain.tools.tables import TOOL_USES, TOOLS

TABLES: Sequence[Table[Any]] = (
    PROJECTS, STAGES, BUILDS, AGENTS, VERSIONS, DEPLOYMENTS, RESERVATIONS, INVOCATIONS, SESSIONS, MESSAGES, REPLIES,
    TASKS, TOOLS, TOOL_USES, STEPS, EVENTS, REQUESTS, TALLIES, AUDIT, MIGRATION_RUNS,
)  # fmt: skip
"""Everything that is stored."""
