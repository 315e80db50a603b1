"""How many builds of one tenant may be under way; what comes beyond that is held, and beyond that refused."""

from msgspec import Struct

from nexus.domain.core.errors import QuotaExceeded
from nexus.domain.core.texts import format_plural_count
from nexus.domain.ports.rows import Below, Write, when
from nexus.domain.projects import rules
from nexus.domain.projects.model import Project, ProjectStatus
from nexus.domain.tallies.service import Tallies

RETRY_SECONDS = 10


class Limits(Struct, frozen=True):
    """For each tenant: how many builds are queued or run (`active`), and how many more wait for that (`held`)."""

    active: int = 100
    held: int = 1000


def make_admission_sort_key(project: Project) -> tuple[int, str, str]:
    """The order in which what is held is let in: the highest priority first, of those who has waited longest."""
    return -project.priority, project.updated_at, project.project_id


class Admission:
    def __init__(self, *, tallies: Tallies, limits: Limits = Limits()) -> None:
        self._tallies, self._limits = tallies, limits

    async def admit_or_defer_move(self, tenant_id: str, move: rules.Move) -> rules.Move:
        """The move as it is to be made now. Nobody overtakes those that wait.

        QuotaExceeded: `facts["position"]` is how many builds are under way or wait."""
        if not move.may_be_held:
            return move
        now, limits = await self._tallies.read_active_tally(tenant_id), self._limits
        if now.builds_active < limits.active and not now.builds_held:
            return move
        if now.builds_held < limits.held:
            return rules.make_pending_move(move)
        raise QuotaExceeded(
            f"{format_plural_count(now.builds_active, 'build')} under way, and {now.builds_held} waiting already.",
            position=now.builds_active + now.builds_held,
            limit=limits.active + limits.held,
            retry_after=RETRY_SECONDS,
        )

    async def has_room(self, tenant_id: str) -> bool:
        """Whether somebody waits who may begin."""
        now = await self._tallies.read_active_tally(tenant_id)
        return now.builds_held > 0 and now.builds_active < self._limits.active

    def make_quota_writes(self, tenant_id: str, before: ProjectStatus | None, after: ProjectStatus) -> list[Write]:
        """Keeps the account of a change of state; the commit that holds it is refused where the limits are reached."""
        added = rules.count_active_builds_change(before, after)
        if not added:
            return []
        bounds: dict[str, Below | tuple[int | None, ...]] = {}
        if added.get("builds_active", 0) > 0:
            bounds["builds_active"] = Below(self._limits.active)
            if before != "pending":
                bounds["builds_held"] = (None, 0)
        if added.get("builds_held", 0) > 0:
            bounds["builds_held"] = Below(self._limits.held)
        return [self._tallies.make_active_tally_write(tenant_id, when(**bounds), **added)]
