"""Routes of projects: asked for, watched, commanded, read."""

from typing import Annotated, cast, get_args

from litestar.params import JSONBody, QueryParameter
from msgspec import structs

from nexus.adapters.http.answers import (
    API,
    Answer,
    convert_page_to_wire,
    convert_to_wire,
    make_etag_answer,
    make_file_answer,
    make_file_url,
)
from nexus.adapters.http.openapi import UNCHANGED
from nexus.adapters.http.requests import JSONRequest, newest
from nexus.adapters.http.routes import Id, Once, Position, Routes, Window
from nexus.adapters.http.sse import ServerSentEvents
from nexus.adapters.http.streams import EventStream
from nexus.domain.core.errors import InvalidInput, NotFound
from nexus.domain.core.pages import Page
from nexus.domain.projects.model import DONE, Project
from nexus.domain.projects.starts import Opening
from nexus.wire import projects as wire
from nexus.wire.lists import Listed
from nexus.wire.tasks import TaskView

route = Routes("projects")


At = Annotated[str | None, QueryParameter(pattern="^[0-9a-f]{40}$", description="A commit; else the newest one.")]

Status = Annotated[
    str | None,
    QueryParameter(pattern=f"^({'|'.join(get_args(wire.ProjectStatus))})$", description="Those that are so now."),
]
"""As text: a choice that may be missing would take `null` for missing."""


@route("POST /projects", 409, 429, status_code=202)
async def create_project(
    request: JSONRequest, data: JSONBody[wire.NewProject], once: Once
) -> Answer[wire.ProjectStarted]:
    """Begins to build an agent. What goes on is told at `events_url`; the task is its entry in the ledger."""
    wanted = structs.replace(convert_to_wire(data, Opening), name=data.project_name)
    started = await request.services.builds.start(request.caller, wanted, once=once)
    url = f"{API}/projects/{started.project_id}"
    content = wire.ProjectStarted(**structs.asdict(started), events_url=f"{url}/events")
    return Answer(content, headers={"location": url})


@route("GET /projects")
async def list_projects(request: JSONRequest, window: Window, status: Status = None) -> Listed[wire.ProjectView]:
    """The projects, newest first."""
    wanted = cast("wire.ProjectStatus | None", status)
    return convert_page_to_wire(
        await request.services.projects.list_projects(request.caller, newest(window), status=wanted), wire.ProjectView
    )


@route("GET /projects/{project_id:str}", also=UNCHANGED)
async def get_project(request: JSONRequest, project_id: Id) -> Answer[wire.ProjectView | None]:
    """A project as it stands."""
    project = await request.services.projects.get(request.caller, project_id)
    shown = await _make_project_view(request, project)
    return make_etag_answer(request, project.revision, shown, beside=shown.position)


@route("DELETE /projects/{project_id:str}", 409, status_code=202)
async def delete_project(
    request: JSONRequest,
    project_id: Id,
    stop_first: Annotated[bool, QueryParameter(description="Stops a build that runs; else that is a 409.")] = False,
) -> Answer[wire.ProjectDeleted]:
    """The project is gone at once; a task deletes what it kept."""
    deleted = await request.services.builds.delete(request.caller, project_id, stop_first=stop_first)
    content = wire.ProjectDeleted(project_id=project_id, task_id=deleted.active_task_id)
    return Answer(content, headers={"location": f"{API}/tasks/{deleted.active_task_id}"})


@route("GET /projects/{project_id:str}/stages")
async def list_stages(request: JSONRequest, project_id: Id) -> Listed[wire.StageView]:
    """The stages of the current build, in order; all of them."""
    return convert_page_to_wire(
        Page([*await request.services.projects.list_current_stages(request.caller, project_id)]), wire.StageView
    )


