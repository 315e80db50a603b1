"""E4: the server and the model server lose power together."""

import asyncio
import time
from collections.abc import Sequence

from tests.chaos.evidence import Evidence, in_flight, settled
from tests.chaos.experiments import Figures, examined, percentile
from tests.chaos.experiments.e01_random_kills import RECOVERY_SECONDS, recoveries
from tests.chaos.harness import TERMINAL, bench, must
from tests.chaos.model import Script

ROUNDS = 6
BUILDS = 10


async def run(seed: int, runs: int) -> Figures:
    async with bench("e04", seed, Script(latency=0.1)) as world:
        await world.nexus.start()
        acknowledged = [await world.api.begin(number) for number in range(BUILDS)]
        restarts, flying = list[tuple[float, float]](), list[int]()
        for _ in range(ROUNDS):
            await asyncio.sleep(world.random.uniform(0.3, 1.0))
            flying.append(in_flight(world.data))
            await asyncio.gather(world.nexus.kill(), world.model.kill())
            began = time.time()
            await world.model.start()
            await world.nexus.start()
            restarts.append((began, time.time()))
        ended = [await world.api.until(one["project_id"], *TERMINAL, within=90) for one in acknowledged]
        await world.nexus.terminate()
        must(flying[0] and sum(map(bool, flying)) > ROUNDS // 2, f"Too few cuts met work in flight: {flying}")
        bad = [one.get("error_info") for one in ended if one["status"] != "completed"]
        must(not bad, f"{len(bad)} builds did not complete: {bad[:2]}")
        await settled(world)
        evidence, inspected = examined(world, acknowledged)
        return {"cuts": ROUNDS, "in flight": flying, **_told(evidence, restarts), "inspected": inspected}


def _told(evidence: Evidence, restarts: Sequence[tuple[float, float]]) -> Figures:
    recovered = recoveries(evidence, list(restarts))
    must(percentile(recovered, 0.95) <= RECOVERY_SECONDS, f"Recovery took {percentile(recovered, 0.95):.2f} s (p95).")
    return {"recovery p95": f"{percentile(recovered, 0.95):.2f} s"}
