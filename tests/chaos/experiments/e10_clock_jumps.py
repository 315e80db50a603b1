"""E10: the wall clock of a house jumps an hour ahead and a month back while a build runs. Inside one process, on a clock of its own."""

import asyncio

from nexus.adapters.memory.models import Gate, turn
from nexus.domain.projects.openings import Opening
from tests.chaos.experiments import Figures
from tests.chaos.harness import TERMINAL, must
from tests.domain.builds.scripts import DESIGN, said, script
from tests.house import ANN, open_house, world

JUMPS = (3600.0, -30 * 86_400.0, 86_400.0, -3600.0)


async def run(seed: int, runs: int) -> Figures:
    gate, ids = Gate(), list[str]()
    async with open_house(world(script(design=[turn(gate, *said(DESIGN).pieces)]))) as house:
        started = await house.services.builds.start(ANN, Opening(requirement="Double every number that I give you."))
        await gate.reached.wait()
        before = await house.services.projects.task(ANN, started.project_id)
        for jump in JUMPS:
            house.clock.now += jump
            ids += [house.world.new_id("msg"), house.world.new_id("msg")]
            await house.sweeper.sweep()
            task = await house.services.projects.task(ANN, started.project_id)
            must(task.fence == before.fence, f"A jump of {jump:g} s took the build from its executor.")
        gate.opened.set()
        async with asyncio.timeout(10):
            while (project := await house.services.projects.get(ANN, started.project_id)).status not in TERMINAL:
                await asyncio.sleep(0.01)
        must(project.status == "completed", f"After the jumps the build is {project.status}: {project.error_info}")
        must(ids == sorted(set(ids)), f"Ids of one process went back with the clock: {ids}")
    return {"jumps": len(JUMPS), "take-overs": 0, "ids in order": len(ids), "over": "a clock of its own in one process"}
