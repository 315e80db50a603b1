"""E20: SIGTERM while hundreds of streams are open and requests come in."""

import asyncio
import time
from collections import Counter

import aiohttp

from tests.chaos.evidence import Evidence
from tests.chaos.experiments import Figures
from tests.chaos.harness import Bench, alongside, bench, must
from tests.chaos.model import Script
from tests.chaos.replies import asked, opened, reader_of, spoken, with_agent

STREAMS = 500
REPLIES = 10
EXIT_SECONDS = 20.0


async def run(seed: int, runs: int) -> Figures:
    async with bench("e20", seed) as world:
        agent = await with_agent(world)
        await world.model.say(Script(pieces=40, delay=0.05))
        world.nexus.also = {"NEXUS_LIMITS__DRAIN_SECONDS": "0.5"}
        await world.nexus.terminate()
        await world.nexus.start()
        replies = [await asked(world, agent, f"drain-{number}") for number in range(REPLIES)]
        readers = [reader_of(world, replies[number % REPLIES]) for number in range(STREAMS)]
        await opened(readers)
        listening = [asyncio.ensure_future(reader.follow_open()) for reader in readers]
        await spoken(world, replies[-1], pieces=2)
        answers: Counter[str] = Counter()
        async with alongside(_asking(world, answers)):
            began = time.monotonic()
            code, seconds = await world.nexus.terminate(within=EXIT_SECONDS)
        await asyncio.gather(*listening, return_exceptions=True)
        must(code == 0, f"SIGTERM ended the server with {code}: {world.nexus.words()}")
        told_to = [reader.told_to_reconnect for reader in readers]
        told = sum(reader.told_to_reconnect or reader.over for reader in readers)
        must(told == STREAMS, f"{told} of {STREAMS} streams were told to come again.")
        broken = {name: count for name, count in answers.items() if name.startswith("5")}
        must(not broken, f"Requests were answered {broken} while the server drained.")
        must(answers["200"], "No request was answered while streams were open.")
        await world.nexus.start()
        await asyncio.gather(*(reader.follow(within=60) for reader in readers))
        await world.nexus.terminate()
        evidence = Evidence(world)
        for number, reader in enumerate(readers):
            log = [line["position"] for line in evidence.log_topics[f"reply:{replies[number % REPLIES]['reply_id']}"]]
            heard = [one.position for one in reader.heard]
            must(
                heard == log,
                f"Reader {number} heard {heard}, {told_to[number]} times told to come again; the log has {log}.",
            )
        ends = Counter(row["status"] for row in evidence.rows["replies"])
        return {"streams": STREAMS, "exit": f"{seconds:.2f} s", "told": told, "answers": dict(answers), "replies": dict(ends),
                "whole": f"{time.monotonic() - began:.0f} s"}  # fmt: skip


async def _asking(world: Bench, answers: Counter[str]) -> None:
    while True:
        try:
            status, _ = await world.api.call("GET", "/agents")
            answers[str(status)] += 1
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            answers["refused"] += 1
        await asyncio.sleep(0.02)
