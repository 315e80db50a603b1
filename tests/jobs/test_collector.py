"""What dead processes left is collected by every process that may, whatever else it does."""

import asyncio
from typing import Any

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from nexus.adapters.memory.tables import MemoryTables
from nexus.composition.process import DUTIES, run_process
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.database import TableDriver
from nexus.jobs.collector import Collect, collect_all_garbage
from nexus.jobs.lanes import Lanes
from tests.memory_app import make_adapters


@pytest.mark.parametrize("role", DUTIES)
async def test_a_process_of_any_role_collects_of_every_kind_again_and_again(role: str) -> None:
    enough, counts = asyncio.Event(), list[str]()

    def collecting(kind: str, found: int) -> Collect:
        async def collect() -> int:
            counts.append(kind)
            if counts.count("files") > 2 and counts.count("rooms") > 2:
                enough.set()
            return found

        return collect

    kinds = {"rooms": collecting("rooms", 2), "files": collecting("files", 0)}
    lanes = Lanes()
    on = structs.replace(make_adapters(), queue=lanes, local=lanes, collects=kinds, collect_every=0.001)
    with capture_logs() as told:
        async with asyncio.timeout(50), run_process(on, lanes, DUTIES[role]):
            await enough.wait()
    assert {(entry["kind"], entry["count"]) for entry in told if entry["event"] == "sweep.collected"} == {("rooms", 2)}


async def test_what_cannot_be_collected_keeps_nothing_else_from_it() -> None:
    collected = list[str]()

    async def away() -> int:
        raise Unavailable("The storage does not answer.")

    async def broken() -> int:
        raise OSError("no such device")

    async def fine() -> int:
        collected.append("fine")
        return 1

    with capture_logs() as told:
        await collect_all_garbage({"away": away, "broken": broken, "fine": fine})
    assert collected == ["fine"]
    assert [entry["about"] for entry in told if "about" in entry] == ["away", "broken"]


class Looked:
    """A store that tells when the sweeper looks for work."""

    def __init__(self, store: TableDriver) -> None:
        self.read_rows, self.write_rows, self._store = store.read_rows, store.write_rows, store
        self.again = asyncio.Semaphore(0)

    async def query_rows(self, query: Any) -> Any:
        self.again.release()
        return await self._store.query_rows(query)


async def test_a_collection_that_takes_its_time_holds_up_no_sweep() -> None:
    begun, lanes, store = asyncio.Event(), Lanes(), Looked(MemoryTables())

    async def endless() -> int:
        begun.set()
        await asyncio.Event().wait()
        return 0

    on = structs.replace(
        make_adapters(),
        tables=store,
        queue=lanes,
        local=lanes,
        collects={"endless": endless},
        collect_every=0.001,
        sweep_every=0.001,
    )
    async with asyncio.timeout(50), run_process(on, lanes, DUTIES["all"]):
        await begun.wait()
        for _ in range(100):
            await store.again.acquire()
