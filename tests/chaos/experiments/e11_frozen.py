"""E11: the process stands still for longer than a lease, as under a debugger or a starved machine, and goes on as if nothing were."""

import asyncio
import signal

from tests.chaos.evidence import in_flight, settled
from tests.chaos.experiments import Figures, examined
from tests.chaos.harness import TERMINAL, bench, must
from tests.chaos.model import Script

FREEZES = 4
FROZEN_SECONDS = 2.6
BUILDS = 8


async def run(seed: int, runs: int) -> Figures:
    async with bench("e11", seed, Script(latency=0.15)) as world:
        await world.nexus.start()
        acknowledged = [await world.api.begin(number) for number in range(BUILDS)]
        flying = list[int]()
        for _ in range(FREEZES):
            await asyncio.sleep(world.random.uniform(0.2, 0.8))
            flying.append(in_flight(world.data))
            world.nexus.send(signal.SIGSTOP)
            await asyncio.sleep(FROZEN_SECONDS)
            world.nexus.send(signal.SIGCONT)
        ended = [await world.api.until(one["project_id"], *TERMINAL, within=60) for one in acknowledged]
        must(flying[0] and sum(map(bool, flying)) > 1, f"Too few freezes met work in flight: {flying}")
        bad = [one.get("error_info") for one in ended if one["status"] != "completed"]
        must(not bad, f"{len(bad)} builds did not complete: {bad[:2]}")
        await world.nexus.terminate()
        await settled(world)
        evidence, inspected = examined(world, acknowledged)
        again = sum(event["tag"] == "build.started" for event in evidence.rows["events"]) - BUILDS
        return {
            "freezes": FREEZES,
            "in flight": flying,
            "taken over": again,
            "completed": BUILDS,
            "inspected": inspected,
        }
