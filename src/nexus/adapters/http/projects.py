"""Routes of projects: asked for, watched, commanded, read."""

import re
from typing import Annotated, Any, cast, get_args

from litestar import Request, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import structs

from nexus.adapters.http.answers import API, Answer, listed, tagged, url_of, view, written
from nexus.adapters.http.openapi import documented, streamed
from nexus.adapters.http.sse import ServerSentEvents
from nexus.adapters.http.streams import EventStream, Streams
from nexus.domain.core.errors import InvalidInput, NotFound
from nexus.domain.core.pages import PageRequest
from nexus.domain.core.principal import Principal
from nexus.domain.projects.model import DONE, Project
from nexus.domain.projects.openings import Opening
from nexus.domain.requests.model import Once
from nexus.domain.services import Services
from nexus.wire.lists import Listed
from nexus.wire.projects import (
    BuildView,
    CommitView,
    ControlCommand,
    Dashboard,
    FileEntry,
    NewProject,
    ProjectDeleted,
    ProjectStarted,
    ProjectStatus,
    ProjectView,
    StageView,
)
from nexus.wire.tasks import TaskView

REPORT = re.compile(r"agents/[^/]+/docs/report\.md")

At = Annotated[str | None, QueryParameter(pattern="^[0-9a-f]{40}$", description="A commit; else the newest one.")]

Status = Annotated[
    str | None,
    QueryParameter(pattern=f"^({'|'.join(get_args(ProjectStatus))})$", description="Those that are so now."),
]
"""As text: a choice that may be missing would take `null` for missing."""


@post("/projects", operation_id="createProject", status_code=202, **documented("projects", 409, 429))
async def create_project(
    data: JSONBody[NewProject],
    caller: NamedDependency[Principal],
    services: NamedDependency[Services],
    once: NamedDependency[Once | None],
) -> Answer[ProjectStarted]:
    """Begins to build an agent. What goes on is told at `events_url`; the task is its entry in the ledger."""
    wanted = Opening(
        requirement=data.requirement,
        name=data.project_name,
        priority=data.priority,
        tags=data.tags,
        accept_partial=data.accept_partial,
        user_name=data.user_name,
    )
    started = await services.builds.start(caller, wanted, once=once)
    url = f"{API}/projects/{started.project_id}"
    content = ProjectStarted(**structs.asdict(started), events_url=f"{url}/events")
    return Answer(content, headers={"location": url})


@get("/projects", operation_id="listProjects", **documented("projects"))
async def list_projects(
    caller: NamedDependency[Principal],
    services: NamedDependency[Services],
    window: NamedDependency[PageRequest],
    status: Status = None,
) -> Listed[ProjectView]:
    """The projects, newest first."""
    newest = structs.replace(window, newest_first=True)
    return listed(
        await services.projects.page(caller, newest, status=cast("ProjectStatus | None", status)), ProjectView
    )


@get("/projects/{project_id:str}", operation_id="getProject", **documented("projects", etag=True))
async def get_project(
    request: Request[Any, Any, Any],
    project_id: FromPath[str],
    caller: NamedDependency[Principal],
    services: NamedDependency[Services],
) -> Answer[ProjectView | None]:
    """A project as it stands."""
    project = await services.projects.get(caller, project_id)
    shown = await _shown(services, caller, project)
    return tagged(request, project.revision, shown, beside=shown.position)


@delete("/projects/{project_id:str}", operation_id="deleteProject", status_code=202, **documented("projects", 409))
async def delete_project(
    project_id: FromPath[str],
    caller: NamedDependency[Principal],
    services: NamedDependency[Services],
    stop_first: Annotated[bool, QueryParameter(description="Stops a build that runs; else that is a 409.")] = False,
) -> Answer[ProjectDeleted]:
    """The project is gone at once; a task empties its rooms."""
    deleted = await services.builds.delete(caller, project_id, stop_first=stop_first)
    content = ProjectDeleted(project_id=project_id, task_id=deleted.active_task_id)
    return Answer(content, headers={"location": f"{API}/tasks/{deleted.active_task_id}"})


@get("/projects/{project_id:str}/stages", operation_id="listStages", **documented("projects"))
async def list_stages(
    project_id: FromPath[str], caller: NamedDependency[Principal], services: NamedDependency[Services]
) -> Listed[StageView]:
    """The stages of the current build, in order; all of them."""
    return Listed(items=[view(stage, StageView) for stage in await services.projects.stages(caller, project_id)])


@get("/projects/{project_id:str}/build", operation_id="getBuild", **documented("projects"))
async def get_build(
    project_id: FromPath[str], caller: NamedDependency[Principal], services: NamedDependency[Services]
) -> Dashboard:
    """The dashboard: the project, its current build, the task and all stages."""
    project = await services.projects.get(caller, project_id)
    stages = [view(stage, StageView) for stage in await services.projects.stages(caller, project_id)]
    return Dashboard(
        project=await _shown(services, caller, project),
        build=view(await services.projects.build(caller, project_id), BuildView),
        task=view(await services.projects.task(caller, project_id), TaskView),
        stages=stages,
        completed_stages=sum(stage.status in DONE for stage in stages),
        total_stages=len(stages),
        events_url=f"{API}/projects/{project_id}/events",
    )


