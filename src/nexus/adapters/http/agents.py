"""Routes of agents: shown, changed, called."""

from litestar.params import FromQuery, JSONBody
from msgspec import UNSET, structs

from nexus.adapters.http.answers import Answer, convert_page_to_wire, convert_to_wire, make_etag_answer
from nexus.adapters.http.openapi import UNCHANGED
from nexus.adapters.http.requests import JSONRequest, newest
from nexus.adapters.http.routes import Id, Once, Revision, Routes, Window
from nexus.domain.agents.deployments import Wanted
from nexus.domain.core.errors import InvalidInput
from nexus.wire import agents as wire
from nexus.wire.lists import Listed

route = Routes("agents")


@route("GET /agents")
async def list_agents(
    request: JSONRequest, window: Window, category: FromQuery[str | None] = None
) -> Listed[wire.AgentView]:
    """The agents, newest first."""
    return convert_page_to_wire(
        await request.services.agents.list_agents(request.caller, newest(window), category=category), wire.AgentView
    )


@route("GET /agents/{agent_id:str}", also=UNCHANGED)
async def get_agent(request: JSONRequest, agent_id: Id) -> Answer[wire.AgentView | None]:
    """An agent as it stands."""
    agent = await request.services.agents.get(request.caller, agent_id)
    return make_etag_answer(request, agent.revision, convert_to_wire(agent, wire.AgentView))


@route("PUT /agents/{agent_id:str}", 409, 412)
async def update_agent(
    request: JSONRequest, agent_id: Id, data: JSONBody[wire.AgentChanges], revision: Revision
) -> Answer[wire.AgentView | None]:
    """Changes what an agent is called and who sees it; what it does changes with a build."""
    changes = {name: value for name, value in structs.asdict(data).items() if value is not UNSET}
    if not changes:
        raise InvalidInput("Name at least one field to change.", errors=[{"pointer": "", "message": "no field"}])
    agent = await request.services.agents.update(request.caller, agent_id, changes, revision=revision)
    return make_etag_answer(request, agent.revision, convert_to_wire(agent, wire.AgentView))


@route("DELETE /agents/{agent_id:str}", 409)
async def delete_agent(request: JSONRequest, agent_id: Id) -> None:
    """The agent is gone; its project keeps the files."""
    await request.services.agents.delete(request.caller, agent_id)


@route("GET /agents/{agent_id:str}/versions")
async def list_versions(request: JSONRequest, agent_id: Id, window: Window) -> Listed[wire.VersionView]:
    """The versions of an agent, newest first."""
    return convert_page_to_wire(
        await request.services.agents.list_agent_versions(request.caller, agent_id, newest(window)), wire.VersionView
    )


@route("POST /agents/{agent_id:str}/deployments", 409, 412)
async def deploy_agent(
    request: JSONRequest, agent_id: Id, data: JSONBody[wire.NewDeployment], revision: Revision, once: Once
) -> wire.DeploymentView:
    """A version answers from now on, whatever answered before. A build that ends later deploys its own."""
    wanted = Wanted(**structs.asdict(data), revision=revision)
    return convert_to_wire(
        await request.services.deployments.deploy(request.caller, agent_id, wanted, once=once), wire.DeploymentView
    )


@route("GET /agents/{agent_id:str}/deployments")
async def list_deployments(request: JSONRequest, agent_id: Id, window: Window) -> Listed[wire.DeploymentView]:
    """The deployments of an agent, newest first; the first one answers."""
    return convert_page_to_wire(
        await request.services.deployments.list_deployments(request.caller, agent_id, newest(window)),
        wire.DeploymentView,
    )


@route("POST /agents/{agent_id:str}/invoke", 409, status_code=200)
async def invoke_agent(
    request: JSONRequest, agent_id: Id, data: JSONBody[wire.NewInvocation], once: Once
) -> wire.InvocationView:
    """One question, one answer, no session. A call that failed is an invocation as well: see its `status`."""
    return convert_to_wire(
        await request.services.invocations.invoke(request.caller, agent_id, data.content, once=once),
        wire.InvocationView,
    )


@route("GET /agents/{agent_id:str}/invocations")
async def list_invocations(request: JSONRequest, agent_id: Id, window: Window) -> Listed[wire.InvocationView]:
    """The calls of an agent, newest first."""
    return convert_page_to_wire(
        await request.services.invocations.list_caller_invocations(request.caller, agent_id, newest(window)),
        wire.InvocationView,
    )
