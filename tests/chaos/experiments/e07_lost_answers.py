"""E7: every so often the store does what it is told, or not, and the answer is lost. Inside one process, on the store's driver."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from random import Random

import msgspec
from msgspec import structs

from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.database import Query
from nexus.domain.ports.models import Delta, End, ModelRequest, ToolCall, Usage
from nexus.domain.ports.rows import Item, Key, Table, Write
from nexus.domain.projects.openings import Opening
from tests.chaos.experiments import Figures
from tests.chaos.harness import TERMINAL, must
from tests.chaos.model import ANSWERS
from tests.house import ANN, House, open_house, world

EVERY = 10
ROUNDS = 8
WITHIN_SECONDS = 40.0


class Forgetful:
    """A driver whose answers to writes are lost: after the write was done, or before."""

    def __init__(self, driver: MemoryTables, chance: Random) -> None:
        self._driver, self._chance = driver, chance
        self.lost_after = self.lost_before = 0
        self.calm = False

    async def read(self, table: Table[Item], keys: Sequence[Key]) -> list[Item | None]:
        return await self._driver.read(table, keys)

    async def query(self, query: Query[Item]) -> tuple[list[Item], bool]:
        return await self._driver.query(query)

    async def write(self, writes: Sequence[Write]) -> None:
        lost = not self.calm and self._chance.randrange(EVERY) == 0
        if lost and self._chance.random() < 0.5:
            self.lost_before += 1
            raise Unavailable("The answer was lost.")
        await self._driver.write(writes)
        if lost:
            self.lost_after += 1
            raise Unavailable("The answer was lost.")


class Answering:
    """A model that answers the same to the same question, as often as it is put."""

    name = "answering"

    def __init__(self) -> None:
        self.asked = 0

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | End, None]:
        self.asked += 1
        topic, usage = request.purpose.replace(".", "_"), Usage(input_tokens=10, output_tokens=5)
        if topic in ANSWERS:
            yield Delta(msgspec.json.encode(ANSWERS[topic]).decode())
            yield End("end", (), usage)
        elif request.messages[-1].role == "tool":
            yield Delta("That is 4.")
            yield End("end", (), usage)
        else:
            yield End("tool_calls", (ToolCall("c1", "double_it", '{"number": 2}'),), usage)


async def run(seed: int, runs: int) -> Figures:
    lost, inspected, restarts = 0, 0, 0
    for found in await asyncio.gather(*(_one(Random(seed + number)) for number in range(ROUNDS))):
        lost, inspected, restarts = lost + found[0], inspected + found[1], restarts + found[2]
    must(lost >= ROUNDS, f"Only {lost} answers were lost.")
    return {
        "builds": ROUNDS,
        "answers lost": lost,
        "taken up again": restarts,
        "inspected": inspected,
        "over": "the driver in one process",
    }


async def _one(chance: Random) -> tuple[int, int, int]:
    model = Answering()
    on = world(model)
    driver = Forgetful(MemoryTables(), chance)
    driver.calm = True
    async with open_house(structs.replace(on, tables=driver)) as house:
        started = await house.services.builds.start(ANN, Opening(requirement="Double every number that I give you."))
        driver.calm = False
        takes = await _until_over(house, started.project_id, driver)
        project = await house.services.projects.get(ANN, started.project_id)
        must(project.status == "completed", f"A build with lost answers is {project.status}: {project.error_info}")
        commits = [commit.key for commit in await house.services.projects.commits(ANN, project.project_id)]
        must(len(commits) == len(set(commits)) >= 8, f"The history has {commits}.")
        overview = await house.services.statistics.overview(ANN)
        must(overview.projects == 1, f"One project is counted {overview.projects} times.")
        return driver.lost_after + driver.lost_before, len(commits) + model.asked, takes


async def _until_over(house: House, project_id: str, driver: Forgetful) -> int:
    """Sweeps, as a house does; what nobody works on any more is taken up by a sweeper that sees nobody alive."""
    takes = 0
    until = time.monotonic() + WITHIN_SECONDS
    while time.monotonic() < until:
        await asyncio.sleep(0.005)
        project = await house.services.projects.get(ANN, project_id)
        if project.status in TERMINAL:
            break
        task = await house.services.projects.task(ANN, project_id)
        if task.task_id not in house.queue._running:
            takes += 1
            await house.services.builds.take_over(
                task
            ) if task.status == "running" else await house.services.builds.offer(task)
    driver.calm = True
    return takes
