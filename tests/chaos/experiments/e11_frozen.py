"""E11: the process stands still for longer than a lease, as under a debugger or a starved machine; its loop alone is blocked, while
another process wants the same core; and it goes on as if nothing were."""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from tests.chaos.evidence import beats, in_flight, settled
from tests.chaos.experiments import Figures, Skipped, examined
from tests.chaos.harness import TERMINAL, Bench, alongside, bench, must
from tests.chaos.model import Script

FREEZES = 4
FROZEN_SECONDS = 2.6
BUILDS = 8
BLOCKS = (("after:stage.call@6", 1.7), ("before:stage.commit@30", 3.5), ("after:step.call@60", 1.7))
"""Where the loop is blocked, and for how long; a lease has two seconds here."""


async def run(seed: int, runs: int) -> Figures:
    return {**await _frozen(seed), **await _blocked(seed + 1)}


async def _frozen(seed: int) -> Figures:
    async with bench("e11", seed, Script(latency=0.15)) as world:
        await world.nexus.start()
        acknowledged = [await world.api.begin(number) for number in range(BUILDS)]
        flying = list[int]()
        for _ in range(FREEZES):
            await asyncio.sleep(world.random.uniform(0.2, 0.8))
            flying.append(in_flight(world.data))
            world.nexus.send(signal.SIGSTOP)
            await asyncio.sleep(FROZEN_SECONDS)
            world.nexus.send(signal.SIGCONT)
        must(flying[0] and sum(map(bool, flying)) > 1, f"Too few freezes met work in flight: {flying}")
        again, inspected = await _ended(world, acknowledged)
        return {
            "freezes": FREEZES,
            "in flight": flying,
            "taken over": again,
            "completed": BUILDS,
            "inspected": inspected,
        }


async def _blocked(seed: int) -> Figures:
    if (taskset := shutil.which("taskset")) is None:
        raise Skipped("there is no taskset to have two processes share a core")
    core = str(max(os.sched_getaffinity(0)))
    async with _busy(taskset, core), bench("e11", seed, Script(latency=0.15)) as world:
        world.use(world.another(command=(taskset, "-c", core)))
        armed = ",".join(f"{point}=block:{seconds}" for point, seconds in BLOCKS)
        await world.nexus.start(NEXUS_CHAOS__FAILPOINT=armed)
        probe = Probe(world)
        async with alongside(probe.go_on()):
            acknowledged = [await world.api.begin(number) for number in range(BUILDS)]
            again, inspected = await _ended(world, acknowledged, over=probe.over)
        shortest = min(seconds for _, seconds in BLOCKS)
        blocked = [gap for gap in probe.gaps if gap >= shortest - 0.2]
        must(len(blocked) >= len(BLOCKS), f"The loop was blocked {len(blocked)} times, not {len(BLOCKS)}: {probe.gaps}")
        must(probe.beats, "While the loop was blocked, no sign of life was given.")
        return {"blocked": [f"{gap:.1f} s" for gap in blocked], "beats meanwhile": probe.beats, "taken over then": again,
                "completed beside a busy neighbour": BUILDS, "inspected again": inspected}  # fmt: skip


@asynccontextmanager
async def _busy(taskset: str, core: str) -> AsyncIterator[None]:
    """A neighbour that takes all it gets of a core."""
    neighbour = await asyncio.create_subprocess_exec(taskset, "-c", core, sys.executable, "-c", "while True: pass")
    try:
        yield
    finally:
        neighbour.kill()
        await neighbour.wait()


async def _ended(
    world: Bench, acknowledged: list[dict[str, object]], *, over: asyncio.Event | None = None
) -> tuple[int, int]:
    """How often builds were taken over, and how much was looked at."""
    ended = [await world.api.until(str(one["project_id"]), *TERMINAL, within=60) for one in acknowledged]
    if over:
        over.set()
    bad = [one.get("error_info") for one in ended if one["status"] != "completed"]
    must(not bad, f"{len(bad)} builds did not complete: {bad[:2]}")
    await world.nexus.terminate()
    await settled(world)
    evidence, inspected = examined(world, acknowledged)
    spent = [row["stage_name"] for row in evidence.rows["stages"] if row["attempt"] > 1]
    must(not spent, f"Standing still cost an attempt: {spent}")
    again = sum(event["tag"] == "build.started" for event in evidence.rows["events"]) - len(acknowledged)
    return again, inspected


class Probe:
    """Asks again and again how the server is. `gaps`: how long it let one wait, where that was long; `beats`: signs of life that the store
    got in the meantime."""

    def __init__(self, world: Bench) -> None:
        self._world = world
        self.gaps: list[float] = []
        self.beats = 0
        self.over = asyncio.Event()

    async def go_on(self) -> None:
        while not self.over.is_set():
            before, began = beats(self._world.data), time.monotonic()
            try:
                async with self._world.http.get(f"{self._world.nexus.url}/health") as answer:
                    await answer.read()
            except (aiohttp.ClientError, TimeoutError):
                continue
            if (gap := time.monotonic() - began) >= 1.0:
                self.gaps.append(gap)
                self.beats += beats(self._world.data) - before
            await asyncio.sleep(0.02)
