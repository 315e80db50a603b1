"""E9: a storm of commands on many builds, sent twice as often as not, while the server is killed between them."""

import asyncio
import contextlib
import time
from collections import Counter
from random import Random
from typing import Any

import aiohttp

from tests.chaos.evidence import in_flight, settled
from tests.chaos.experiments import Figures, examined, percentile
from tests.chaos.harness import TERMINAL, Bench, alongside, bench, must
from tests.chaos.model import Script

JSON = dict[str, Any]
PROJECTS = 50
COMMANDS = 2000
ACTIONS = ("pause", "resume", "stop", "retry", "restart")
WEIGHTS = (5, 6, 2, 2, 2)
EFFECT_SECONDS = 5.0
ASLEEP = {"pause": ("paused", *TERMINAL), "stop": TERMINAL}


async def run(seed: int, runs: int) -> Figures:
    return await stormed(seed, projects=PROJECTS, commands=COMMANDS)


async def stormed(seed: int, *, projects: int, commands: int) -> Figures:
    async with bench("e09", seed, Script(latency=0.05)) as world:
        storm = Storm(world)
        await world.nexus.start(NEXUS_BUILDS__CONCURRENCY="6")
        async with alongside(storm.kills_go_on()):
            acknowledged = [await world.api.begin(number) for number in range(projects)]
            each = commands // projects
            await asyncio.gather(
                *(storm.on(one["project_id"], each, Random(seed + n)) for n, one in enumerate(acknowledged))
            )
        if not world.nexus.alive:
            await world.nexus.start()
        for one in acknowledged:
            if one["project_id"] not in storm.deleted:
                await storm.calmed(one["project_id"])
        await asyncio.sleep(1)
        await world.nexus.terminate()
        must(
            storm.kills and sum(map(bool, storm.kills)) * 2 > len(storm.kills),
            f"Kills met nothing in flight: {storm.kills}",
        )
        must(storm.effects, "No effect was measured.")
        slowest = percentile(storm.effects, 0.99)
        must(slowest <= EFFECT_SECONDS, f"A command took effect after {slowest:.2f} s (p99).")
        await settled(world)
        kept = [one for one in acknowledged if one["project_id"] not in storm.deleted]
        _, inspected = examined(world, kept, accounts=False)
        return {
            "commands": storm.sent, "answers": dict(sorted(storm.answers.items())), "kills": len(storm.kills), "deleted": len(storm.deleted),
            "effect p50": f"{percentile(storm.effects, 0.5):.2f} s", "effect p99": f"{slowest:.2f} s", "inspected": inspected,
        }  # fmt: skip


class Storm:
    def __init__(self, world: Bench) -> None:
        self._world = world
        self.answers: Counter[int] = Counter()
        self.effects: list[float] = []
        self.kills: list[int] = []
        self.deleted: set[str] = set()
        self.sent = 0
        self._starts = 0

    async def kills_go_on(self) -> None:
        world = self._world
        while True:
            await asyncio.sleep(world.random.uniform(1.0, 3.0))
            self.kills.append(in_flight(world.data))
            await world.nexus.kill()
            await world.nexus.start(NEXUS_BUILDS__CONCURRENCY="6")

    async def on(self, project_id: str, count: int, chance: Random) -> None:
        """A user of one build who cannot make up their mind."""
        for number in range(count):
            await asyncio.sleep(chance.uniform(0, 0.6))
            if number == count - 1 and chance.random() < 0.3:
                await self._delete(project_id)
                return
            [action] = chance.choices(ACTIONS, WEIGHTS)
            status, _ = await self._send(project_id, action)
            if action in ASLEEP and chance.random() < 0.4:
                again, after = await self._send(project_id, action)
                same = again == status or (again == 409 and after.get("status") in (409, *TERMINAL))
                must(same, f"{action} was answered {status}, and then {again}: {after}")
            if status == 202 and action in ASLEEP and chance.random() < 0.3:
                await self._measured(project_id, action)

    async def _send(self, project_id: str, action: str) -> tuple[int, JSON]:
        status, told = await self._world.api.control(project_id, action)
        self.sent += 1
        self.answers[status] += 1
        must(status in (202, 409, 429), f"{action} was answered {status}: {told}")
        must(
            status != 409 or told.get("type", "").startswith("urn:nexus:problem:"), f"A 409 that is no problem: {told}"
        )
        return status, told

    async def _measured(self, project_id: str, action: str) -> None:
        """How long until the wish is met, where the server lived all the while."""
        world, began = self._world, time.monotonic()
        starts = world.nexus.starts
        while time.monotonic() - began < 3 * EFFECT_SECONDS:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
                _, project = await world.api.call("GET", f"/projects/{project_id}")
                if project.get("status") in ASLEEP[action]:
                    break
            await asyncio.sleep(0.02)
        if world.nexus.starts == starts and world.nexus.alive:
            self.effects.append(time.monotonic() - began)

    async def _delete(self, project_id: str) -> None:
        status, told = await self._world.api.insist("DELETE", f"/projects/{project_id}?stop_first=true")
        self.sent += 1
        self.answers[status] += 1
        must(status in (202, 404), f"DELETE was answered {status}: {told}")
        self.deleted.add(project_id)
        status, _ = await self._world.api.insist("GET", f"/projects/{project_id}")
        must(status == 404, f"A deleted project is answered {status}.")

    async def calmed(self, project_id: str) -> None:
        project = await self._world.api.project(project_id)
        if project["status"] not in (*TERMINAL, "paused"):
            await self._world.api.control(project_id, "stop")
            await self._world.api.until(project_id, *TERMINAL, "paused", within=30)
