"""E1: many builds, while the server is killed again and again at random moments."""

import asyncio
import time
from typing import Any

from nexus.domain.core.instants import epoch
from tests.chaos.evidence import Evidence, in_flight, settled, stages_told
from tests.chaos.experiments import Figures, examined, percentile
from tests.chaos.harness import TERMINAL, Bench, alongside, bench, must
from tests.chaos.model import Script

JSON = dict[str, Any]
RECOVERY_SECONDS = 5.0
MOST_KILLS = 60


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
        must(kills.in_flight and all(kills.in_flight), f"A kill met nothing in flight: {kills.in_flight}")
        await settled(world)
        recovered = recoveries(Evidence(world), kills.restarts)
        must(
            percentile(recovered, 0.95) <= RECOVERY_SECONDS, f"Recovery took {percentile(recovered, 0.95):.2f} s (p95)."
        )
        evidence, inspected = examined(world, acknowledged)
        asked = sum(each.total() for each in evidence.asked().values())
        repeated = sum(each.total() for each in evidence.repeated().values())
        return {
            "builds": f"{builds} of {builds} completed",
            "kills": len(kills.in_flight),
            "in flight at a kill": round(sum(kills.in_flight) / len(kills.in_flight), 1),
            "recovery p50": f"{percentile(recovered, 0.5):.2f} s",
            "recovery p95": f"{percentile(recovered, 0.95):.2f} s",
            "calls": f"{asked}, {repeated} of them again",
            "inspected": inspected,
            "seconds": round(time.monotonic() - began),
        }


class Kills:
    """Kills the server, after pauses of such seconds in which builds move, and starts it again. A server with nothing to do lives."""

    def __init__(self, world: Bench, most: int, pauses: tuple[float, float]) -> None:
        self._world, self._most, self._pauses = world, most, pauses
        self.in_flight: list[int] = []
        self.restarts: list[tuple[float, float]] = []

    async def go_on(self) -> None:
        world, told = self._world, 0
        while len(self.in_flight) < self._most:
            await self._moved(told)
            await asyncio.sleep(world.random.uniform(*self._pauses))
            if not (flying := in_flight(world.data)):
                continue
            await world.nexus.kill()
            self.in_flight.append(flying)
            began, told = time.time(), stages_told(world.data)
            await world.nexus.start()
            self.restarts.append((began, time.time()))

    async def _moved(self, told: int) -> None:
        """A server that is killed before it does anything shows only how long it takes to start."""
        while stages_told(self._world.data) <= told:
            await asyncio.sleep(0.05)


def recoveries(evidence: Evidence, restarts: list[tuple[float, float]]) -> list[float]:
    """For each start: how long until the first change of a build was committed."""
    told = sorted(epoch(event["created_at"]) for event in evidence.rows["events"])
    found = list[float]()
    for began, _ in restarts:
        if first := next((at for at in told if at > began), None):
            found.append(first - began)
    return found
