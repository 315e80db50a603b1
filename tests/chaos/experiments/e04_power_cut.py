"""E4: the server and the model server lose power together."""

import asyncio

from tests.chaos.evidence import collected, rooms, settled
from tests.chaos.experiments import Figures, examined
from tests.chaos.harness import TERMINAL, Bench, Nexus, bench, must
from tests.chaos.model import Script
from tests.chaos.recovery import Recoveries, builds_in

ROUNDS = 6
BUILDS = 10


async def run(seed: int, runs: int) -> Figures:
    async with bench("e04", seed, Script(latency=0.1)) as world:
        await world.nexus.start()
        acknowledged = [await world.api.begin(number) for number in range(BUILDS)]
        recoveries = Recoveries(world)
        for _ in range(ROUNDS):
            await asyncio.sleep(world.random.uniform(0.3, 1.0))
            await asyncio.gather(world.nexus.kill(), world.model.kill())
            flying = builds_in(world, "running")
            await world.model.start()
            await recoveries.begin_again(flying)
        ended = [await world.api.until(one["project_id"], *TERMINAL, within=90) for one in acknowledged]
        seconds = await _cleaned_up_after_a_neighbour(world)
        await world.nexus.terminate()
        met = recoveries.flying
        must(met[0] and sum(map(bool, met)) > ROUNDS // 2, f"Too few cuts met work in flight: {met}")
        bad = [one.get("error_info") for one in ended if one["status"] != "completed"]
        must(not bad, f"{len(bad)} builds did not complete: {bad[:2]}")
        await settled(world)
        evidence, inspected = examined(world, acknowledged)
        return {
            "cuts": ROUNDS,
            "in flight": met,
            **recoveries.figures(evidence),
            "a neighbour's room gone after": seconds,
            "inspected": inspected,
        }


async def _cleaned_up_after_a_neighbour(world: Bench) -> str:
    """Another server, with data of its own and the same place for rooms, is killed and never comes back."""
    own, data = rooms(world.data), world.directory / "neighbour"
    neighbour = Nexus(data, environ={"NEXUS_MODEL__PROVIDER": "offline"})
    await neighbour.start()
    must(len(rooms(world.data)) > len(own), "The neighbour made no room.")
    await neighbour.kill()
    seconds = await collected(world.data)
    must(rooms(world.data) == own, f"The rooms of the living: {rooms(world.data)}, not {own}.")
    return f"{seconds:.0f} s"
