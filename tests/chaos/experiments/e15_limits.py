"""E15: of something that the server needs there is no more for a while: files, memory, threads. It says so or waits, and goes on when there
is some again."""

import asyncio
import contextlib
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.chaos.evidence import in_flight, settled
from tests.chaos.experiments import Figures, Skipped, examined
from tests.chaos.harness import TERMINAL, Bench, alongside, bench, must
from tests.chaos.limits import Group, group
from tests.chaos.model import Script

JSON = dict[str, Any]
FILES = 256
GUESTS = 400
MEGABYTES = 512
SQUEEZED_MEGABYTES = 24
SQUEEZED_SECONDS = 6.0
BUILDS = 8
DEATHS = 2
"""Where there is no memory the kernel may kill the server; more often than that, and it is a crash loop."""
RECOVERY_SECONDS = 10.0
LARGE = "x" * 4_000_000


async def run(seed: int, runs: int) -> Figures:
    wrong, figures = list[str](), dict[str, object]()
    tried: dict[str, Callable[[int], Awaitable[Figures]]] = {
        "files": _few_files, "512 MB": _enough_memory, "memory": _no_memory, "threads": _no_threads
    }  # fmt: skip
    for number, (name, one) in enumerate(tried.items()):
        try:
            figures[name] = await one(seed + number)
        except Skipped as reason:
            figures[name] = f"skipped: {reason}"
        except AssertionError as violation:
            wrong.append(f"{name}: {violation}")
    must(not wrong, "\n    ".join(["", *wrong, f"the others: {figures}"]))
    return figures


async def _few_files(seed: int) -> Figures:
    """Somebody holds all that may be open."""
    if (prlimit := shutil.which("prlimit")) is None:
        raise Skipped("there is no prlimit")
    async with bench("e15", seed, Script()) as world:
        world.use(world.another(command=(prlimit, f"--nofile={FILES}")))
        await world.nexus.start()
        acknowledged = [await world.api.begin(1)]
        await world.api.until(acknowledged[0]["project_id"], *TERMINAL)
        guests = await asyncio.gather(*(_guest(world.nexus.port) for _ in range(GUESTS)))
        let_in = [writer for writer in guests if writer is not None]
        await asyncio.sleep(3)
        must(world.nexus.alive, f"The server died of too many guests: {world.nexus.words()}")
        for writer in let_in:
            writer.close()
        took = await _answered_again(world)
        acknowledged.append(await world.api.begin(2))
        inspected = await _ended(world, acknowledged)
        return {"files": FILES, "guests": len(let_in), "answered again": f"{took:.2f} s", "inspected": inspected}


async def _enough_memory(seed: int) -> Figures:
    """A small machine, and much asked of it at once: that is no reason to grow."""
    with group("memory") as small:
        small.allow(MEGABYTES * 2**20)
        async with bench("e15", seed, Script(latency=0.05)) as world, _under(world, small) as load:
            acknowledged = await load.begun()
            await asyncio.sleep(SQUEEZED_SECONDS)
            used = small.now() / 2**20
            must(
                not load.deaths, f"The server died {len(load.deaths)} times with {MEGABYTES} MB: {world.nexus.words()}"
            )
            await load.over()
            inspected = await _ended(world, acknowledged)
        return {"by": str(small), "used": f"{used:.0f} of {MEGABYTES} MB", **load.told(), "inspected": inspected}


async def _no_memory(seed: int) -> Figures:
    """What it has is nearly all that it may have."""
    with group("memory") as small:
        async with bench("e15", seed, Script(latency=0.05)) as world, _under(world, small) as load:
            return await _squeezed(world, small, load, SQUEEZED_MEGABYTES * 2**20, deaths=DEATHS)


async def _no_threads(seed: int) -> Figures:
    """No thread and no process can be begun."""
    with group("pids") as small:
        async with bench("e15", seed, Script(latency=0.05)) as world, _under(world, small) as load:
            return await _squeezed(world, small, load, 0, deaths=0)


