"""Routes of agents: shown, changed, called."""

from typing import Any

from litestar import Request
from litestar.params import FromQuery, JSONBody
from msgspec import UNSET, structs

from nexus.adapters.http.answers import Answer, answer_tagged, view, view_page
from nexus.adapters.http.openapi import UNCHANGED
from nexus.adapters.http.requests import newest
from nexus.adapters.http.routes import All, Caller, Id, Once, Revision, Routes, Window
from nexus.domain.agents.deployments import Wanted
from nexus.domain.core.errors import InvalidInput
from nexus.wire import agents as wire
from nexus.wire.lists import Listed

route = Routes("agents")


@route("GET /agents")
async def list_agents(
    caller: Caller, services: All, window: Window, category: FromQuery[str | None] = None
) -> Listed[wire.AgentView]:
    """The agents, newest first."""
    return view_page(await services.agents.page(caller, newest(window), category=category), wire.AgentView)


@route("GET /agents/{agent_id:str}", also=UNCHANGED)
async def get_agent(
    request: Request[Any, Any, Any], agent_id: Id, caller: Caller, services: All
) -> Answer[wire.AgentView | None]:
    """An agent as it stands."""
    agent = await services.agents.get(caller, agent_id)
    return answer_tagged(request, agent.revision, view(agent, wire.AgentView))


@route("PUT /agents/{agent_id:str}", 409, 412)
async def update_agent(
    request: Request[Any, Any, Any],
    agent_id: Id,
    data: JSONBody[wire.AgentChanges],
    caller: Caller,
    services: All,
    revision: Revision,
) -> Answer[wire.AgentView | None]:
    """Changes what an agent is called and who sees it; what it does changes with a build."""
    changes = {name: value for name, value in structs.asdict(data).items() if value is not UNSET}
    if not changes:
        raise InvalidInput("Name at least one field to change.", errors=[{"pointer": "", "message": "no field"}])
    agent = await services.agents.update(caller, agent_id, changes, revision=revision)
    return answer_tagged(request, agent.revision, view(agent, wire.AgentView))


@route("DELETE /agents/{agent_id:str}", 409)
async def delete_agent(agent_id: Id, caller: Caller, services: All) -> None:
    """The agent is gone; its project keeps the files."""
    await services.agents.delete(caller, agent_id)


@route("GET /agents/{agent_id:str}/versions")
async def list_versions(agent_id: Id, caller: Caller, services: All, window: Window) -> Listed[wire.VersionView]:
    """The versions of an agent, newest first."""
    return view_page(await services.agents.versions(caller, agent_id, newest(window)), wire.VersionView)


@route("POST /agents/{agent_id:str}/deployments", 409, 412)
async def deploy_agent(
    agent_id: Id, data: JSONBody[wire.NewDeployment], caller: Caller, services: All, revision: Revision, once: Once
) -> wire.DeploymentView:
    """A version answers from now on, whatever answered before. A build that ends later deploys its own."""
    wanted = Wanted(**structs.asdict(data), revision=revision)
    return view(await services.deployments.deploy(caller, agent_id, wanted, once=once), wire.DeploymentView)


@route("GET /agents/{agent_id:str}/deployments")
async def list_deployments(agent_id: Id, caller: Caller, services: All, window: Window) -> Listed[wire.DeploymentView]:
    """The deployments of an agent, newest first; the first one answers."""
    return view_page(await services.deployments.page(caller, agent_id, newest(window)), wire.DeploymentView)


@route("POST /agents/{agent_id:str}/invoke", 409, status_code=200)
async def invoke_agent(
    agent_id: Id, data: JSONBody[wire.NewInvocation], caller: Caller, services: All, once: Once
) -> wire.InvocationView:
    """One question, one answer, no session. A call that failed is an invocation as well: see its `status`."""
    return view(await services.invocations.invoke(caller, agent_id, data.content, once=once), wire.InvocationView)


@route("GET /agents/{agent_id:str}/invocations")
async def list_invocations(agent_id: Id, caller: Caller, services: All, window: Window) -> Listed[wire.InvocationView]:
    """The calls of an agent, newest first."""
    return view_page(await services.invocations.page(caller, agent_id, newest(window)), wire.InvocationView)
