"""A client for a command, and the loop it runs in."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

from nexus.cli.asked import Asked
from nexus.cli.exits import OK, USAGE, Ended
from nexus.cli.servers import server_for
from nexus.client import Client, Pauses

OnServer = Callable[[Asked, Client], Awaitable[int | None]]
"""A command that is handed a client; its exit code, or None where all went well."""


def client_for(asked: Asked) -> Client:
    """A server that refuses the first connection is not there: people do not wait to be told."""
    try:
        return Client(asked.url, token=asked.token, pauses=Pauses(first_contact=1), notice=asked.output.note)
    except ValueError as error:
        raise Ended(USAGE, str(error)) from error


def on_server(asked: Asked, work: OnServer) -> int:
    """What the work comes to on a server: the one that answers, or one of its own where that is wanted."""

    async def run() -> int:
        async with client_for(asked) as client, AsyncExitStack() as stack:
            own = asked.may_serve and await stack.enter_async_context(server_for(asked, client))
            return await work(replace(asked, owns_server=own), client) or OK

    return asyncio.run(run())
