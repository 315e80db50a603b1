"""E20: SIGTERM while hundreds of streams are open, and requests and messages come in."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

import aiohttp

from tests.chaos.evidence import Evidence
from tests.chaos.experiments import Figures
from tests.chaos.harness import Bench, alongside, bench, must
from tests.chaos.model import Script
from tests.chaos.replies import asked, opened, reader_of, spoken, with_agent

STREAMS = 500
REPLIES = 10
MESSAGES = 200
EXIT_SECONDS = 20.0


async def run(seed: int, runs: int) -> Figures:
    async with bench("e20", seed) as world:
        agent = await with_agent(world)
        await world.model.say(Script(pieces=40, delay=0.05))
        world.nexus.also = {"NEXUS_LIMITS__DRAIN_SECONDS": "0.5"}
        await world.nexus.terminate()
        await world.nexus.start()
        replies = [await asked(world, agent, f"drain-{number}") for number in range(REPLIES)]
        free = [
            (await world.api.insist("POST", f"/agents/{agent}/sessions", {}, key=f"free-{number}"))[1]["session_id"]
            for number in range(MESSAGES)
        ]
        readers = [reader_of(world, replies[number % REPLIES]) for number in range(STREAMS)]
        await opened(readers)
        listening = [asyncio.ensure_future(reader.follow_open()) for reader in readers]
        await spoken(world, replies[-1], pieces=2)
        answers: Counter[str] = Counter()
        said: Counter[str] = Counter()
        async with alongside(_asking(world, answers)), alongside(_saying(world, free, said)):
            began = time.monotonic()
            code, seconds = await world.nexus.terminate(within=EXIT_SECONDS)
        await asyncio.gather(*listening, return_exceptions=True)
        must(code == 0, f"SIGTERM ended the server with {code}: {world.nexus.words()}")
        told_to = [reader.told_to_reconnect for reader in readers]
        told = sum(reader.told_to_reconnect or reader.over for reader in readers)
        must(told == STREAMS, f"{told} of {STREAMS} streams were told to come again.")
        for what, told_of in (("Requests", answers), ("Messages", said)):
            broken = {name: count for name, count in told_of.items() if name.startswith("5")}
            must(not broken, f"{what} were answered {broken} while the server drained.")
        must(answers["200"] and said["202"], f"Nothing was answered while streams were open: {answers}, {said}.")
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
        kept = sum(row["session_id"] in free for row in evidence.rows["replies"])
        must(kept >= said["202"], f"{said['202']} messages were accepted, {kept} have a reply.")
        return {"streams": STREAMS, "exit": f"{seconds:.2f} s", "told": told, "answers": dict(answers), "said": dict(said), "replies": dict(ends),
                "whole": f"{time.monotonic() - began:.0f} s"}  # fmt: skip


async def _asking(world: Bench, answers: Counter[str]) -> None:
    while True:
        try:
            status, _ = await world.api.call("GET", "/agents")
            answers[str(status)] += 1
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            answers["refused"] += 1
        await asyncio.sleep(0.02)


async def _saying(world: Bench, sessions: Sequence[str], answers: Counter[str]) -> None:
    """A message for each session, one after the other, before and while the server drains."""
    for session_id in sessions:
        try:
            status, _ = await world.api.call("POST", f"/sessions/{session_id}/messages", {"content": "double 2"})
            answers[str(status)] += 1
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            answers["refused"] += 1
        await asyncio.sleep(0.01)