async def _squeezed(world: Bench, small: Group, load: "Load", more: int, *, deaths: int) -> Figures:
    """Only so much more than now, for some seconds of work."""
    acknowledged = await load.begun()
    await asyncio.sleep(0.5)
    flying, before = in_flight(world.data), small.refused()
    small.allow(small.now() + more)
    await asyncio.sleep(SQUEEZED_SECONDS)
    felt = small.refused() - before
    small.allow(None)
    took = await _answered_again(world)
    must(len(load.deaths) <= deaths, f"The server died {len(load.deaths)} times: {world.nexus.words()}")
    must(flying and felt, f"The limit was felt {felt} times, with {flying} in flight.")
    await load.over()
    inspected = await _ended(world, acknowledged)
    return {"by": str(small), "felt": felt, "in flight": flying, "deaths": len(load.deaths), **load.told(),
            "answered again": f"{took:.2f} s", "inspected": inspected}  # fmt: skip


async def _answered_again(world: Bench) -> float:
    """Seconds from the release until a request is served."""
    released = time.monotonic()
    status, _ = await world.api.insist("GET", "/agents")
    took = time.monotonic() - released
    must(status == 200 and took <= RECOVERY_SECONDS, f"Requests were answered again ({status}) after {took:.1f} s.")
    return took


async def _ended(world: Bench, acknowledged: list[JSON]) -> int:
    """All that was asked for is done, though there was so little."""
    ended = [await world.api.until(one["project_id"], *TERMINAL, within=90) for one in acknowledged]
    bad = [(one["status"], one.get("error_info")) for one in ended if one["status"] != "completed"]
    must(not bad, f"{len(bad)} of {len(ended)} builds did not complete: {bad[:3]}")
    await world.nexus.terminate()
    await settled(world)
    evidence, inspected = examined(world, acknowledged, accounts=False)
    spent = [row["stage_name"] for row in evidence.rows["stages"] if row["attempt"] > 1]
    must(not spent, f"It cost attempts: {spent}")
    return inspected


class Load:
    """Builds, requests that are too large, and guests who say nothing; the server is started again when it dies."""

    def __init__(self, world: Bench) -> None:
        self._world, self._stop = world, asyncio.Event()
        self.deaths = list[int]()
        self.answers: Counter[str] = Counter()

    async def begun(self) -> list[JSON]:
        return [await self._world.api.begin(5 * number) for number in range(BUILDS)]

    async def over(self) -> None:
        self._stop.set()

    def told(self) -> Figures:
        return {"answers": dict(sorted(self.answers.items()))}

    async def go_on(self) -> None:
        async with asyncio.TaskGroup() as group_:
            for ask in (self._large, self._large, self._small, self._small):
                group_.create_task(self._asking(ask))
            group_.create_task(self._restarting())

    async def _restarting(self) -> None:
        while not self._stop.is_set():
            if not self._world.nexus.alive:
                self.deaths.append(await self._world.nexus.ended())
                await self._world.nexus.start()
            await asyncio.sleep(0.05)

    async def _asking(self, ask: Callable[[], Awaitable[int]]) -> None:
        while not self._stop.is_set():
            try:
                async with asyncio.timeout(5):
                    status = await ask()
                self.answers[str(status)] += 1
                must(status < 500 or status == 503, f"A request was answered {status}: {self._world.nexus.words()}")
            except (aiohttp.ClientError, ConnectionError):
                self.answers["cut"] += 1
            except TimeoutError:
                self.answers["waited"] += 1
            await asyncio.sleep(0.02)

    async def _large(self) -> int:
        return (await self._world.api.call("POST", "/projects", {"requirement": LARGE}))[0]

    async def _small(self) -> int:
        return (await self._world.api.call("GET", "/projects"))[0]


@asynccontextmanager
async def _under(world: Bench, small: Group) -> AsyncIterator[Load]:
    """The server within the limit, and a load on it."""
    world.use(world.another(command=small.command))
    await world.nexus.start()
    load = Load(world)
    async with alongside(load.go_on()):
        yield load


async def _guest(port: int) -> asyncio.StreamWriter | None:
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(2):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            return writer
    return None
