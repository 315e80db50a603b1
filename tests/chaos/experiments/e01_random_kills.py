"""E1: many builds, while the server is killed again and again at random moments."""

import asyncio
import time
from typing import Any

from tests.chaos.evidence import settled, stages_told
from tests.chaos.experiments import Figures, examined
from tests.chaos.harness import TERMINAL, Bench, alongside, bench, must
from tests.chaos.model import Script
from tests.chaos.recovery import Recoveries, builds_in

JSON = dict[str, Any]
MOST_KILLS = 45


async def run(seed: int, runs: int) -> Figures:
    return await killed(seed, builds=runs, most_kills=MOST_KILLS)


async def killed(seed: int, *, builds: int, most_kills: int, pauses: tuple[float, float] = (0.2, 2.0)) -> Figures:
    async with bench("e01", seed, Script(latency=0.01)) as world:
        began, kills = time.monotonic(), Kills(world, most_kills, pauses)
        await world.nexus.start()
        async with alongside(kills.go_on()):
            acknowledged = [await world.api.begin(number) for number in range(builds)]
            ended = [await world.api.until(one["project_id"], *TERMINAL, within=240 + builds) for one in acknowledged]
        if not world.nexus.alive:
            await world.nexus.start()
        await world.nexus.terminate()
        bad = [(one["project_id"], one.get("error_info")) for one in ended if one["status"] != "completed"]
        must(not bad, f"{len(bad)} of {builds} builds did not complete: {bad[:3]}")
        flying = kills.recoveries.flying
        must(flying and all(flying), f"A kill met nothing in flight: {flying}")
        await settled(world)
        evidence, inspected = examined(world, acknowledged)
        asked = sum(each.total() for each in evidence.asked().values())
        repeated = sum(each.total() for each in evidence.repeated().values())
        return {
            "builds": f"{builds} of {builds} completed",
            "kills": len(flying),
            "in flight at a kill": round(sum(flying) / len(flying), 1),
            **kills.recoveries.figures(evidence),
            "calls": f"{asked}, {repeated} of them again",
            "inspected": inspected,
            "seconds": round(time.monotonic() - began),
        }


class Kills:
    """Kills the server, after pauses of such seconds in which builds move, and starts it again. A server with nothing to do lives."""

    def __init__(self, world: Bench, most: int, pauses: tuple[float, float]) -> None:
        self._world, self._most, self._pauses = world, most, pauses
        self.recoveries = Recoveries(world)

    async def go_on(self) -> None:
        world, told = self._world, 0
        while len(self.recoveries.cuts) < self._most:
            await self._moved(told)
            await asyncio.sleep(world.random.uniform(*self._pauses))
            if not builds_in(world, "running"):
                continue
            await world.nexus.kill()
            told = stages_told(world.data)
            if flying := builds_in(world, "running"):
                await self.recoveries.begin_again(flying)
            else:
                await world.nexus.start()

    async def _moved(self, told: int) -> None:
        """A server that is killed before it does anything shows only how long it takes to start."""
        while stages_told(self._world.data) <= told:
            await asyncio.sleep(0.05)
