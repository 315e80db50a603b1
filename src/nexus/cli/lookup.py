"""Which agent is meant."""

from nexus.cli.exits import REFUSED, USAGE, Ended
from nexus.client import Client
from nexus.wire.agents import AgentView


async def get_agent_by_reference(client: Client, wanted: str | None) -> AgentView:
    """By id, slug or name; when none is named, the one that was made last, of those that answer if any does. Ended when there is none, or more than one."""
    if wanted is not None and wanted.startswith("agt_"):
        return await client.fetch_agent(wanted)
    found = [agent async for agent in client.list_agents()]
    if wanted is None:
        if not found:
            raise Ended(REFUSED, "There is no agent yet. Build one:", ("build", "what it should do"))
        return max(found, key=lambda agent: (agent.active_version > 0, agent.created_at, agent.agent_id))
    match [agent for agent in found if _has_slug_or_name(agent, wanted)]:
        case [agent]:
            return agent
        case []:
            raise Ended(REFUSED, f"There is no agent {wanted!r}. This lists those that there are:", ("agents", "list"))
        case several:
            ids = ", ".join(agent.agent_id for agent in several)
            raise Ended(USAGE, f"Several agents are called {wanted!r}: say which by its id, one of {ids}.")


async def choose_agent_slug_or_id(client: Client, agent: AgentView) -> str:
    """The slug where no other agent is called so, else the id."""
    others = [
        one
        async for one in client.list_agents()
        if one.agent_id != agent.agent_id and _has_slug_or_name(one, agent.slug)
    ]
    return agent.agent_id if others else agent.slug


def _has_slug_or_name(agent: AgentView, wanted: str) -> bool:
    return wanted.casefold() in (agent.slug.casefold(), agent.agent_name.casefold())
