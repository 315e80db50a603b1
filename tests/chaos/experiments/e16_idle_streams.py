"""E16: thousands of streams are open and nothing is said; then something is."""

import asyncio
import resource
import time

from tests.chaos.evidence import cpu_seconds, in_flight, resident_mb
from tests.chaos.experiments import Figures, Skipped, percentile
from tests.chaos.harness import Bench, bench, must
from tests.chaos.model import Script
from tests.chaos.replies import asked, opened, reader_of, with_agent
from tests.chaos.streams import Reader

STREAMS = 5000
MOST_MB = 150.0
MOST_CPU = 0.05
FAN_OUT_SECONDS = 1.0
SILENCE = 35.0
WATCHED_SECONDS = 10.0


async def run(seed: int, runs: int) -> Figures:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < STREAMS + 1000:
        raise Skipped(f"{STREAMS} streams need more open files than are allowed")
    async with bench("e16", seed, Script(pieces=1, delay=SILENCE)) as world:
        agent = await _agent(world)
        reply = await asked(world, agent, "idle")
        must(in_flight(world.data), "The reply is over already.")
        before = resident_mb(world.nexus.pid)
        readers = [reader_of(world, reply, keep=False) for _ in range(STREAMS)]
        try:
            began = time.monotonic()
            await opened(readers)
            took = time.monotonic() - began
            memory, busy = await _watched(world, before)
            late = await _heard(readers)
        finally:
            for reader in readers:
                reader.close()
        must(memory <= MOST_MB, f"{STREAMS} idle streams take {memory:.0f} MB.")
        must(busy <= MOST_CPU, f"{STREAMS} idle streams keep {busy:.1%} of a core busy.")
        must(
            percentile(late, 0.99) <= FAN_OUT_SECONDS,
            f"The last hundredth heard {percentile(late, 0.99):.2f} s after the first.",
        )
        return {
            "streams": STREAMS, "opened in": f"{took:.1f} s", "memory": f"{memory:.0f} MB", "idle CPU": f"{busy:.1%}",
            "fan-out p99": f"{percentile(late, 0.99):.2f} s", "missing": 0,
        }  # fmt: skip


async def _agent(world: Bench) -> str:
    """Built by a model server that is quick; the one that is slow comes after."""
    slow = world.model.script
    await world.model.say(Script())
    agent = await with_agent(world)
    await world.model.say(slow)
    return agent


async def _watched(world: Bench, before: float) -> tuple[float, float]:
    """Megabytes beyond those before, and the share of a core, once all are open."""
    await asyncio.sleep(2)
    spent, began = cpu_seconds(world.nexus.pid), time.monotonic()
    await asyncio.sleep(WATCHED_SECONDS)
    busy = (cpu_seconds(world.nexus.pid) - spent) / (time.monotonic() - began)
    return resident_mb(world.nexus.pid) - before, busy


async def _heard(readers: list[Reader]) -> list[float]:
    """For each reader, how long after the first it heard the next word."""

    async def one(reader: Reader) -> float:
        await reader.hear("reply.delta")
        return time.monotonic()

    async with asyncio.timeout(SILENCE + 30):
        at = await asyncio.gather(*(one(reader) for reader in readers))
    return [moment - min(at) for moment in at]
