"""Jobs of projects."""

from nexus.domain.projects.model import Project, Purge
from nexus.domain.services import Services


async def purge(services: Services, job: Purge) -> None:
    """Empties the rooms of what was deleted from the top down; each step may be repeated. What is not over yet is asked for again."""
    task = await services.tasks.find(job.task_id)
    if task is None or task.status != "queued":
        return
    if session_id := task.payload.get("session_id"):
        over = await services.sessions.purge_one(session_id)
    elif agent_id := task.payload.get("agent_id"):
        over = await _agent_purged(services, agent_id)
    else:
        project = await services.deletions.to_purge(task)
        over = project is not None and await _project_emptied(services, project)
        if over and project:
            await services.deletions.purge(project)
    if over:
        await services.deletions.purged(task)


async def _agent_purged(services: Services, agent_id: str) -> bool:
    """An agent that a newer build brought back keeps what it has."""
    if await services.agents.is_there(agent_id):
        return True
    over = await services.sessions.purge(agent_id)
    await services.invocations.forget(agent_id=agent_id)
    return over


async def _project_emptied(services: Services, project: Project) -> bool:
    for agent in await services.agents.left_of(project.project_id):
        if not await services.sessions.purge(agent.agent_id):
            return False
        await services.invocations.forget(agent_id=agent.agent_id)
        await services.agents.purge(agent)
    return True
