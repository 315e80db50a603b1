"""Replies as the experiments need them: an agent that is there, a reply that is being written, and many who read it."""

import asyncio
from typing import Any

from tests.chaos.harness import Bench, must
from tests.chaos.scenarios import building
from tests.chaos.streams import Reader

JSON = dict[str, Any]


async def with_agent(world: Bench) -> str:
    """Starts the server and builds an agent, whose id this is."""
    if not world.nexus.alive:
        await world.nexus.start()
    await building(world, 1)
    return str((await world.api.insist("GET", "/agents"))[1]["items"][0]["agent_id"])


async def asked(world: Bench, agent: str, key: str) -> JSON:
    """A reply that is being written, in a session of its own."""
    _, session = await world.api.insist("POST", f"/agents/{agent}/sessions", {}, key=f"session-{key}")
    path = f"/sessions/{session['session_id']}/messages"
    status, reply = await world.api.insist("POST", path, {"content": "double 2"}, key=f"message-{key}")
    must(status == 202, f"A message was answered {status}: {reply}")
    return reply


def reader_of(world: Bench, reply: JSON, **how: Any) -> Reader:
    return Reader(world.nexus.url + reply["events_url"], **how)


async def opened(readers: list[Reader], *, at_once: int = 200) -> None:
    """All of them connected and answered."""
    place = asyncio.Semaphore(at_once)

    async def one(reader: Reader) -> None:
        async with place:
            await reader.open()
            must(reader.status == 200, f"A stream was answered {reader.status}.")

    await asyncio.gather(*(one(reader) for reader in readers))


async def spoken(world: Bench, reply: JSON, *, pieces: int = 1, within: float = 30) -> None:
    """Returns once so many pieces of the text have been told."""
    reader, heard = reader_of(world, reply), 0
    try:
        async with asyncio.timeout(within):
            await reader.open()
            while heard < pieces and not reader.over:
                await reader.listen(pieces=1)
                heard = sum(one.tag == "reply.delta" for one in reader.heard)
    finally:
        reader.close()
