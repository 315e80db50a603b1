"""Routes of tasks."""

from nexus.adapters.http.answers import view, view_page
from nexus.adapters.http.requests import newest
from nexus.adapters.http.routes import All, Caller, Id, Routes, Window
from nexus.wire.lists import Listed
from nexus.wire.tasks import TaskView

route = Routes("tasks")


@route("GET /tasks")
async def list_tasks(caller: Caller, services: All, window: Window) -> Listed[TaskView]:
    """The caller's tasks, newest first."""
    return view_page(await services.tasks.page(caller, newest(window)), TaskView)


@route("GET /tasks/{task_id:str}")
async def get_task(task_id: Id, caller: Caller, services: All) -> TaskView:
    """A task as it stands."""
    return view(await services.tasks.get(caller, task_id), TaskView)


@route("POST /tasks/{task_id:str}/cancel", 409, status_code=202)
async def cancel_task(task_id: Id, caller: Caller, services: All) -> TaskView:
    """Stops a task; a project's is stopped with its build. Asking twice is fine."""
    return view(await services.builds.stop_task(caller, task_id), TaskView)
