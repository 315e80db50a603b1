"""Jobs of projects."""

from nexus.domain.core.principal import Principal
from nexus.domain.projects.model import Purge
from nexus.domain.services import Services


async def purge(services: Services, job: Purge) -> None:
    """Empties the rooms of a deleted project from the top down; each step may be repeated."""
    if (project := await services.deletions.to_purge(job.task_id)) is None:
        return
    owner = Principal(project.tenant_id, project.user_id)
    for agent in await services.agents.bury(owner, project.agent_ids):
        await services.sessions.purge(agent.agent_id)
    await services.deletions.purge(job.task_id, project)
