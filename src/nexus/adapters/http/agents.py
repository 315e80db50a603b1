"""Routes of agents: shown, changed, called."""

from typing import Any

from litestar import Request, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import UNSET, structs

from nexus.adapters.http.answers import Answer, listed, tagged, view
from nexus.adapters.http.openapi import documented
from nexus.domain.agents.deployments import Wanted
from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.pages import PageRequest
from nexus.domain.core.principal import Principal
from nexus.domain.requests.model import Once
from nexus.domain.services import Services
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


@get("/agents", operation_id="listAgents", **documented("agents"))
async def list_agents(
    caller: NamedDependency[Principal],
    services: NamedDependency[Services],
    window: NamedDependency[PageRequest],
    category: FromQuery[str | None] = None,
) -> Listed[AgentView]:
    """The agents, newest first."""
    newest = structs.replace(window, newest_first=True)
    return listed(await services.agents.page(caller, newest, category=category), AgentView)


@get("/agents/{agent_id:str}", operation_id="getAgent", **documented("agents", etag=True))
async def get_agent(
    request: Request[Any, Any, Any],
    agent_id: FromPath[str],
    caller: NamedDependency[Principal],
    services: NamedDependency[Services],
) -> Answer[AgentView | None]:
    """An agent as it stands."""
    agent = await services.agents.get(caller, agent_id)
    return tagged(request, agent.revision, view(agent, AgentView))


@put("/agents/{agent_id:str}", operation_id="updateAgent", **documented("agents", 409, 412))
async def update_agent(
    request: Request[Any, Any, Any],
    agent_id: FromPath[str],
    data: JSONBody[AgentChanges],
    caller: NamedDependency[Principal],
    services: NamedDependency[Services],
    revision: NamedDependency[int | None],
) -> Answer[AgentView | None]:
    """Changes what an agent is called and who sees it; what it does changes with a build."""
    changes = {name: value for name, value in structs.asdict(data).items() if value is not UNSET}
    if not changes:
        raise InvalidInput("Name at least one field to change.", errors=[{"pointer": "", "message": "no field"}])
    agent = await services.agents.update(caller, agent_id, changes, revision=revision)
    return tagged(request, agent.revision, view(agent, AgentView))


@delete("/agents/{agent_id:str}", operation_id="deleteAgent", **documented("agents", 409))
async def delete_agent(
    agent_id: FromPath[str], caller: NamedDependency[Principal], services: NamedDependency[Services]
) -> None:
    """The agent is gone; its project keeps the files."""
    await services.agents.delete(caller, agent_id)


@get("/agents/{agent_id:str}/versions", operation_id="listVersions", **documented("agents"))
async def list_versions(
    agent_id: FromPath[str],
    caller: NamedDependency[Principal],
    services: NamedDependency[Services],
    window: NamedDependency[PageRequest],
) -> Listed[VersionView]:
    """The versions of an agent, newest first."""
    newest = structs.replace(window, newest_first=True)
    return listed(await services.agents.versions(caller, agent_id, newest), VersionView)


@post("/agents/{agent_id:str}/deployments", operation_id="deployAgent", **documented("agents", 409, 412))
async def deploy_agent(
    agent_id: FromPath[str],
    data: JSONBody[NewDeployment],
    caller: NamedDependency[Principal],
    services: NamedDependency[Services],
    revision: NamedDependency[int | None],
    once: NamedDependency[Once | None],
) -> DeploymentView:
    """A version answers from now on, whatever answered before. A build that ends later deploys its own."""
    wanted = Wanted(**structs.asdict(data), revision=revision)
    return view(await services.deployments.deploy(caller, agent_id, wanted, once=once), DeploymentView)


@get("/agents/{agent_id:str}/deployments", operation_id="listDeployments", **documented("agents"))
async def list_deployments(
    agent_id: FromPath[str],
    caller: NamedDependency[Principal],
    services: NamedDependency[Services],
    window: NamedDependency[PageRequest],
) -> Listed[DeploymentView]:
    """The deployments of an agent, newest first; the first one answers."""
    newest = structs.replace(window, newest_first=True)
    return listed(await services.deployments.page(caller, agent_id, newest), DeploymentView)


@post("/agents/{agent_id:str}/invoke", operation_id="invokeAgent", status_code=200, **documented("agents", 409))
async def invoke_agent(
    agent_id: FromPath[str],
    data: JSONBody[NewInvocation],
    caller: NamedDependency[Principal],
    services: NamedDependency[Services],
    once: NamedDependency[Once | None],
) -> InvocationView:
    """One question, one answer, no session. A call that failed is an invocation as well: see its `status`."""
    return view(await services.invocations.invoke(caller, agent_id, data.content, once=once), InvocationView)


@get("/agents/{agent_id:str}/invocations", operation_id="listInvocations", **documented("agents"))
async def list_invocations(
    agent_id: FromPath[str],
    caller: NamedDependency[Principal],
    services: NamedDependency[Services],
    window: NamedDependency[PageRequest],
) -> Listed[InvocationView]:
    """The calls of an agent, newest first."""
    newest = structs.replace(window, newest_first=True)
    return listed(await services.invocations.page(caller, agent_id, newest), InvocationView)


ROUTES = [
    list_agents,
    get_agent,
    update_agent,
    delete_agent,
    list_versions,
    deploy_agent,
    list_deployments,
    invoke_agent,
    list_invocations,
]
