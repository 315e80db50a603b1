"""E17: a thousand readers are cut when the server is killed in the middle of a reply, and all come again at once."""

import asyncio
import time

from tests.chaos.evidence import Evidence, in_flight
from tests.chaos.experiments import Figures, percentile
from tests.chaos.harness import bench, must
from tests.chaos.model import Script
from tests.chaos.replies import asked, opened, reader_of, spoken, with_agent
from tests.chaos.streams import Reader

READERS = 1000
RESUME_SECONDS = 3.0
HEARD_SECONDS = 10.0


async def run(seed: int, runs: int) -> Figures:
    async with bench("e17", seed) as world:
        agent = await with_agent(world)
        await world.model.say(Script(pieces=48, delay=0.25))
        reply = await asked(world, agent, "storm")
        readers = [reader_of(world, reply) for _ in range(READERS)]
        await opened(readers)
        listening = [asyncio.ensure_future(reader.follow(within=90)) for reader in readers]
        for reader in readers:
            reader.close()
        await spoken(world, reply, pieces=5)
        await _all_heard(readers)
        must(in_flight(world.data), "The reply was over before the kill.")
        await world.nexus.kill()
        before = [reader.position for reader in readers]
        await world.nexus.start()
        ready, resumed = time.monotonic(), list[float]()
        waiting = set(range(READERS))
        while waiting and time.monotonic() - ready < 30:
            moved = {number for number in waiting if readers[number].position > before[number]}
            resumed += [time.monotonic() - ready] * len(moved)
            waiting -= moved
            await asyncio.sleep(0.02)
        await asyncio.gather(*listening)
        await world.nexus.terminate()
        log = [line["position"] for line in Evidence(world).log_topics[f"reply:{reply['reply_id']}"]]
        wrong = [number for number, reader in enumerate(readers) if [one.position for one in reader.heard] != log]
        must(not wrong, f"{len(wrong)} of {READERS} readers did not hear exactly the log.")
        must(readers[0].heard[-1].tag == "reply.completed", f"The reply ended with {readers[0].heard[-1].tag}.")
        must(
            percentile(resumed, 0.95) <= RESUME_SECONDS,
            f"Readers went on after {percentile(resumed, 0.95):.2f} s (p95).",
        )
        return {
            "readers": READERS,
            "events each": len(log),
            "went on p95": f"{percentile(resumed, 0.95):.2f} s",
            "gaps": 0,
            "repeats": 0,
        }


async def _all_heard(readers: list[Reader]) -> None:
    """Returns once each of them is in the middle of the reply."""
    until = time.monotonic() + HEARD_SECONDS
    while silent := sum(not reader.position for reader in readers):
        must(time.monotonic() < until, f"{silent} readers had heard nothing after {HEARD_SECONDS:g} s.")
        await asyncio.sleep(0.02)
