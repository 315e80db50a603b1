"""`nexus chat`: talk to an agent."""

from typing import TYPE_CHECKING

from nexus.cli.asked import Asked
from nexus.cli.conversation import Command, converse, is_typed
from nexus.cli.exits import USAGE, Ended
from nexus.cli.parsing import Topics, may_serve, one_id, say_options, verb

if TYPE_CHECKING:
    import asyncio
    from contextlib import AsyncExitStack

    from nexus.client import Client
    from nexus.wire.sessions import SessionView


def add(topics: Topics) -> None:
    parser = verb(topics, "chat", "talk to an agent; /help lists what can be typed", local=chat)
    parser.add_argument("agent", nargs="?", type=one_id, help="id, slug or name (default: the latest agent)")
    parser.add_argument("--session", type=one_id, metavar="ID", help="go on with a session")
    say_options(parser)
    may_serve(parser)


def chat(asked: Asked) -> int:
    """The loop is not running while somebody types: then Ctrl-C gives up the line; within a reply it stops the reply."""
    import asyncio
    from contextlib import AsyncExitStack

    from nexus.cli.replies import leave

    if asked.arguments.agent and asked.arguments.session:
        raise Ended(USAGE, "A session has its agent already: name the agent or the session.")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            return Chat(asked, runner, *runner.run(_open_chat(asked, stack))).hold()
        finally:
            runner.run(leave(stack))


async def _open_chat(asked: Asked, stack: "AsyncExitStack") -> "tuple[Client, SessionView]":
    """A server, and a session with the agent that is meant."""
    from nexus.cli.connection import client_for
    from nexus.cli.lookup import agent_of
    from nexus.cli.servers import server_for

    client = await stack.enter_async_context(client_for(asked))
    await stack.enter_async_context(server_for(asked, client))
    if asked.arguments.session:
        session = await client.session(asked.arguments.session)
        agent = await client.agent(session.agent_id)
    else:
        agent = await agent_of(client, asked.arguments.agent)
        session = await client.open_session(agent.agent_id)
    asked.output.note(f"{agent.agent_name} ({agent.slug}), session {session.session_id}")
    return client, session


class Chat:
    """A conversation with one agent: in one session, until a new one is wanted."""

    def __init__(self, asked: Asked, runner: "asyncio.Runner", client: "Client", session: "SessionView") -> None:
        self._asked, self._runner, self._client, self._session = asked, runner, client, session

    def hold(self) -> int:
        commands = {
            "new": Command("begin a new session with the same agent", self._begin_anew),
            "session": Command("how to go on with this session later", self._way_back),
        }
        try:
            return converse(self._asked, commands, self._send)
        finally:
            if is_typed(self._asked):
                self._asked.output.note(self._way_back())

    def _send(self, message: str) -> str:
        from nexus.cli.replies import stream_reply

        return self._runner.run(stream_reply(self._asked.output, self._client, self._session.session_id, message))

    def _begin_anew(self) -> str:
        self._session = self._runner.run(self._client.open_session(self._session.agent_id))
        return f"A new session: {self._session.session_id}"

    def _way_back(self) -> str:
        return f"Go on later: {self._asked.command('chat', '--session', self._session.session_id)}"
