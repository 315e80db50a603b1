"""`nexus chat`: talk to an agent."""

from typing import TYPE_CHECKING

from nexus.cli.asked import Asked
from nexus.cli.exits import FAILED, OK, USAGE, Ended
from nexus.cli.parsing import Topics, may_serve, one_id, shared
from nexus.cli.texts import checked, message_of

if TYPE_CHECKING:
    import asyncio
    from contextlib import AsyncExitStack

    from nexus.client import Client

PROMPT = "> "
LEAVING = frozenset({"/exit", "/quit"})
HELP = "Ctrl-C stops a reply, Ctrl-D or /exit leaves."


def add(topics: Topics) -> None:
    about = "talk to an agent"
    parser = topics.add_parser("chat", help=about, description=f"{about}; {HELP}", parents=[shared()])
    parser.add_argument("agent", nargs="?", type=one_id, help="id, slug or name (default: the latest agent)")
    parser.add_argument("--session", type=one_id, metavar="ID", help="go on with a session")
    parser.add_argument(
        "--message", action="extend", nargs="+", default=[], metavar="TEXT",
        help="say this and leave; several are said one after the other; - reads one from stdin",
    )  # fmt: skip
    may_serve(parser)
    parser.set_defaults(run=chat)


def chat(asked: Asked) -> int:
    """The loop is not running while somebody types: then Ctrl-C ends the command; within a reply it stops the reply."""
    import asyncio
    from contextlib import AsyncExitStack

    from nexus.cli.replies import leave

    if asked.arguments.agent and asked.arguments.session:
        raise Ended(USAGE, "A session has its agent already: name the agent or the session.")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            client, session_id = runner.run(_begun(asked, stack))
            if asked.arguments.message or not asked.output.is_interactive:
                return _recited(asked, runner, client, session_id)
            return _talked(asked, runner, client, session_id)
        finally:
            runner.run(leave(stack))


async def _begun(asked: Asked, stack: "AsyncExitStack") -> "tuple[Client, str]":
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
    return client, session.session_id


def _recited(asked: Asked, runner: "asyncio.Runner", client: "Client", session_id: str) -> int:
    """What was given is said, message by message: the arguments, or each line of stdin."""
    from nexus.cli.replies import heard

    given = asked.arguments.message or [line for line in asked.output.source if line.strip()]
    messages = [message_of(text, asked.output) for text in given]
    if not messages:
        raise Ended(USAGE, "There is nothing to say: use --message, or write to stdin.")
    for message in messages:
        ending = runner.run(heard(asked.output, client, session_id, message))
        if ending == "reply.cancelled":
            raise KeyboardInterrupt
        if ending != "reply.completed":
            return FAILED
    return OK


def _talked(asked: Asked, runner: "asyncio.Runner", client: "Client", session_id: str) -> int:
    """A line is a message, until the end of input."""
    from nexus.cli.replies import heard
    from nexus.client import ApiError

    asked.output.note(HELP)
    while (typed := asked.output.ask(PROMPT)) is not None and typed.strip() not in LEAVING:
        if not typed.strip():
            continue
        try:
            runner.run(heard(asked.output, client, session_id, checked(typed)))
        except ApiError as refused:
            asked.output.note(f"nexus: {refused.problem.detail}")
    asked.output.note(f"Go on later: nexus chat --session {session_id}")
    return OK
