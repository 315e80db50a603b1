"""Which agent or tool is meant."""

from nexus.cli.exits import REFUSED, USAGE, Ended
from nexus.client import Client, every
from nexus.wire.agents import AgentView
from nexus.wire.tools import ToolView

PAGE = 100


async def agent_of(client: Client, wanted: str | None) -> AgentView:
    """By id, slug or name; the latest when none is named. Ended when there is none, or more than one."""
    if wanted is not None and wanted.startswith("agt_"):
        return await client.agent(wanted)
    found = [agent async for agent in every(lambda cursor: client.agents(limit=PAGE, cursor=cursor))]
    if wanted is None:
        return _latest(found)
    meant = wanted.casefold()
    matching = [agent for agent in found if meant in (agent.slug.casefold(), agent.agent_name.casefold())]
    match matching:
        case [agent]:
            return agent
        case []:
            raise Ended(REFUSED, f"There is no agent {wanted!r}. `nexus agents list` shows those that there are.")
    ids = ", ".join(agent.agent_id for agent in matching)
    raise Ended(USAGE, f"Several agents are called {wanted!r}: say which by its id, one of {ids}.")


def _latest(found: list[AgentView]) -> AgentView:
    """The one that was made last, of those that answer if any does."""
    if not found:
        raise Ended(REFUSED, 'There is no agent yet. Build one: nexus build "what it should do"')
    return max(found, key=lambda agent: (agent.active_version > 0, agent.created_at, agent.agent_id))


async def tool_of(client: Client, wanted: str) -> ToolView:
    """By id or name."""
    if wanted.startswith("tol_"):
        return await client.tool(wanted)
    async for tool in every(lambda cursor: client.tools(limit=PAGE, cursor=cursor)):
        if tool.tool_name == wanted:
            return tool
    raise Ended(REFUSED, f"There is no tool {wanted!r}. `nexus tools list` shows those that there are.")
