"""E13: the server is restarted again and again, in order, while builds run."""

import asyncio
import time

from tests.chaos.evidence import in_flight, settled
from tests.chaos.experiments import Figures, examined, percentile
from tests.chaos.experiments.e01_random_kills import RECOVERY_SECONDS, recoveries
from tests.chaos.harness import TERMINAL, bench, must
from tests.chaos.model import Script

RESTARTS = 10
BUILDS = 20
EXIT_SECONDS = 20.0


async def run(seed: int, runs: int) -> Figures:
    async with bench("e13", seed, Script(latency=0.1)) as world:
        await world.nexus.start()
        acknowledged = [await world.api.begin(number) for number in range(BUILDS)]
        exits, flying, kept = list[float](), list[int](), 0
        restarts = list[tuple[float, float]]()
        for _ in range(RESTARTS):
            await asyncio.sleep(world.random.uniform(0.2, 0.8))
            flying.append(in_flight(world.data))
            code, seconds = await world.nexus.terminate()
            must(code == 0, f"SIGTERM ended the server with {code}: {world.nexus.words()}")
            kept += in_flight(world.data)
            exits.append(seconds)
            began = time.time()
            await world.nexus.start()
            restarts.append((began, time.time()))
        ended = [await world.api.until(one["project_id"], *TERMINAL, within=90) for one in acknowledged]
        await world.nexus.terminate()
        bad = [one.get("error_info") for one in ended if one["status"] != "completed"]
        must(not bad, f"{len(bad)} builds did not complete: {bad[:2]}")
        must(sum(map(bool, flying)) >= RESTARTS // 2, f"Too few restarts met work in flight: {flying}")
        must(max(exits) <= EXIT_SECONDS, f"A server took {max(exits):.1f} s to end.")
        await settled(world)
        evidence, inspected = examined(world, acknowledged)
        spent = [row["stage_name"] for row in evidence.rows["stages"] if row["attempt"] > 1]
        must(not spent, f"A restart cost an attempt: {spent}")
        handed = recoveries(evidence, restarts)
        must(
            percentile(handed, 0.95) <= RECOVERY_SECONDS,
            f"The next server went on after {percentile(handed, 0.95):.2f} s (p95).",
        )
        return {"restarts": RESTARTS, "in flight": flying, "taken over, not handed back": kept, "went on p95": f"{percentile(handed, 0.95):.2f} s",
                "slowest exit": f"{percentile(exits, 1.0):.2f} s", "inspected": inspected}  # fmt: skip
