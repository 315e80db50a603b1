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
    async def worked() -> int:
        async with client_for(asked) as client:
            return await work(asked, client)

    return asyncio.run(worked())
