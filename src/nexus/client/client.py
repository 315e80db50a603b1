"""The API of a server as calls: what is sent and what comes back are the Structs of `nexus.wire`."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Literal, Self, TypeVar

import msgspec
from msgspec import Struct

from nexus.client.pauses import Pauses
from nexus.client.requests import API, Method, Request, create_request, escape_path, events_of, part
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


class Client:
    """One server, as one caller. Use it as an async context manager, or close it.

    Calls that create carry a key, so that trying again creates nothing twice; what may not be tried again is not."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        pauses: Pauses = Pauses(),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`notice` is told, in a sentence, when a stream lost its connection and goes on. ValueError for a URL that is none."""
        self._transport = Transport(url, token=token, pauses=pauses, sleep=sleep, notice=notice)

    @property
    def url(self) -> str:
        return self._transport.url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._transport.close()

    async def ready(self) -> bool:
        """Whether the server takes work now: one try. Unreachable when nothing answers, or nothing of nexus."""
        try:
            async with asyncio.timeout(READY_SECONDS), self._transport.stream(Request(path="/ready")) as response:
                if MARK not in response.headers or response.status not in (200, 503):
                    raise await self._transport.refusal(response)
                return response.status == 200
        except DROPPED as error:
            raise self._transport.describe_loss(error) from error

    async def health(self) -> HealthView:
        return await self._transport.json(Request(path="/health"), HealthView)

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
        return await self._transport.json(create_request("/projects", wanted), ProjectStarted)

    async def projects(
        self, *, status: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Listed[ProjectView]:
        return await self._get("/projects", Listed[ProjectView], status=status, limit=limit, cursor=cursor)

    async def project(self, project_id: str) -> ProjectView:
        return await self._get(f"/projects/{part(project_id)}", ProjectView)

    async def delete_project(self, project_id: str, *, stop_first: bool = False) -> ProjectDeleted:
        query = {"stop_first": "true"} if stop_first else {}
        request = Request(method="DELETE", path=f"{API}/projects/{part(project_id)}", query=query)
        return await self._transport.json(request, ProjectDeleted)

    async def stages(self, project_id: str) -> list[StageView]:
        return (await self._get(f"/projects/{part(project_id)}/stages", Listed[StageView])).items

    async def build(self, project_id: str) -> Dashboard:
        """The dashboard of the current build."""
        return await self._get(f"/projects/{part(project_id)}/build", Dashboard)

    async def control(self, project_id: str, action: Action, *, from_stage: str | None = None) -> ProjectView:
        """Pause, resume and stop are wishes and may be sent twice; retry and restart begin another build."""
        body = ControlCommand(action=action, from_stage=from_stage)
        again = action in ("pause", "resume", "stop")
        return await self._send("POST", f"/projects/{part(project_id)}/control", body, ProjectView, again=again)

    def project_events(self, project_id: str, *, after: int = 0) -> AsyncGenerator[Event, None]:
        """The events of the current build behind a position, up to its end; through drops, each once."""
        request = Request(path=f"{API}/projects/{part(project_id)}/events")
        return Following(self._transport, resumed=lambda: request, ends=BUILD_ENDS, after=after).events()

    async def project_tasks(self, project_id: str) -> Listed[TaskView]:
        return await self._get(f"/projects/{part(project_id)}/tasks", Listed[TaskView])

    async def files(self, project_id: str, *, at: str | None = None) -> list[FileEntry]:
        return (await self._get(f"/projects/{part(project_id)}/files", Listed[FileEntry], at=at)).items

    async def file(self, project_id: str, path: str, *, at: str | None = None) -> bytes:
        query = {"at": at} if at else {}
        where = f"{API}/projects/{part(project_id)}/files/{escape_path(path)}"
        return await self._transport.read(Request(path=where, query=query, seconds=FILE_SECONDS))

    async def commits(self, project_id: str) -> list[CommitView]:
        return (await self._get(f"/projects/{part(project_id)}/commits", Listed[CommitView])).items

    async def report(self, project_id: str) -> str:
        """What verification found, in Markdown."""
        body = await self._transport.read(Request(path=f"{API}/projects/{part(project_id)}/report"))
        return body.decode(errors="replace")

    async def agents(
        self, *, category: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Listed[AgentView]:
        return await self._get("/agents", Listed[AgentView], category=category, limit=limit, cursor=cursor)

    async def agent(self, agent_id: str) -> AgentView:
        return await self._get(f"/agents/{part(agent_id)}", AgentView)

    async def update_agent(self, agent_id: str, changes: AgentChanges) -> AgentView:
        return await self._send("PUT", f"/agents/{part(agent_id)}", changes, AgentView)

    async def delete_agent(self, agent_id: str) -> None:
        await self._delete(f"/agents/{part(agent_id)}")

    async def invoke(self, agent_id: str, content: str) -> InvocationView:
        """One question, one answer, no session; takes as long as the agent does."""
        request = create_request(f"/agents/{part(agent_id)}/invoke", NewInvocation(content=content))
        return await self._transport.json(msgspec.structs.replace(request, seconds=INVOKE_SECONDS), InvocationView)

    async def versions(self, agent_id: str, *, limit: int = 50, cursor: str | None = None) -> Listed[VersionView]:
        return await self._get(f"/agents/{part(agent_id)}/versions", Listed[VersionView], limit=limit, cursor=cursor)

    async def deploy(self, agent_id: str, wanted: NewDeployment = NewDeployment()) -> DeploymentView:
        """A version answers from now on; the newest one where none is named."""
        return await self._transport.json(
            create_request(f"/agents/{part(agent_id)}/deployments", wanted), DeploymentView
        )

    async def deployments(self, agent_id: str, *, limit: int = 50, cursor: str | None = None) -> Listed[DeploymentView]:
        return await self._get(
            f"/agents/{part(agent_id)}/deployments", Listed[DeploymentView], limit=limit, cursor=cursor
        )

    async def open_session(self, agent_id: str, *, display_name: str = "") -> SessionView:
        request = create_request(f"/agents/{part(agent_id)}/sessions", NewSession(display_name=display_name))
        return await self._transport.json(request, SessionView)

    async def sessions(
        self, *, agent_id: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Listed[SessionView]:
        path = f"/agents/{part(agent_id)}/sessions" if agent_id else "/sessions"
        return await self._get(path, Listed[SessionView], limit=limit, cursor=cursor)

    async def session(self, session_id: str) -> SessionView:
        return await self._get(f"/sessions/{part(session_id)}", SessionView)

    async def rename_session(self, session_id: str, display_name: str) -> SessionView:
        changes = SessionChanges(display_name=display_name)
        return await self._send("PATCH", f"/sessions/{part(session_id)}", changes, SessionView)

    async def delete_session(self, session_id: str) -> None:
        await self._delete(f"/sessions/{part(session_id)}")

    async def messages(self, session_id: str, *, limit: int = 50, cursor: str | None = None) -> Listed[MessageView]:
        return await self._get(
            f"/sessions/{part(session_id)}/messages", Listed[MessageView], limit=limit, cursor=cursor
        )

    async def send(self, session_id: str, content: str) -> ReplyStartedView:
        """Says something without waiting; follow the reply with `reply_events`."""
        request = create_request(f"/sessions/{part(session_id)}/messages", NewMessage(content=content))
        return await self._transport.json(request, ReplyStartedView)

    def stream(self, session_id: str, content: str) -> AsyncGenerator[Event, None]:
        """Says something and hears the reply as it is written; through drops, each event once."""
        opening = create_request(f"/sessions/{part(session_id)}/stream", NewMessage(content=content))
        replies = list[str]()

        def note_reply(event: Event) -> None:
            if event.tag in ("reply.waiting", "reply.started"):
                replies.append(event.data["reply_id"])

        def find_reply() -> Request | None:
            return events_of(session_id, replies[-1]) if replies else None

        following = Following(self._transport, resumed=find_reply, ends=REPLY_ENDS, opening=opening, heard=note_reply)
        return following.events()

    def reply_events(self, session_id: str, reply_id: str, *, after: int = 0) -> AsyncGenerator[Event, None]:
        """The events of a reply behind a position, up to its end; nothing when it is over and was read to its end."""
        request = events_of(session_id, reply_id)
        return Following(self._transport, resumed=lambda: request, ends=REPLY_ENDS, after=after).events()

    async def cancel_reply(self, session_id: str, reply_id: str) -> ReplyView:
        """Stops a reply; what was written so far is kept."""
        path = f"/sessions/{part(session_id)}/replies/{part(reply_id)}/cancel"
        return await self._send("POST", path, None, ReplyView)

    async def regenerate(self, session_id: str, message_id: str) -> ReplyStartedView:
        path = f"/sessions/{part(session_id)}/messages/{part(message_id)}/regenerate"
        return await self._send("POST", path, None, ReplyStartedView, again=False)

    async def task(self, task_id: str) -> TaskView:
        return await self._get(f"/tasks/{part(task_id)}", TaskView)

    async def tasks(self, *, limit: int = 50, cursor: str | None = None) -> Listed[TaskView]:
        return await self._get("/tasks", Listed[TaskView], limit=limit, cursor=cursor)

    async def tools(
        self, *, category: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Listed[ToolView]:
        return await self._get("/tools", Listed[ToolView], category=category, limit=limit, cursor=cursor)

    async def tool(self, tool_id: str) -> ToolView:
        return await self._get(f"/tools/{part(tool_id)}", ToolView)

    async def overview(self) -> OverviewView:
        return await self._get("/statistics/overview", OverviewView)

    async def build_statistics(self, *, days: int = 30) -> BuildStatistics:
        return await self._get("/statistics/builds", BuildStatistics, days=days)

    async def invocation_statistics(self, *, days: int = 30) -> InvocationStatistics:
        return await self._get("/statistics/invocations", InvocationStatistics, days=days)

    async def _get(self, path: str, kind: type[T], **query: str | int | None) -> T:
        asked = {name: str(value) for name, value in query.items() if value is not None}
        return await self._transport.json(Request(path=f"{API}{path}", query=asked), kind)

    async def _send(self, method: Method, path: str, body: Struct | None, kind: type[T], *, again: bool = True) -> T:
        encoded = None if body is None else msgspec.json.encode(body)
        return await self._transport.json(Request(method=method, path=f"{API}{path}", body=encoded, again=again), kind)

    async def _delete(self, path: str) -> None:
        await self._transport.read(Request(method="DELETE", path=f"{API}{path}"))
