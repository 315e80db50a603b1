"""Jobs of projects."""

from nexus.domain.projects.model import Purge
from nexus.domain.services import Services


async def purge(services: Services, job: Purge) -> None:
    """Empties the rooms of a deleted agent or project from the top down; each step may be repeated."""
    task = await services.tasks.find(job.task_id)
    if task is None or task.status != "queued":
        return
    if agent_id := task.payload.get("agent_id"):
        await services.sessions.purge(agent_id)
        await services.deletions.purged(task)
    elif project := await services.deletions.to_purge(task):
        for agent in await services.agents.left_of(project.project_id):
            await services.sessions.purge(agent.agent_id)
            await services.agents.purge(agent)
        await services.deletions.purge(task, project)
