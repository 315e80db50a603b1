"""`nexus sessions`: conversations."""

from typing import TYPE_CHECKING

from nexus.cli.asked import Asked
from nexus.cli.lists import show_list
from nexus.cli.lookup import agent_of
from nexus.cli.output import Columns
from nexus.cli.parsing import Topics, add_list_verb, one_id, topic, verb, whole

if TYPE_CHECKING:
    from nexus.client import Client
    from nexus.wire.sessions import SessionView


def add(topics: Topics) -> None:
    verbs = topic(topics, "sessions", "see and delete conversations")
    of_agent = add_list_verb(verbs, list_sessions, "your sessions, by last activity")
    of_agent.add_argument("--agent", type=one_id, help="only those with this agent (id, slug or name)")
    for name, run, about in (
        ("show", show, "one session"),
        ("messages", messages, "what was said"),
        ("delete", delete, "delete a session and what was said in it"),
    ):
        parser = verb(verbs, name, about, on_server=run)
        parser.add_argument("session", type=one_id, help="id of the session")
        if name == "messages":
            parser.add_argument("--limit", type=whole(1, 10_000), default=1000, help="how many at most (default: 1000)")


async def list_sessions(asked: Asked, client: "Client") -> None:
    agent_id = (await agent_of(client, asked.arguments.agent)).agent_id if asked.arguments.agent else None
    columns: Columns[SessionView] = {
        "ID": lambda session: session.session_id,
        "AGENT": lambda session: session.agent_id,
        "STATUS": lambda session: session.status,
        "MESSAGES": lambda session: session.message_count,
        "LAST ACTIVE": lambda session: session.last_active_at[:19],
        "NAME": lambda session: session.display_name,
    }
    await show_list(
        asked,
        client.sessions(agent_id=agent_id),
        columns,
        empty=f"There is no session yet. Begin one: {asked.command('chat')}",
        lesser=("STATUS", "MESSAGES", "AGENT", "LAST ACTIVE"),
    )


async def show(asked: Asked, client: "Client") -> None:
    asked.output.details(await client.session(asked.arguments.session))


async def messages(asked: Asked, client: "Client") -> None:
    found = await client.messages(asked.arguments.session).take(asked.arguments.limit)
    if asked.output.json:
        asked.output.document(found)
        return
    for message in found.items:
        status = (message.metadata or {}).get("status")
        asked.output.line(f"[{message.created_at[:19]}] {message.role}{f' ({status})' if status else ''}:")
        asked.output.line(f"{message.content}\n")


async def delete(asked: Asked, client: "Client") -> None:
    session_id = asked.arguments.session
    await client.delete_session(session_id)
    asked.output.result({"session_id": session_id, "deleted": True}, f"Deleted {session_id}.")
