"""Routes of tasks."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import structs

from nexus.adapters.http.answers import listed, view
from nexus.adapters.http.openapi import documented
from nexus.domain.core.pages import PageRequest
from nexus.domain.core.principal import Principal
from nexus.domain.projects.model import WrongState
from nexus.domain.services import Services
from nexus.wire.lists import Listed
from nexus.wire.tasks import TaskView


@get("/tasks", operation_id="listTasks", **documented("tasks"))
async def list_tasks(
    caller: NamedDependency[Principal], services: NamedDependency[Services], window: NamedDependency[PageRequest]
) -> Listed[TaskView]:
    """The caller's tasks, newest first."""
    return listed(await services.tasks.page(caller, structs.replace(window, newest_first=True)), TaskView)


@get("/tasks/{task_id:str}", operation_id="getTask", **documented("tasks"))
async def get_task(
    task_id: FromPath[str], caller: NamedDependency[Principal], services: NamedDependency[Services]
) -> TaskView:
    """A task as it stands."""
    return view(await services.tasks.get(caller, task_id), TaskView)


@post("/tasks/{task_id:str}/cancel", operation_id="cancelTask", status_code=202, **documented("tasks", 409))
async def cancel_task(
    task_id: FromPath[str], caller: NamedDependency[Principal], services: NamedDependency[Services]
) -> TaskView:
    """Stops a task; a project's is stopped with its build. Asking twice is fine."""
    task = await services.tasks.get(caller, task_id)
    if task.status == "cancelled":
        return view(task, TaskView)
    if task.project_id is None or task.task_type == "purge":
        raise WrongState("This task cannot be stopped.", status=task.status)
    project = await services.projects.get(caller, task.project_id)
    if project.active_task_id != task_id:
        raise WrongState(f"The task is over: it is {task.status}.", status=task.status)
    await services.builds.command(caller, project.project_id, "stop")
    return view(await services.tasks.get(caller, task_id), TaskView)


ROUTES = [list_tasks, get_task, cancel_task]
