"""E13: the server is restarted again and again, in order, while builds run."""

import asyncio
import time

from tests.chaos.evidence import in_flight, running, settled
from tests.chaos.experiments import Figures, examined, percentile
from tests.chaos.harness import TERMINAL, Bench, bench, must
from tests.chaos.model import Script
from tests.chaos.recovery import Recoveries, builds_in

RESTARTS = 20
CRASHED_BEFORE = (5, 10)
"""Before these restarts the server is killed: what the next one took over still waits for a place when that is told to end."""
BUILDS = 20
EXIT_SECONDS = 20.0
WORK_SECONDS = 10.0


async def run(seed: int, runs: int) -> Figures:
    async with bench("e13", seed, Script(latency=0.2)) as world:
        await world.nexus.start()
        acknowledged = [await world.api.begin(number) for number in range(BUILDS)]
        exits, flying = list[float](), list[int]()
        recoveries = Recoveries(world)
        for number in range(RESTARTS):
            await _at_work(world)
            await asyncio.sleep(world.random.uniform(0.2, 0.8))
            flying.append(in_flight(world.data))
            if number in CRASHED_BEFORE:
                await world.nexus.kill()
                await world.nexus.start()
            met = builds_in(world, "running")
            code, seconds = await world.nexus.terminate()
            must(code == 0, f"SIGTERM ended the server with {code}: {world.nexus.words()}")
            must(not (kept := running(world.data)), f"An orderly end left work with a worker that is gone: {kept}")
            exits.append(seconds)
            queued = builds_in(world, "queued")
            await recoveries.begin_again([topic for topic in met if topic in queued])
        ended = [await world.api.until(one["project_id"], *TERMINAL, within=90) for one in acknowledged]
        await world.nexus.terminate()
        bad = [one.get("error_info") for one in ended if one["status"] != "completed"]
        must(not bad, f"{len(bad)} builds did not complete: {bad[:2]}")
        must(sum(map(bool, flying)) >= 0.8 * RESTARTS, f"Too few restarts met work in flight: {flying}")
        must(max(exits) <= EXIT_SECONDS, f"A server took {max(exits):.1f} s to end.")
        await settled(world)
        evidence, inspected = examined(world, acknowledged)
        spent = [row["stage_name"] for row in evidence.rows["stages"] if row["attempt"] > 1]
        must(not spent, f"A restart cost an attempt: {spent}")
        return {
            "restarts": RESTARTS, "after a crash": len(CRASHED_BEFORE), "in flight": flying, "not handed back": 0,
            **recoveries.figures(evidence), "slowest exit": f"{percentile(exits, 1.0):.2f} s", "inspected": inspected,
        }  # fmt: skip


async def _at_work(world: Bench) -> None:
    """Returns once a build is worked on: a server that ends before shows only how long it takes to start."""
    until = time.monotonic() + WORK_SECONDS
    while not in_flight(world.data):
        must(time.monotonic() < until, f"Nothing was worked on {WORK_SECONDS:g} s after a start.")
        await asyncio.sleep(0.02)