@route("GET /projects/{project_id:str}/build")
async def get_build(request: JSONRequest, project_id: Id) -> wire.Dashboard:
    """The dashboard: the project, its current build, the task and all stages."""
    project = await request.services.projects.get(request.caller, project_id)
    stages = [
        convert_to_wire(stage, wire.StageView)
        for stage in await request.services.projects.list_current_stages(request.caller, project_id)
    ]
    return wire.Dashboard(
        project=await _make_project_view(request, project),
        build=convert_to_wire(
            await request.services.projects.get_current_build(request.caller, project_id), wire.BuildView
        ),
        task=convert_to_wire(await request.services.projects.get_active_task(request.caller, project_id), TaskView),
        stages=stages,
        completed_stages=sum(stage.status in DONE for stage in stages),
        total_stages=len(stages),
        events_url=f"{API}/projects/{project_id}/events",
    )


@route("POST /projects/{project_id:str}/control", 409, 429, status_code=202)
async def control_project(
    request: JSONRequest, project_id: Id, data: JSONBody[wire.ControlCommand], once: Once
) -> wire.ProjectView:
    """Pauses, resumes or stops the build, tries again after a failure, or builds anew from a stage on. Asking twice is fine."""
    project = await request.services.builds.execute_build_command(
        request.caller, project_id, data.action, from_stage=data.from_stage, once=once
    )
    return convert_to_wire(project, wire.ProjectView)


@route("GET /projects/{project_id:str}/tasks")
async def list_tasks_of_project(request: JSONRequest, project_id: Id, window: Window) -> Listed[TaskView]:
    """The project's tasks, newest first: one for each build."""
    await request.services.projects.get(request.caller, project_id)
    return convert_page_to_wire(
        await request.services.tasks.list_project_tasks(request.caller, project_id, newest(window)), TaskView
    )


@route("GET /projects/{project_id:str}/events", 409, stream="build")
async def follow_project(request: JSONRequest, project_id: Id, position: Position) -> EventStream:
    """The events of the current build: what was told already, then what comes."""
    has_read_all = await request.services.projects.has_read_all_events(request.caller, project_id, position)
    batches = (
        None
        if has_read_all
        else await request.services.projects.stream_build_events(request.caller, project_id, position)
    )
    return EventStream(batches, streams=request.streams, encoder=ServerSentEvents())


@route("GET /projects/{project_id:str}/files")
async def list_files(request: JSONRequest, project_id: Id, at: At = None) -> Listed[wire.FileEntry]:
    """All files of a project."""
    paths = await request.services.projects.list_files(request.caller, project_id, at=at)
    return Listed(items=[wire.FileEntry(path=path, url=make_file_url(project_id, path)) for path in paths])


@route("GET /projects/{project_id:str}/files/{path:path}", media_type="text/plain")
async def read_file(request: JSONRequest, project_id: Id, path: Id, at: At = None) -> Answer[bytes]:
    """A file, as text where it is text. Never as a page: it was written by a model."""
    try:
        content = await request.services.projects.read_file(request.caller, project_id, path.removeprefix("/"), at=at)
    except InvalidInput:
        raise NotFound from None  # no file can have this path
    return make_file_answer(content, "text/plain")


@route("GET /projects/{project_id:str}/report", media_type="text/markdown")
async def read_report(request: JSONRequest, project_id: Id, at: At = None) -> Answer[bytes]:
    """What verification found, as Markdown: one report after the other where there are several agents."""
    return make_file_answer(
        await request.services.projects.read_verification_report(request.caller, project_id, at=at), "text/markdown"
    )


@route("GET /projects/{project_id:str}/commits")
async def list_commits(request: JSONRequest, project_id: Id) -> Listed[wire.CommitView]:
    """The history of the files, newest first; the last hundred."""
    return convert_page_to_wire(
        Page([*await request.services.projects.list_commits(request.caller, project_id)]), wire.CommitView
    )


async def _make_project_view(request: JSONRequest, project: Project) -> wire.ProjectView:
    """With its present position, where it is held."""
    shown = convert_to_wire(project, wire.ProjectView)
    position = await request.services.projects.find_queue_position(request.caller, project)
    return shown if position is None else structs.replace(shown, position=position)
