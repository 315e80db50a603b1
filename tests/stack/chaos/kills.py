"""E1, E3, E4, E13: processes die, stand still, lose power and are replaced while builds run."""

import asyncio
import signal

from tests.chaos.experiments import Figures
from tests.chaos.harness import alongside, must
from tests.chaos.model import Script
from tests.stack.chaos.world import NEXUS, RECOVERY_SECONDS, World, make_random, open_world
from tests.stack.processes import WORKERS

RESTARTS, BUILDS_OF_RESTARTS = 20, 20
BUILDS_OF_A_ROUND = 3
STOPPED_SECONDS = 60.0


async def kill_at_random(seed: int, runs: int) -> Figures:
    """E1: a process is killed every few seconds, and started again."""
    random = make_random(seed, "e01")

    async def kill_forever(world: World) -> None:
        while True:
            await world.wait_running_builds(1)
            await asyncio.sleep(random.uniform(0.2, 4.0))
            name = random.choice((*WORKERS, *NEXUS))
            await world.kill_processes(name)
            await world.start_processes(name)

    async with open_world(Script(latency=0.05)) as world:
        async with alongside(kill_forever(world)):
            acknowledged = await world.begin_builds(runs)
            await asyncio.sleep(4 * runs)
        await world.end_builds(acknowledged, within=240 + 10 * runs)
        evidence = await world.examine(acknowledged)
        return {"builds": runs, **evidence.measure_recoveries(world.kills), "inspected": evidence.inspected}


async def stop_and_continue(seed: int, runs: int) -> Figures:
    """E3: a worker stands still for longer than its lease, and goes on when others have its work."""
    async with open_world(Script(latency=0.6)) as world:
        acknowledged, taken_over = [], 0
        for number in range(runs):
            name = WORKERS[number % 2]
            started = await world.begin_builds(BUILDS_OF_A_ROUND, first=number * BUILDS_OF_A_ROUND)
            acknowledged += started
            pid = world.stack.started[name].process.pid
            topics = await world.wait_running_builds(1, of=[pid])
            world.stack.started[name].process.send_signal(signal.SIGSTOP)
            async with asyncio.timeout(STOPPED_SECONDS):
                while pid in (running := await world.list_running_builds()).values():
                    await asyncio.sleep(0.5)
            taken_over += sum(running.get(topic) != pid for topic in topics)
            world.stack.started[name].process.send_signal(signal.SIGCONT)
            await world.end_builds(started, within=120)
        must(all(map(world.stack.is_alive, WORKERS)), "A worker did not live on.")
        evidence = await world.examine(acknowledged)
        return {"rounds": runs, "taken over": taken_over, "written twice": 0, "inspected": evidence.inspected}


async def cut_power(seed: int, runs: int) -> Figures:
    """E4: all processes and Redis die at once, and come again."""
    async with open_world(Script(latency=0.3)) as world:
        acknowledged = []
        for number in range(runs):
            started = await world.begin_builds(BUILDS_OF_A_ROUND, first=number * BUILDS_OF_A_ROUND)
            acknowledged += started
            await world.wait_running_builds(1)
            await world.kill_processes(*NEXUS)
            world.stack.kill("redis")
            world.stack.start_redis()
            await world.start_processes(*NEXUS)
            await world.end_builds(started, within=RECOVERY_SECONDS + 60)
        evidence = await world.examine(acknowledged)
        return {"rounds": runs, **evidence.measure_recoveries(world.kills), "inspected": evidence.inspected}


async def restart_in_turn(seed: int, runs: int) -> Figures:
    """E13: every process is restarted by SIGTERM, in turn, while builds run."""
    random = make_random(seed, "e13")
    async with open_world(Script(latency=0.3)) as world:
        acknowledged = await world.begin_builds(BUILDS_OF_RESTARTS)
        for number in range(RESTARTS):
            await asyncio.sleep(random.uniform(0.2, 0.8))
            await world.restart_process(NEXUS[number % len(NEXUS)])
        await world.end_builds(acknowledged, within=240)
        evidence = await world.examine(acknowledged)
        spent = [row["stage_name"] for row in evidence.rows["stages"] if row["attempt"] > 1]
        must(not spent, f"A restart cost an attempt: {spent}")
        return {"restarts": RESTARTS, "attempts lost": 0, "inspected": evidence.inspected}
