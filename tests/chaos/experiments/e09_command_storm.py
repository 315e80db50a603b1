"""E9: a storm of commands on many builds, sent twice as often as not, while the server is killed between them."""

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import aiohttp

from tests.chaos.evidence import in_flight, left_of, settled
from tests.chaos.experiments import Figures, examined, percentile
from tests.chaos.harness import TERMINAL, Bench, alongside, bench, must
from tests.chaos.history import Asked, answers_hold
from tests.chaos.model import Script

JSON = dict[str, Any]
PROJECTS = 50
COMMANDS = 2000
ACTIONS = ("pause", "resume", "stop", "retry", "restart")
WEIGHTS = (5, 6, 2, 1, 3)
OF_FAILING = (1, 3, 0, 14, 1)
FAILING = 3
"""Every so many builds one fails at its requirements, so that there is something to retry."""
EFFECT_SECONDS = 5.0
DISTURBED_SECONDS = 10.0
"""Where the server is killed between answer and effect: from the next start on five seconds to go on, and five as ever."""
LONGEST_SECONDS = 30.0
MANY = {"pause": 40, "resume": 40, "stop": 20, "retry": 5, "restart": 20, "delete": 5}
"""So many effects must have been seen."""
DISTURBED = 20
PURGE_SECONDS = 30.0


async def run(seed: int, runs: int) -> Figures:
    return await stormed(seed, projects=PROJECTS, commands=COMMANDS)


async def stormed(seed: int, *, projects: int, commands: int) -> Figures:
    failing = Script(latency=0.01, garbles=["build_requirements"])
    script = Script(latency=0.05, only={str(n): failing for n in range(0, projects, FAILING)})
    async with bench("e09", seed, script) as world:
        storm = Storm(world)
        await storm.start()
        async with alongside(storm.kills_go_on()):
            acknowledged = [await world.api.begin(number) for number in range(projects)]
            each = commands // projects
            await asyncio.gather(
                *(
                    storm.on(one["project_id"], each, Random(seed + n), OF_FAILING if n % FAILING == 0 else WEIGHTS)
                    for n, one in enumerate(acknowledged)
                )
            )
        if not world.nexus.alive:
            await storm.start()
        kept = [one for one in acknowledged if one["project_id"] not in storm.deleted]
        await asyncio.gather(*(storm.gone_on(one["project_id"]) for one in kept))
        purged = await _purged(world, storm.deleted)
        await world.nexus.terminate()
        kills = storm.kills
        must(kills and sum(map(bool, kills)) * 2 > len(kills), f"Kills met nothing in flight: {kills}")
        effects = storm.effects.figures()
        await settled(world)
        evidence, inspected = examined(world, kept, accounts=False)
        asked = [one for one in storm.asked if one.project_id not in storm.deleted]
        return {
            "commands": storm.sent, "answers": dict(sorted(storm.answers.items())), "kills": len(kills), "deleted": len(storm.deleted),
            "held against the log": answers_hold(evidence, asked), "repeated": sum(one.repeats is not None for one in asked), **effects,
            "purged after": f"{purged:.1f} s", "inspected": inspected,
        }  # fmt: skip


async def _purged(world: Bench, deleted: set[str]) -> float:
    """Seconds until nothing is left of what was deleted."""
    began = time.monotonic()
    while left := left_of(world.data, sorted(deleted)):
        must(
            time.monotonic() - began < PURGE_SECONDS, f"Left of deleted projects after {PURGE_SECONDS:g} s: {left[:5]}"
        )
        await asyncio.sleep(0.1)
    return time.monotonic() - began


class Effects:
    """Seconds from the answer to a command until its effect was seen, however often the server died in between."""

    def __init__(self) -> None:
        self.calm: dict[str, list[float]] = defaultdict(list)
        self.disturbed: dict[str, list[float]] = defaultdict(list)

    def figures(self) -> Figures:
        """All of them, which must be many and within bounds."""
        few = {
            action: count
            for action, least in MANY.items()
            if (count := len(self.calm[action]) + len(self.disturbed[action])) < least
        }
        must(not few, f"Too few effects were seen: {few}")
        calm, disturbed = (_all_of(each) for each in (self.calm, self.disturbed))
        must(len(disturbed) >= DISTURBED, f"Only {len(disturbed)} commands met a kill before their effect.")
        for name, found, bound in (("", calm, EFFECT_SECONDS), (" across kills", disturbed, DISTURBED_SECONDS)):
            slowest = percentile(found, 0.99)
            must(slowest <= bound, f"Commands took effect{name} after {slowest:.2f} s (p99): {self._slowest()}")
        return {
            "effects": {action: len(self.calm[action]) + len(self.disturbed[action]) for action in MANY},
            "undisturbed p50/p99": f"{percentile(calm, 0.5):.2f}/{percentile(calm, 0.99):.2f} s of {len(calm)}",
            "across kills p50/p99": f"{percentile(disturbed, 0.5):.2f}/{percentile(disturbed, 0.99):.2f} s of {len(disturbed)}",
        }

    def _slowest(self) -> dict[str, str]:
        return {
            f"{action}{' across kills' if kind is self.disturbed else ''}": f"{max(found):.2f} s"
            for kind in (self.calm, self.disturbed)
            for action, found in kind.items()
            if found
        }


