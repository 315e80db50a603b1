"""`nexus sessions`: conversations."""

from nexus.cli.asked import Asked
from nexus.cli.lookup import get_agent_by_reference
from nexus.cli.tables import Shape, show_list
from nexus.client import Client

SESSIONS = Shape(
    columns={
        "ID": "session_id",
        "AGENT": "agent_id",
        "STATUS": "status",
        "MESSAGES": "message_count",
        "LAST ACTIVE": "last_active_at",
        "NAME": "display_name",
    },
    lesser=("STATUS", "MESSAGES", "AGENT", "LAST ACTIVE"),
    empty="There is no session yet. Begin one:",
    then=("chat",),
)


async def list_sessions(asked: Asked, client: Client) -> None:
    agent_id = (await get_agent_by_reference(client, asked.arguments.agent)).agent_id if asked.arguments.agent else None
    await show_list(asked, client.list_sessions(agent_id=agent_id), SESSIONS)


async def show(asked: Asked, client: Client) -> None:
    asked.output.write_object_fields(await client.fetch_session(asked.arguments.session))


async def messages(asked: Asked, client: Client) -> None:
    found = await client.list_messages(asked.arguments.session).fetch_items(asked.arguments.limit)
    if asked.output.json:
        asked.output.write_json_document(found)
        return
    for message in found.items:
        status = (message.metadata or {}).get("status")
        asked.output.write_line(f"[{message.created_at[:19]}] {message.role}{f' ({status})' if status else ''}:")
        asked.output.write_line(f"{message.content}\n")


async def delete(asked: Asked, client: Client) -> None:
    session_id = asked.arguments.session
    await client.delete_session(session_id)
    asked.output.write_result({"session_id": session_id, "deleted": True}, f"Deleted {session_id}.")
