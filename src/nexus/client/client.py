"""The API of a server as calls: what is sent and what comes back are the Structs of `nexus.wire`."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Literal, TypeVar
from uuid import uuid4

import msgspec
from msgspec import Struct, structs

from nexus.client.pages import Pages
from nexus.client.requests import Method, Request, make_api_path
from nexus.client.streams import BUILD_ENDS, REPLY_ENDS, Event, Following
from nexus.client.transport import DROPPED, MARK, Transport
from nexus.wire.agents import (
    AgentChanges,
    AgentView,
    DeploymentView,
    InvocationView,
    NewDeployment,
    NewInvocation,
    VersionView,
)
from nexus.wire.lists import Listed
from nexus.wire.projects import (
    CommitView,
    ControlCommand,
    Dashboard,
    FileEntry,
    NewProject,
    ProjectDeleted,
    ProjectStarted,
    ProjectView,
    StageView,
)
from nexus.wire.sessions import (
    MessageView,
    NewMessage,
    NewSession,
    ReplyStartedView,
    ReplyView,
    SessionChanges,
    SessionView,
)
from nexus.wire.statistics import BuildStatistics, InvocationStatistics, OverviewView
from nexus.wire.system import HealthView
from nexus.wire.tasks import TaskView
from nexus.wire.tools import ToolView

T = TypeVar("T")
Action = Literal["pause", "resume", "stop", "retry", "restart"]
READY_SECONDS = 5.0
INVOKE_SECONDS = 900.0
FILE_SECONDS = 300.0


class Client(Transport):
    """One server, as one caller. Use it as an async context manager, or close it.

    Calls that create carry a key, so that trying again creates nothing twice; what may not be tried again is not."""

    async def ready(self) -> bool:
        """Whether the server takes work now: one try. Unreachable when nothing answers, or nothing of nexus."""
        try:
            async with asyncio.timeout(READY_SECONDS), self.open_response_stream(Request(path="/ready")) as response:
                if MARK not in response.headers or response.status not in (200, 503):
                    raise await self.parse_error_response(response)
                return response.status == 200
        except DROPPED as error:
            raise self.make_connection_error(error) from error

    async def health(self) -> HealthView:
        return await self.fetch_json(Request(path="/health"), HealthView)

    async def create_project(
        self,
        requirement: str,
        *,
        name: str | None = None,
        priority: int = 3,
        tags: Sequence[str] = (),
        accept_partial: bool = False,
    ) -> ProjectStarted:
        """Asks for an agent; it is built on the server from now on. `accept_partial`: it is deployed also when it leaves requirements unmet."""
        wanted = NewProject(
            requirement=requirement, project_name=name, priority=priority, tags=[*tags], accept_partial=accept_partial
        )
        return await self._create(wanted, ProjectStarted, "projects")

    def projects(self, *, status: str | None = None) -> Pages[ProjectView]:
        return self._list(Listed[ProjectView], "projects", status=status)

    async def project(self, project_id: str) -> ProjectView:
        return await self._get(ProjectView, "projects", project_id)

    async def delete_project(self, project_id: str, *, stop_first: bool = False) -> ProjectDeleted:
        path, query = make_api_path("projects", project_id), {"stop_first": "true"} if stop_first else {}
        return await self.fetch_json(Request(method="DELETE", path=path, query=query), ProjectDeleted)

    async def list_build_stages(self, project_id: str) -> list[StageView]:
        return (await self._get(Listed[StageView], "projects", project_id, "stages")).items

    async def fetch_build_dashboard(self, project_id: str) -> Dashboard:
        """The dashboard of the current build."""
        return await self._get(Dashboard, "projects", project_id, "build")

    async def send_build_command(
        self, project_id: str, action: Action, *, from_stage: str | None = None
    ) -> ProjectView:
        """Pause, resume and stop may be sent twice; retry and restart begin another build."""
        body, path = (
            ControlCommand(action=action, from_stage=from_stage),
            make_api_path("projects", project_id, "control"),
        )
        return await self._change_resource("POST", path, body, ProjectView, again=action in ("pause", "resume", "stop"))

    def stream_build_events(self, project_id: str, *, after: int = 0) -> AsyncGenerator[Event, None]:
        """The events of the current build behind a position, up to its end; through drops, each once."""
        request = Request(path=make_api_path("projects", project_id, "events"))
        return Following(self, resumed=lambda: request, ends=BUILD_ENDS, after=after).stream_events()

    def list_project_tasks(self, project_id: str) -> Pages[TaskView]:
        return self._list(Listed[TaskView], "projects", project_id, "tasks")

    async def list_project_files(self, project_id: str, *, at: str | None = None) -> list[FileEntry]:
        return (await self._get(Listed[FileEntry], "projects", project_id, "files", at=at)).items

    async def fetch_project_file(self, project_id: str, path: str, *, at: str | None = None) -> bytes:
        query, where = (
            {"at": at} if at else {},
            make_api_path("projects", project_id, "files", *path.strip("/").split("/")),
        )
        return await self.fetch_body(Request(path=where, query=query, seconds=FILE_SECONDS))

    async def list_project_commits(self, project_id: str) -> list[CommitView]:
        return (await self._get(Listed[CommitView], "projects", project_id, "commits")).items

    async def fetch_verification_report(self, project_id: str) -> str:
        """What verification found, in Markdown."""
        return (await self.fetch_body(Request(path=make_api_path("projects", project_id, "report")))).decode(
            errors="replace"
        )

    def list_agents(self, *, category: str | None = None) -> Pages[AgentView]:
        return self._list(Listed[AgentView], "agents", category=category)

    async def fetch_agent(self, agent_id: str) -> AgentView:
        return await self._get(AgentView, "agents", agent_id)

    async def update_agent(self, agent_id: str, changes: AgentChanges) -> AgentView:
        return await self._change_resource("PUT", make_api_path("agents", agent_id), changes, AgentView)

    async def delete_agent(self, agent_id: str) -> None:
        await self.fetch_body(Request(method="DELETE", path=make_api_path("agents", agent_id)))

    async def invoke(self, agent_id: str, content: str) -> InvocationView:
        """One question, one answer, no session; takes as long as the agent does."""
        question = NewInvocation(content=content)
        return await self._create(question, InvocationView, "agents", agent_id, "invoke", seconds=INVOKE_SECONDS)

    def list_agent_versions(self, agent_id: str) -> Pages[VersionView]:
        return self._list(Listed[VersionView], "agents", agent_id, "versions")

    async def deploy(self, agent_id: str, wanted: NewDeployment = NewDeployment()) -> DeploymentView:
        """A version answers from now on; the newest one where none is named."""
        return await self._create(wanted, DeploymentView, "agents", agent_id, "deployments")

    def list_agent_deployments(self, agent_id: str) -> Pages[DeploymentView]:
        return self._list(Listed[DeploymentView], "agents", agent_id, "deployments")

    async def open_session(self, agent_id: str, *, display_name: str = "") -> SessionView:
        return await self._create(NewSession(display_name=display_name), SessionView, "agents", agent_id, "sessions")

    def list_sessions(self, *, agent_id: str | None = None) -> Pages[SessionView]:
        return self._list(Listed[SessionView], *(("agents", agent_id) if agent_id else ()), "sessions")

    async def fetch_session(self, session_id: str) -> SessionView:
        return await self._get(SessionView, "sessions", session_id)

    async def rename_session(self, session_id: str, display_name: str) -> SessionView:
        changes = SessionChanges(display_name=display_name)
        return await self._change_resource("PATCH", make_api_path("sessions", session_id), changes, SessionView)

    async def delete_session(self, session_id: str) -> None:
        await self.fetch_body(Request(method="DELETE", path=make_api_path("sessions", session_id)))

    def list_messages(self, session_id: str) -> Pages[MessageView]:
        return self._list(Listed[MessageView], "sessions", session_id, "messages")

    async def send(self, session_id: str, content: str) -> ReplyStartedView:
        """Says something without waiting; follow the reply with `reply_events`."""
        return await self._create(NewMessage(content=content), ReplyStartedView, "sessions", session_id, "messages")

    def send_and_stream_reply(self, session_id: str, content: str) -> AsyncGenerator[Event, None]:
        """Says something and hears the reply as it is written; through drops, each event once."""
        opening = _make_create_request(NewMessage(content=content), "sessions", session_id, "stream")
        replies = list[str]()

        def note_reply(event: Event) -> None:
            if event.tag in ("reply.waiting", "reply.started"):
                replies.append(event.data["reply_id"])

        def resume() -> Request | None:
            return _make_events_request(session_id, replies[-1]) if replies else None

        return Following(self, resumed=resume, ends=REPLY_ENDS, opening=opening, heard=note_reply).stream_events()

    def stream_reply_events(self, session_id: str, reply_id: str, *, after: int = 0) -> AsyncGenerator[Event, None]:
        """The events of a reply behind a position, up to its end; nothing when it is over and was read to its end."""
        request = _make_events_request(session_id, reply_id)
        return Following(self, resumed=lambda: request, ends=REPLY_ENDS, after=after).stream_events()

    async def cancel_reply(self, session_id: str, reply_id: str) -> ReplyView:
        """Stops a reply; what was written so far is kept."""
        path = make_api_path("sessions", session_id, "replies", reply_id, "cancel")
        return await self._change_resource("POST", path, None, ReplyView)

    async def regenerate(self, session_id: str, message_id: str) -> ReplyStartedView:
        path = make_api_path("sessions", session_id, "messages", message_id, "regenerate")
        return await self._change_resource("POST", path, None, ReplyStartedView, again=False)

    async def fetch_task(self, task_id: str) -> TaskView:
        return await self._get(TaskView, "tasks", task_id)

    def list_tasks(self) -> Pages[TaskView]:
        return self._list(Listed[TaskView], "tasks")

    def list_tools(self, *, category: str | None = None) -> Pages[ToolView]:
        return self._list(Listed[ToolView], "tools", category=category)

    async def fetch_tool(self, tool_id: str) -> ToolView:
        return await self._get(ToolView, "tools", tool_id)

    async def fetch_overview_statistics(self) -> OverviewView:
        return await self._get(OverviewView, "statistics", "overview")

    async def build_statistics(self, *, days: int = 30) -> BuildStatistics:
        return await self._get(BuildStatistics, "statistics", "builds", days=days)

    async def invocation_statistics(self, *, days: int = 30) -> InvocationStatistics:
        return await self._get(InvocationStatistics, "statistics", "invocations", days=days)

    async def _get(self, kind: type[T], *parts: str, **query: str | int | None) -> T:
        asked = {name: str(value) for name, value in query.items() if value is not None}
        return await self.fetch_json(Request(path=make_api_path(*parts), query=asked), kind)

    def _list(self, kind: type[Listed[T]], *parts: str, **query: str | None) -> Pages[T]:
        return Pages(lambda limit, cursor: self._get(kind, *parts, limit=limit, cursor=cursor, **query))

    async def _create(self, body: Struct, kind: type[T], *parts: str, seconds: float = 60.0) -> T:
        return await self.fetch_json(structs.replace(_make_create_request(body, *parts), seconds=seconds), kind)

    async def _change_resource(
        self, method: Method, path: str, body: Struct | None, kind: type[T], *, again: bool = True
    ) -> T:
        encoded = None if body is None else msgspec.json.encode(body)
        return await self.fetch_json(Request(method=method, path=path, body=encoded, again=again), kind)


def _make_create_request(body: Struct, *parts: str) -> Request:
    """A POST that makes something, once however often it is sent."""
    key = {"Idempotency-Key": uuid4().hex}
    return Request(method="POST", path=make_api_path(*parts), headers=key, body=msgspec.json.encode(body))


def _make_events_request(session_id: str, reply_id: str) -> Request:
    return Request(path=make_api_path("sessions", session_id, "replies", reply_id, "events"))
