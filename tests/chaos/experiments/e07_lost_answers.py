"""E7: the store does what it is told, and the answer is lost.

On the line to DynamoDB it is every fifth write's. Its driver asks again, knows what it wrote by its mark, and nobody notices. Then the
driver itself gives up, after all its own tries: its callers hear Unavailable, and do not know whether anything was written. A stage that
meets that begins another attempt, of which there are three, with up to a dozen writes each: so it is every twentieth write there, and
none meets it three times."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Sequence
from random import Random
from typing import Any

import msgspec
from msgspec import structs

from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.database import Query, Window
from nexus.domain.ports.models import Delta, End, ModelRequest, ToolCall, Usage
from nexus.domain.ports.rows import Item, Place, Write
from nexus.domain.projects.starts import Opening
from tests.chaos.experiments import Figures
from tests.chaos.harness import TERMINAL, must
from tests.chaos.line import dynamo_behind_line
from tests.chaos.model import ANSWERS
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app

EVERY_ON_LINE = 5
ON_LINE = 4
EVERY = 20
ROUNDS = 8
WITHIN_SECONDS = 40.0
INPUT_TOKENS = 10


class Forgetful:
    """A driver whose answers to writes are lost: after the write was done, or before."""

    def __init__(self, driver: MemoryTables, chance: Random) -> None:
        self._driver, self._chance, self._writes = driver, chance, chance.randrange(EVERY)
        self.lost_after = self.lost_before = 0
        self.calm = False

    async def read_rows(self, places: Sequence[Place]) -> list[Item | None]:
        return await self._driver.read_rows(places)

    async def query_rows(self, query: Query[Any]) -> tuple[list[Item], bool]:
        return await self._driver.query_rows(query)

    async def write_rows(self, writes: Sequence[Write]) -> None:
        self._writes += not self.calm
        lost = not self.calm and self._writes % EVERY == 0
        if lost and self._chance.random() < 0.5:
            self.lost_before += 1
            raise Unavailable("The answer was lost.")
        await self._driver.write_rows(writes)
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
        topic, usage = request.purpose.replace(".", "_"), Usage(input_tokens=INPUT_TOKENS, output_tokens=5)
        if topic in ANSWERS:
            yield Delta(msgspec.json.encode(ANSWERS[topic]).decode())
            yield End("end", (), usage)
        elif request.messages[-1].role == "tool":
            yield Delta("That is 4.")
            yield End("end", (), usage)
        else:
            yield End("tool_calls", (ToolCall("c1", "double_it", '{"number": 2}'),), usage)


async def run(seed: int, runs: int) -> Figures:
    return {**await _over_line(), **await _over_driver(seed)}


async def _over_line() -> Figures:
    """Builds and a conversation while answers are lost on the line: each is there once, counted once, and no lease is thought lost."""
    model = Answering()
    async with (
        dynamo_behind_line() as (tables, line),
        open_app(structs.replace(make_adapters(model), tables=tables)) as app,
    ):
        line.lose(EVERY_ON_LINE)
        begun = [
            await app.services.builds.start(ANN, Opening(requirement=f"Double every number, {n}."))
            for n in range(ON_LINE)
        ]
        for one in begun:
            await _completed(app, one.project_id)
        said = await _conversed(app)
        line.lose(0)
        tasks = [await app.services.projects.get_active_task(ANN, one.project_id) for one in begun]
        must(all(task.fence == 1 for task in tasks), f"A lease was thought lost: {[task.fence for task in tasks]}")
        over = await app.services.statistics.read_overview(ANN)
        counted = (over.projects, over.builds_completed, over.sessions, over.messages, over.invocations)
        must(counted == (ON_LINE, ON_LINE, 1, 2, 1), f"Counted were {counted}.")
        builds = [await app.services.projects.get_current_build(ANN, one.project_id) for one in begun]
        spent = over.input_tokens + sum(build.input_tokens for build in builds)
        must(spent == INPUT_TOKENS * model.asked, f"{model.asked} calls are counted as {spent} tokens.")
        must(said == ["user", "assistant"], f"The conversation has {said}.")
        must(line.lost >= 10 * ON_LINE, f"Only {line.lost} answers were lost.")
        return {
            "on the line": f"{line.lost} of {line.writes} answers lost",
            "builds there": ON_LINE,
            "calls": model.asked,
        }


async def _completed(app: MemoryApp, project_id: str) -> None:
    async with asyncio.timeout(WITHIN_SECONDS):
        while (project := await app.services.projects.get(ANN, project_id)).status not in TERMINAL:
            await asyncio.sleep(0.05)
    must(project.status == "completed", f"A build with lost answers is {project.status}: {project.error_info}")


async def _conversed(app: MemoryApp) -> list[str]:
    services = app.services
    [agent, *_] = (await services.agents.list_agents(ANN, Window())).items
    session = await services.sessions.create_session(ANN, agent.agent_id)
    reply = await services.sessions.send(ANN, session.session_id, "double 2")
    async with asyncio.timeout(WITHIN_SECONDS):
        while (await services.sessions.get_reply(ANN, session.session_id, reply.reply_id)).status == "running":
            await asyncio.sleep(0.05)
    return [
        message.role for message in (await services.sessions.list_messages(ANN, session.session_id, Window())).items
    ]


async def _over_driver(seed: int) -> Figures:
    lost, inspected, restarts = 0, 0, 0
    for found in await asyncio.gather(*(_one(Random(seed + number)) for number in range(ROUNDS))):
        lost, inspected, restarts = lost + found[0], inspected + found[1], restarts + found[2]
    must(lost >= ROUNDS, f"Only {lost} answers were lost.")
    return {
        "on the driver": f"{lost} answers lost",
        "builds": ROUNDS,
        "taken up again": restarts,
        "inspected": inspected,
    }


async def _one(chance: Random) -> tuple[int, int, int]:
    model = Answering()
    on = make_adapters(model)
    driver = Forgetful(MemoryTables(), chance)
    driver.calm = True
    async with open_app(structs.replace(on, tables=driver)) as app:
        started = await app.services.builds.start(ANN, Opening(requirement="Double every number that I give you."))
        driver.calm = False
        takes = await _until_over(app, started.project_id, driver)
        project = await app.services.projects.get(ANN, started.project_id)
        must(project.status == "completed", f"A build with lost answers is {project.status}: {project.error_info}")
        commits = [commit.key for commit in await app.services.projects.list_commits(ANN, project.project_id)]
        must(len(commits) == len(set(commits)) >= 8, f"The history has {commits}.")
        overview = await app.services.statistics.read_overview(ANN)
        must(overview.projects == 1, f"One project is counted {overview.projects} times.")
        return driver.lost_after + driver.lost_before, len(commits) + model.asked, takes


async def _until_over(app: MemoryApp, project_id: str, driver: Forgetful) -> int:
    """Sweeps, as an app does; what nobody works on any more is taken up by a sweeper that sees nobody alive."""
    takes = 0
    until = time.monotonic() + WITHIN_SECONDS
    while time.monotonic() < until:
        await asyncio.sleep(0.005)
        project = await app.services.projects.get(ANN, project_id)
        if project.status in TERMINAL:
            break
        task = await app.services.projects.get_active_task(ANN, project_id)
        if task.task_id not in app.queue._running:
            takes += 1
            services = app.services
            with contextlib.suppress(Unavailable):
                if task.status != "running" or await services.build_runner.take_over_build(task):
                    await services.build_queue.enqueue_build(task.task_id, task.priority, task.tenant_id)
    driver.calm = True
    return takes
