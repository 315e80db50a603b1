"""E12: one build kills its host at one step, each time. It is given up; those beside it are not."""

import asyncio

from tests.chaos.evidence import settled
from tests.chaos.experiments import Figures, examined
from tests.chaos.harness import TERMINAL, Bench, alongside, bench, must
from tests.chaos.model import Script

BUILDS = 12
POISON = 2


async def run(seed: int, runs: int) -> Figures:
    async with bench("e12", seed, Script(latency=0.1, kills={str(POISON): "build_design"})) as world:
        deaths = list[int]()
        await world.nexus.start()
        async with alongside(_restarting(world, deaths)):
            acknowledged = [await world.api.begin(number) for number in range(BUILDS)]
            ended = [await world.api.until(one["project_id"], *TERMINAL, within=90) for one in acknowledged]
        await world.nexus.terminate()
        status = {
            number: (one["status"], (one.get("error_info") or {}).get("code")) for number, one in enumerate(ended)
        }
        must(
            status.pop(POISON) == ("failed", "poisonous"),
            f"The poisonous build is {ended[POISON]['status']}: {ended[POISON].get('error_info')}",
        )
        innocent = [number for number, found in status.items() if found != ("completed", None)]
        must(not innocent, f"Given up with the poisonous one: {[(number, status[number]) for number in innocent]}")
        must(3 <= len(deaths) <= 4, f"It took {len(deaths)} deaths to give it up.")
        await settled(world)
        _, inspected = examined(world, acknowledged, accounts=False)
        return {"deaths": len(deaths), "failed": 1, "completed": len(status), "inspected": inspected}


async def _restarting(world: Bench, deaths: list[int]) -> None:
    while True:
        deaths.append(await world.nexus.ended(within=600))
        await world.nexus.start()
        await asyncio.sleep(0)