@post(
    "/projects/{project_id:str}/control",
    operation_id="controlProject",
    status_code=202,
    **documented("projects", 409, 429),
)
async def control_project(
    project_id: FromPath[str],
    data: JSONBody[ControlCommand],
    caller: NamedDependency[Principal],
    services: NamedDependency[Services],
    once: NamedDependency[Once | None],
) -> ProjectView:
    """Pauses, resumes or stops the build, tries again after a failure, or builds anew from a stage on. Asking twice is fine."""
    if data.from_stage is not None and data.action != "restart":
        message = "Only a restart begins at a stage."
        raise InvalidInput(message, errors=[{"pointer": "/from_stage", "message": message}])
    project = await services.builds.command(caller, project_id, data.action, from_stage=data.from_stage, once=once)
    return view(project, ProjectView)


@get("/projects/{project_id:str}/tasks", operation_id="listTasksOfProject", **documented("projects"))
async def list_tasks_of_project(
    project_id: FromPath[str],
    caller: NamedDependency[Principal],
    services: NamedDependency[Services],
    window: NamedDependency[PageRequest],
) -> Listed[TaskView]:
    """The project's tasks, newest first: one for each build."""
    await services.projects.get(caller, project_id)
    newest = structs.replace(window, newest_first=True)
    return listed(await services.tasks.page_of_project(caller, project_id, newest), TaskView)


@get("/projects/{project_id:str}/events", operation_id="followProject", **streamed("projects", "build"))
async def follow_project(
    project_id: FromPath[str],
    caller: NamedDependency[Principal],
    services: NamedDependency[Services],
    streams: NamedDependency[Streams],
    position: NamedDependency[int],
) -> EventStream:
    """The events of the current build: what was told already, then what comes."""
    has_read_all = await services.projects.has_read_all(caller, project_id, position)
    batches = None if has_read_all else await services.projects.follow(caller, project_id, position)
    return EventStream(batches, streams=streams, encoder=ServerSentEvents())


@get("/projects/{project_id:str}/files", operation_id="listFiles", **documented("projects"))
async def list_files(
    project_id: FromPath[str], caller: NamedDependency[Principal], services: NamedDependency[Services], at: At = None
) -> Listed[FileEntry]:
    """All files of a project."""
    paths = await services.projects.files(caller, project_id, at=at)
    return Listed(items=[FileEntry(path=path, url=url_of(project_id, path)) for path in paths])


@get(
    "/projects/{project_id:str}/files/{path:path}",
    operation_id="readFile",
    media_type="text/plain",
    **documented("projects"),
)
async def read_file(
    project_id: FromPath[str],
    path: FromPath[str],
    caller: NamedDependency[Principal],
    services: NamedDependency[Services],
    at: At = None,
) -> Answer[bytes]:
    """A file, as text where it is text. Never as a page: it was written by a model."""
    try:
        content = await services.projects.file(caller, project_id, path.removeprefix("/"), at=at)
    except InvalidInput:
        raise NotFound from None  # no file can have this path
    return written(content, "text/plain")


@get(
    "/projects/{project_id:str}/report", operation_id="readReport", media_type="text/markdown", **documented("projects")
)
async def read_report(
    project_id: FromPath[str], caller: NamedDependency[Principal], services: NamedDependency[Services], at: At = None
) -> Answer[bytes]:
    """What verification found, as Markdown: one report after the other where there are several agents."""
    paths = [path for path in await services.projects.files(caller, project_id, at=at) if REPORT.fullmatch(path)]
    if not paths:
        raise NotFound
    reports = [await services.projects.file(caller, project_id, path, at=at) for path in paths]
    return written(b"\n".join(reports), "text/markdown")


@get("/projects/{project_id:str}/commits", operation_id="listCommits", **documented("projects"))
async def list_commits(
    project_id: FromPath[str], caller: NamedDependency[Principal], services: NamedDependency[Services]
) -> Listed[CommitView]:
    """The history of the files, newest first; the last hundred."""
    return Listed(items=[view(commit, CommitView) for commit in await services.projects.commits(caller, project_id)])


async def _shown(services: Services, caller: Principal, project: Project) -> ProjectView:
    """With its present position, where it is held."""
    shown = view(project, ProjectView)
    position = await services.projects.position(caller, project)
    return shown if position is None else structs.replace(shown, position=position)


ROUTES = [
    create_project,
    list_projects,
    get_project,
    delete_project,
    list_stages,
    get_build,
    control_project,
    list_tasks_of_project,
    follow_project,
    list_files,
    read_file,
    read_report,
    list_commits,
]
