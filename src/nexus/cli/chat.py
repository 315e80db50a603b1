"""`nexus chat`: talk to an agent."""

from contextlib import AsyncExitStack

from nexus.cli.asked import Asked
from nexus.cli.conversation import Command, hold_conversation, is_typed
from nexus.cli.exits import USAGE, Ended
from nexus.cli.lookup import get_agent_by_reference
from nexus.cli.replies import send_and_print_reply
from nexus.cli.servers import connect_client, provide_server
from nexus.client import Client
from nexus.wire.sessions import SessionView


def chat(asked: Asked) -> int:
    if asked.arguments.agent and asked.arguments.session:
        raise Ended(USAGE, "A session has its agent already: name the agent or the session.")
    return hold_conversation(asked, _open_chat_session)


async def _open_chat_session(asked: Asked, stack: AsyncExitStack) -> "Chat":
    """A server, and a session with the agent that is meant."""
    client = await stack.enter_async_context(connect_client(asked))
    await stack.enter_async_context(provide_server(asked, client))
    if asked.arguments.session:
        session = await client.fetch_session(asked.arguments.session)
        agent = await client.fetch_agent(session.agent_id)
    else:
        agent = await get_agent_by_reference(client, asked.arguments.agent)
        session = await client.open_session(agent.agent_id)
    asked.output.write_note(f"{agent.agent_name} ({agent.slug}), session {session.session_id}")
    opened = Chat(asked, client, session)
    if is_typed(asked):
        stack.callback(lambda: asked.output.write_note(opened.resume_hint))
    return opened


class Chat:
    """A conversation with one agent: in one session, until a new one is wanted."""

    def __init__(self, asked: Asked, client: Client, session: SessionView) -> None:
        self._asked, self._client, self._session = asked, client, session
        self.commands = {
            "new": Command("begin a new session with the same agent", self._start_new_session),
            "session": Command("how to go on with this session later", self._make_resume_hint),
        }

    @property
    def resume_hint(self) -> str:
        return f"Go on later: {self._asked.format_command('chat', '--session', self._session.session_id)}"

    async def answer_message(self, content: str) -> str:
        return await send_and_print_reply(self._asked.output, self._client, self._session.session_id, content)

    async def _start_new_session(self) -> str:
        self._session = await self._client.open_session(self._session.agent_id)
        return f"A new session: {self._session.session_id}"

    async def _make_resume_hint(self) -> str:
        return self.resume_hint
