"""E12: one build kills its host wherever it comes to one place: a question to the model, a question while its agent is tried, a commit
outside any step. It is given up; those beside it are not."""

import asyncio
from typing import Any

from msgspec import Struct

from tests.chaos.evidence import settled
from tests.chaos.experiments import Figures, examined
from tests.chaos.harness import TERMINAL, Bench, alongside, bench, must
from tests.chaos.model import Script

JSON = dict[str, Any]
BUILDS = 8
POISON = 2
LONGEST_SECONDS = 120.0
MOST_DEATHS = 12
RIGHT = ("failed", "poisonous")


class Poison(Struct, frozen=True, kw_only=True):
    """Where the host dies: at a topic of the model, or at a failpoint that means the poisonous build alone; and after how many deaths
    the build is given up."""

    name: str
    script: Script
    failpoint: str = ""
    deaths: tuple[int, int]


LATENCY = 0.1
UNVERIFIED = Script(latency=LATENCY, answer="I do not know.", pieces=1)
"""Its agent passes no case, so its deployment is skipped."""
POISONS = (
    Poison(name="a question", script=Script(latency=LATENCY, kills={str(POISON): "build_design"}), deaths=(3, 4)),
    Poison(name="a case", script=Script(latency=LATENCY, kills={str(POISON): "chat"}), deaths=(3, 4)),
    Poison(
        name="a commit",
        script=Script(latency=LATENCY),
        failpoint=f"before:stage.commit@*~run_{POISON}_x",
        deaths=(8, 10),
    ),
    Poison(
        name="the commit that gives a stage up", script=Script(latency=LATENCY, only={str(POISON): UNVERIFIED}), failpoint="before:stage.skipped@*", deaths=(8, 10)
    ),
)  # fmt: skip


async def run(seed: int, runs: int) -> Figures:
    wrong, figures = list[str](), dict[str, object]()
    for number, poison in enumerate(POISONS):
        try:
            figures[poison.name] = await _given_up(poison, seed + number)
        except AssertionError as violation:
            wrong.append(f"{poison.name}: {violation}")
    must(not wrong, "\n    ".join(["", *wrong]))
    return figures


async def _given_up(poison: Poison, seed: int) -> str:
    """One world with one poisonous build."""
    async with bench("e12", seed, poison.script) as world:
        deaths = list[int]()
        world.nexus.also = {"NEXUS_CHAOS__FAILPOINT": poison.failpoint}
        await world.nexus.start()
        async with alongside(_restarting(world, deaths)):
            acknowledged = [await world.api.begin(number) for number in range(BUILDS)]
            ended = [
                await world.api.until(one["project_id"], *TERMINAL, within=LONGEST_SECONDS) for one in acknowledged
            ]
        await world.nexus.terminate()
        found = [(one["status"], (one.get("error_info") or {}).get("code")) for one in ended]
        poisonous = ended[POISON]
        told = f"{found.pop(POISON)} after {len(deaths)} deaths: {poisonous.get('error_info')}"
        must((poisonous["status"], (poisonous.get("error_info") or {}).get("code")) == RIGHT, f"The build is {told}")
        innocent = [each for each in found if each != ("completed", None)]
        must(not innocent, f"Given up with the poisonous one: {innocent}")
        least, most = poison.deaths
        must(least <= len(deaths) <= most, f"It took {len(deaths)} deaths to give it up.")
        await settled(world)
        _, inspected = examined(world, acknowledged, accounts=False)
        return f"failed after {len(deaths)} deaths, {len(found)} completed, {inspected} inspected"


async def _restarting(world: Bench, deaths: list[int]) -> None:
    while True:
        deaths.append(await world.nexus.ended(within=600))
        must(len(deaths) <= MOST_DEATHS, f"After {len(deaths)} deaths it is still not given up.")
        await world.nexus.start()
        await asyncio.sleep(0)
