"""A client for a command, and the loop it runs in."""

import asyncio
from dataclasses import replace

from nexus.cli.asked import Asked
from nexus.cli.exits import OK, USAGE, Ended
from nexus.cli.parsing import OnServer
from nexus.cli.servers import server_for
from nexus.client import Client, Pauses


def client_for(asked: Asked) -> Client:
    """A server that refuses the first connection is not there: people do not wait to be told."""
    try:
        return Client(asked.url, token=asked.token, pauses=Pauses(first_contact=1), notice=asked.output.note)
    except ValueError as error:
        raise Ended(USAGE, str(error)) from error


def on_server(asked: Asked, work: OnServer) -> int:
    """What the work comes to on a server: the one that answers, or one of its own where that is wanted."""

    async def run(asked: Asked, client: Client) -> int | None:
        async with server_for(asked, client) as own:
            return await work(replace(asked, owns_server=own), client)

    return run_with_client(asked, run if asked.may_serve else work)


def run_with_client(asked: Asked, work: OnServer) -> int:
    async def run() -> int:
        async with client_for(asked) as client:
            return await work(asked, client) or OK

    return asyncio.run(run())
