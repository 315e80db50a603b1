"""E17: the process that writes a reply is killed; a thousand readers come again through the other one."""

import asyncio
import time

from tests.chaos.experiments import Figures, percentile
from tests.chaos.harness import must
from tests.chaos.model import Script
from tests.chaos.replies import opened
from tests.chaos.streams import Reader
from tests.stack.chaos.chats import HEAR_SECONDS, begin_chats, build_agent, join_heard_text
from tests.stack.chaos.world import RECOVERY_SECONDS, World, open_world
from tests.stack.processes import APIS

READERS = 1000


async def cut_readers(seed: int, runs: int) -> Figures:
    async with open_world(Script(latency=0.05)) as world:
        agent_id = await build_agent(world)
        await world.model.say(Script(pieces=60, delay=0.25))
        [chat] = await begin_chats(world, agent_id, 1)
        readers = [Reader(world.stack.url + chat["events_url"]) for _ in range(READERS)]
        await opened(readers)
        for reader in readers:
            reader.close()
        listening = [asyncio.ensure_future(reader.follow(within=HEAR_SECONDS)) for reader in readers]
        await _wait_moved(readers, [0] * READERS, within=20)
        writer = await _find_writer(world, chat["reply_id"])
        world.stack.kill(writer)
        before, killed_at = [reader.position for reader in readers], time.monotonic()
        resumed = await _wait_moved(readers, before, within=RECOVERY_SECONDS)
        await asyncio.gather(*listening)
        heard = {tuple(event.position for event in reader.heard) for reader in readers}
        must(len(heard) == 1, f"Readers heard {len(heard)} different sequences of events.")
        must(readers[0].last_tag == "reply.completed", f"The reply ended with {readers[0].last_tag}.")
        kept = (await world.api.insist("GET", chat["messages"]))[1]["items"][-1]["content"]
        must(join_heard_text(readers[0]) == kept, "What was heard is not what is kept.")
        await world.start_processes(writer)
        went_on = [at - killed_at for at in resumed]
        return {
            "readers": READERS, "events each": len(readers[0].heard), "went on p50": f"{percentile(went_on, 0.5):.1f} s",
            "p95": f"{percentile(went_on, 0.95):.1f} s", "gaps": 0, "repeats": 0,
        }  # fmt: skip


async def _wait_moved(readers: list[Reader], before: list[int], *, within: float) -> list[float]:
    """When each of them had heard something behind its position."""
    waiting, moments, until = set(range(len(readers))), list[float](), time.monotonic() + within
    while waiting:
        must(time.monotonic() < until, f"{len(waiting)} readers heard nothing for {within:g} s.")
        moved = {number for number in waiting if readers[number].position > before[number]}
        moments += [time.monotonic()] * len(moved)
        waiting -= moved
        await asyncio.sleep(0.02)
    return moments


async def _find_writer(world: World, reply_id: str) -> str:
    [row] = [row for row in await world.read_rows("replies") if row["reply_id"] == reply_id]
    pid = int(row["worker_id"].split("-")[-2])
    return next(name for name in APIS if world.stack.started[name].process.pid == pid)
