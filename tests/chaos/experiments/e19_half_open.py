"""E19: readers whose packets are lost without a word: some hear a reply being written, some wait where nothing is said."""

import asyncio
import time

from tests.chaos.evidence import Evidence, connections, in_flight, open_sockets
from tests.chaos.experiments import Figures, examined, percentile
from tests.chaos.harness import Bench, alongside, bench, must
from tests.chaos.model import Script
from tests.chaos.network import Loss, own_network
from tests.chaos.replies import JSON, asked, opened, reader_of, spoken, with_agent
from tests.chaos.streams import Reader

LOST_HEARING, LOST_WAITING = 25, 25
OTHERS = 20
FREED_SECONDS = 45.0
IN_SOCKETS_SECONDS = 0.5
"""What came in before the first packet was lost is read by then."""
SPOKEN = Script(pieces=120, delay=0.1)
"""Words for longer than it takes to lose the readers, and less than until they are given up."""


async def run(seed: int, runs: int) -> Figures:
    with own_network():
        return await _run(seed)


async def _run(seed: int) -> Figures:
    async with bench("e19", seed) as world:
        agent, paused = await with_agent(world), await _paused(world)
        await world.model.say(SPOKEN)
        reply = await asked(world, agent, "half-open")
        hearing = [reader_of(world, reply) for _ in range(LOST_HEARING)]
        waiting = [Reader(world.nexus.url + paused["events_url"]) for _ in range(LOST_WAITING)]
        others = [reader_of(world, reply) for _ in range(OTHERS)]
        lost = [*hearing, *waiting]
        held_before = open_sockets(world.nexus.pid)
        await opened([*lost, *others])
        listening = [asyncio.ensure_future(reader.follow_open()) for reader in others]
        async with alongside(_listened(lost)):
            await spoken(world, reply, pieces=5)
            must(in_flight(world.data), "The reply was over before any packet was lost.")
            freed, dropped = await _freed(world, lost, held_before + OTHERS)
        await asyncio.gather(*listening)
        must(percentile(freed, 1.0) <= FREED_SECONDS, f"A lost reader was given up after {max(freed):.0f} s.")
        await _come_again(hearing)
        kept = (await world.api.insist("GET", f"/sessions/{reply['session_id']}/messages"))[1]["items"]
        await world.nexus.terminate()
        _judged(Evidence(world), reply, kept, (hearing, others))
        _, inspected = examined(world, [paused], accounts=False)
        return {
            "lost": len(lost), "packets dropped": dropped, "freed, hearing": f"{percentile(freed, 0.25):.0f} s",
            "freed, waiting": f"{max(freed):.0f} s", "others": f"{OTHERS} heard all", "came again": len(hearing), "inspected": inspected,
        }  # fmt: skip


async def _paused(world: Bench) -> JSON:
    """A build that waits for its user, whose stream says nothing."""
    started = await world.api.begin(2)
    while (await world.api.control(started["project_id"], "pause"))[0] != 202:
        await asyncio.sleep(0.02)
    await world.api.until(started["project_id"], "paused")
    return started


async def _listened(readers: list[Reader]) -> None:
    await asyncio.gather(*(reader.follow_open() for reader in readers))


async def _freed(world: Bench, lost: list[Reader], rest: int) -> tuple[list[float], int]:
    """Loses them: for each, the seconds until the server's kernel and the server itself hold nothing of it; and the packets it took."""
    port, pid = world.nexus.port, world.nexus.pid
    gone, ports = list[float](), {reader.own_port for reader in lost}
    must(ports <= set(connections(pid, port)), "Some readers were gone before a packet was lost.")
    with Loss(port, ports) as loss:
        began = time.monotonic()
        await asyncio.sleep(IN_SOCKETS_SECONDS)
        heard = [reader.reads for reader in lost]
        while (ports or open_sockets(pid) > rest) and time.monotonic() - began < 2 * FREED_SECONDS:
            await asyncio.sleep(0.2)
            left = ports & set(connections(pid, port))
            gone += [time.monotonic() - began] * len(ports - left)
            ports = left
        must(not ports, f"{len(ports)} connections were still there after {2 * FREED_SECONDS:g} s.")
        held = open_sockets(pid)
        must(held <= rest, f"The connections are gone, and the server holds {held} sockets where {rest} are enough.")
        dropped = loss.dropped()
        must(all(dropped[::2]), "To some lost reader nothing was sent.")
        must(heard == [reader.reads for reader in lost], "A lost reader heard something.")
        return [*gone, time.monotonic() - began], sum(dropped)


async def _come_again(lost: list[Reader]) -> None:
    """From another port, after what they heard last."""
    must(not any(reader.over for reader in lost), "A lost reader heard the end.")
    for reader in lost:
        reader.close()
    await asyncio.gather(*(reader.follow(within=30) for reader in lost))


def _judged(evidence: Evidence, reply: JSON, kept: list[JSON], heard: tuple[list[Reader], list[Reader]]) -> None:
    lost, others = heard
    log = evidence.log_topics[f"reply:{reply['reply_id']}"]
    must(log[-1]["type"] == "reply.completed", f"The reply ended with {log[-1]['type']}.")
    whole = "".join(line.get("text", "") for line in log if line["type"] == "reply.delta")
    must([one["content"] for one in kept if one["role"] == "assistant"] == [whole], f"{len(kept)} messages were kept.")
    positions = [line["position"] for line in log]
    for name, readers in (("lost", lost), ("other", others)):
        wrong = sum([one.position for one in reader.heard] != positions for reader in readers)
        must(not wrong, f"{wrong} of {len(readers)} {name} readers did not hear exactly the log.")
