"""A client for a command, and the loop it runs in."""

import asyncio

from nexus.cli.asked import Asked
from nexus.cli.exits import USAGE, Ended
from nexus.cli.parsing import OnServer
from nexus.client import Client, Pauses


def client_for(asked: Asked) -> Client:
    """A server that refuses the first connection is not there: people do not wait to be told."""
    try:
        return Client(asked.url, token=asked.token, pauses=Pauses(first_contact=1), notice=asked.output.note)
    except ValueError as error:
        raise Ended(USAGE, str(error)) from error


def on_server(asked: Asked, work: OnServer) -> int:
    """What the work comes to on a server: the one that answers, or one of its own where that is wanted."""
    return connected(asked, _served(work) if asked.may_serve else work)


def _served(work: OnServer) -> OnServer:
    async def worked(asked: Asked, client: Client) -> int:
        from nexus.cli.servers import server_for

        async with server_for(asked, client):
            return await work(asked, client)

    return worked


def connected(asked: Asked, work: OnServer) -> int:
    async def worked() -> int:
        async with client_for(asked) as client:
            return await work(asked, client)

    return asyncio.run(worked())
