"""Jobs of projects."""

from nexus.domain.core.errors import Conflict, NotFound
from nexus.domain.projects.model import FinishDeletion
from nexus.domain.services import Services
from nexus.domain.tasks.model import Task
from nexus.jobs.outcomes import COMPLETE, Outcome

WAIT = Outcome(verb="snooze", seconds=2.0, reason="what is deleted is being stopped")


async def run_deletion_job(services: Services, job: FinishDeletion) -> Outcome:
    """Removes what was deleted, from the top down; each step may be repeated, and is until all are done."""
    try:
        return await _delete_task_target(services, await services.tasks.read(job.task_id))
    except (NotFound, Conflict) as error:
        return Outcome(verb="retry", reason=error.detail)


async def _delete_task_target(services: Services, task: Task) -> Outcome:
    if session_id := task.payload.get("session_id"):
        return COMPLETE if await services.session_deletions.delete_session_data(session_id) else WAIT
    if agent_id := task.payload.get("agent_id"):
        return await _delete_agent_data(services, agent_id)
    return await _delete_project_data(services, task.project_id or "")


async def _delete_agent_data(services: Services, agent_id: str) -> Outcome:
    """An agent that a newer build brought back keeps what it has."""
    if await services.agents.has_agent(agent_id):
        return COMPLETE
    over = await services.session_deletions.delete_agent_sessions(agent_id)
    await services.invocations.delete_invocations(agent_id=agent_id)
    return COMPLETE if over else WAIT


async def _delete_project_data(services: Services, project_id: str) -> Outcome:
    if not await services.deletions.is_build_over(project_id):
        return WAIT
    for agent in await services.agents.list_agents_with_deleted(project_id):
        if not await services.session_deletions.delete_agent_sessions(agent.agent_id):
            return WAIT
        await services.invocations.delete_invocations(agent_id=agent.agent_id)
        await services.agents.delete_agent_rows(agent)
    await services.deletions.remove_project_data(project_id)
    return COMPLETE