def _all_of(effects: dict[str, list[float]]) -> list[float]:
    return [seconds for found in effects.values() for seconds in found]


class Storm:
    def __init__(self, world: Bench) -> None:
        self._world = world
        self.answers: Counter[int] = Counter()
        self.asked: list[Asked] = []
        self.effects = Effects()
        self.kills: list[int] = []
        self.deleted: set[str] = set()
        self.sent = 0

    async def start(self) -> None:
        """With a place for each build, so that what is wanted to go on does."""
        await self._world.nexus.start(NEXUS_BUILDS__CONCURRENCY=str(PROJECTS))

    async def kills_go_on(self) -> None:
        world = self._world
        while True:
            await asyncio.sleep(world.random.uniform(1.0, 3.0))
            self.kills.append(in_flight(world.data))
            await world.nexus.kill()
            await self.start()

    async def on(self, project_id: str, count: int, chance: Random, weights: Sequence[int]) -> None:
        """A user of one build who cannot make up their mind."""
        for number in range(count):
            await asyncio.sleep(chance.uniform(0, 0.6))
            if number == count - 1 and chance.random() < 0.3:
                await self._delete(project_id)
                return
            [action] = chance.choices(ACTIONS, weights)
            key = f"{project_id}-{number}" if action in ("retry", "restart") and chance.random() < 0.5 else ""
            first = await self._send(project_id, action, key)
            if chance.random() < 0.4:
                await self._send(project_id, action, key, repeats=first)
            if first.status == 202 and (action not in ("pause", "resume") or chance.random() < 0.5):
                await self._measured(first)

    async def _send(self, project_id: str, action: str, key: str, *, repeats: Asked | None = None) -> Asked:
        sent = time.time()
        status, told = await self._world.api.insist(
            "POST", f"/projects/{project_id}/control", {"action": action}, key=key
        )
        self.sent += 1
        self.answers[status] += 1
        one = Asked(
            project_id=project_id, action=action, key=key, sent=sent, answered=time.time(), status=status, told=told, repeats=repeats
        )  # fmt: skip
        must(status in (202, 409), f"{action} was answered {status}: {told}")
        must(status != 409 or told.get("type") == "urn:nexus:problem:wrong-state", f"A 409 that is no problem: {told}")
        self.asked.append(one)
        return one

    async def _measured(self, one: Asked) -> None:
        """Waits for the effect of a command."""
        await self._seen(one.action, one.project_id, lambda status, project: status == 200 and _is_met(one, project))

    async def _seen(self, action: str, project_id: str, met: Callable[[int, JSON], bool]) -> None:
        world, began = self._world, time.monotonic()
        starts, calm = world.nexus.starts, world.nexus.alive
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
                if met(*await world.api.call("GET", f"/projects/{project_id}")):
                    break
            calm = calm and world.nexus.alive
            waited = time.monotonic() - began
            must(waited < LONGEST_SECONDS, f"{action} of {project_id} had no effect after {waited:.0f} s.")
            await asyncio.sleep(0.03)
        kind = self.effects.calm if calm and world.nexus.starts == starts else self.effects.disturbed
        kind[action].append(time.monotonic() - began)

    async def _delete(self, project_id: str) -> None:
        """Twice: the second time there is nothing."""
        for expected in ((202, 404), (404,)):
            status, told = await self._world.api.insist("DELETE", f"/projects/{project_id}?stop_first=true")
            self.sent += 1
            self.answers[status] += 1
            must(status in expected, f"DELETE was answered {status}: {told}")
        self.deleted.add(project_id)
        await self._seen("delete", project_id, lambda status, _: status == 404)

    async def gone_on(self, project_id: str) -> None:
        """Whatever was wanted of it, it can be brought to its end."""
        project = await self._world.api.project(project_id)
        if project["control_status"] == "paused" and project["status"] not in TERMINAL:
            await self._world.api.control(project_id, "resume")
        await self._world.api.until(project_id, *TERMINAL, within=60)


def _is_met(one: Asked, project: JSON) -> bool:
    """Whether what was wanted is. Nobody else commands this build."""
    status: str = project["status"]
    if one.action == "pause":
        return status in ("paused", *TERMINAL)
    if one.action == "stop":
        return status in TERMINAL
    if one.action == "resume":
        return status in ("building", *TERMINAL) and project["control_status"] != "paused"
    return project["build_no"] == one.told["build_no"] and status in ("building", *TERMINAL)
