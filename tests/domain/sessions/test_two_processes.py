"""Two processes over one store: what one writes, the other shows as it comes, and neither says that all was read when it was not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
from msgspec import structs

from nexus.adapters.memory.log import MemoryLog
from nexus.domain.core.streams import Batch
from nexus.domain.ports.log import EventLog
from nexus.domain.sessions.model import Reply
from tests.domain.builds.scripts import script
from tests.domain.builds.test_builds import WANTED
from tests.domain.test_known_failures_of_stores import built, scripted
from tests.fakes.models import Gate, turn
from tests.house import ANN, House, open_house, world


@asynccontextmanager
async def two_processes() -> AsyncIterator[tuple[House, House]]:
    store = MemoryLog()
    async with AsyncExitStack() as stack:
        on = structs.replace(world(script()), log=EventLog(store))
        one = await stack.enter_async_context(open_house(on))
        like = world(like=on, clock=one.clock, worker_id="w2")
        other = structs.replace(like, log=EventLog(store), signals=on.signals)
        yield one, await stack.enter_async_context(open_house(other, serving=False))


async def follow(house: House, reply: Reply, after: int = 0) -> AsyncIterator[Batch] | None:
    return await house.services.sessions.follow(ANN, reply.session_id, reply.reply_id, after)


async def tags(batches: AsyncIterator[Batch] | None, most: int = 100) -> list[str]:
    assert batches is not None
    found = list[str]()
    async with asyncio.timeout(50):
        async for batch in batches:
            found += [msgspec.json.decode(event)["type"] for event in batch.events]
            if len(found) >= most:
                break
    return found


async def test_a_reply_of_one_is_live_in_the_other_and_resumed_there() -> None:
    async with two_processes() as (one, other):
        project, gate = await built(one), Gate()
        session = await one.services.sessions.open(ANN, project.agent_ids[0])
        scripted(one).add(turn("half ", gate, "whole"), purpose="reply")
        reply = await one.services.sessions.send(ANN, session.session_id, "Say something.")
        await gate.reached.wait()
        live = await follow(other, reply)
        assert await tags(live, 2) == ["reply.started", "reply.delta"]
        rest = asyncio.create_task(tags(live))
        await asyncio.sleep(0)
        gate.opened.set()
        assert await rest == ["reply.delta", "usage.recorded", "reply.completed"]
        await one.queue.settled()
        for house in (other, one):
            assert await tags(await follow(house, reply, 2)) == ["reply.delta", "usage.recorded", "reply.completed"]
            assert await follow(house, reply, 5) is None


async def test_a_build_of_one_is_followed_through_the_other() -> None:
    async with two_processes() as (one, other):
        started = await one.services.builds.start(ANN, WANTED)
        found = await tags(await other.services.projects.follow(ANN, started.project_id))
        assert found[0] == "build.queued" and found[-1] == "build.completed"
