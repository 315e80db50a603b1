"""Routes of tasks."""

from nexus.adapters.http.answers import convert_page_to_wire, convert_to_wire
from nexus.adapters.http.requests import JSONRequest, newest
from nexus.adapters.http.routes import Id, Routes, Window
from nexus.wire.lists import Listed
from nexus.wire.tasks import TaskView

route = Routes("tasks")


@route("GET /tasks")
async def list_tasks(request: JSONRequest, window: Window) -> Listed[TaskView]:
    """The caller's tasks, newest first."""
    return convert_page_to_wire(await request.services.tasks.list_tasks(request.caller, newest(window)), TaskView)


@route("GET /tasks/{task_id:str}")
async def get_task(request: JSONRequest, task_id: Id) -> TaskView:
    """A task as it stands."""
    return convert_to_wire(await request.services.tasks.get(request.caller, task_id), TaskView)


@route("POST /tasks/{task_id:str}/cancel", 409, status_code=202)
async def cancel_task(request: JSONRequest, task_id: Id) -> TaskView:
    """Stops a task; a project's is stopped with its build. Asking twice is fine."""
    return convert_to_wire(await request.services.builds.stop_build_of_task(request.caller, task_id), TaskView)
