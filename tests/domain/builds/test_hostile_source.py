"""What a model writes goes back to it when no parser can read it; what no process outlives is not replayed to all of them."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from msgspec import structs

from nexus.domain.ports.models import ToolSpec
from tests.contracts.test_code_sources import HOSTILE
from tests.domain.builds.scripts import WRITTEN, said, script
from tests.domain.builds.test_builds import WANTED, over
from tests.domain.builds.test_failures import purposes
from tests.fakes.code import MemoryCode
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app


@pytest.mark.parametrize("what", sorted(HOSTILE.keys() - {"half a character"}))  # no answer in JSON can hold one
async def test_a_tool_that_no_parser_can_read_is_written_again(what: str) -> None:
    hostile = structs.replace(WRITTEN, code=HOSTILE[what].replace("def tool(", "def double_it(")[:40_000])
    model = script(tools=[said(hostile), said(WRITTEN)])
    async with open_app(make_adapters(model)) as app:
        started = await app.services.builds.start(ANN, WANTED)
        project = await over(app, started.project_id)
        assert (project.status, project.error_info) == ("completed", None)
        assert purposes(app).count("build.tools") == 2


@pytest.mark.parametrize("source", ["x = " + "-" * 9000 + "1\n", "def test_a(:\n", "x = '\0'\n"])
async def test_tests_that_no_parser_can_read_are_written_again(source: str) -> None:
    model = script(tools=[said(structs.replace(WRITTEN, test_code=source)), said(WRITTEN)])
    async with open_app(make_adapters(model)) as app:
        started = await app.services.builds.start(ANN, WANTED)
        assert (await over(app, started.project_id)).status == "completed"


class Deadly(MemoryCode):
    """A process that reads the source of one answer stands still for good."""

    def __init__(self, poison: str) -> None:
        self.reached = asyncio.Queue[None]()
        self._poison = poison

    async def parse_tool_spec(self, source: str, function: str) -> ToolSpec:
        if source == self._poison:
            self.reached.put_nowait(None)
            await asyncio.Event().wait()
        return await super().parse_tool_spec(source, function)


async def test_an_answer_over_which_three_processes_died_is_asked_anew() -> None:
    poison = structs.replace(WRITTEN, code=f"{WRITTEN.code}# poison\n")
    code = Deadly(poison.code)
    async with AsyncExitStack() as stack:
        first = structs.replace(make_adapters(script(tools=[said(poison), said(WRITTEN)])), code=code)
        apps: list[MemoryApp] = [await stack.enter_async_context(open_app(first))]
        started = await apps[0].services.builds.start(ANN, WANTED)
        for number in range(3):
            await code.reached.get()
            after = make_adapters(like=apps[0].adapters, clock=apps[0].clock, worker_id=f"w{number + 2}")
            apps.append(await stack.enter_async_context(open_app(structs.replace(after, code=code))))
            await apps[-1].sweeper.recover_jobs_at_start(alone=True)
        project = await over(apps[-1], started.project_id)
        assert (project.status, project.error_info) == ("completed", None)
        assert code.reached.empty()
        assert purposes(apps[-1]).count("build.tools") == 2
