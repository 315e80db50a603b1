"""E18: some readers stop reading, many read slowly; the others do not notice."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.chaos.evidence import Evidence, connections, in_flight, resident_mb
from tests.chaos.experiments import Figures, percentile
from tests.chaos.harness import Bench, bench, must
from tests.chaos.model import STAMP, Script
from tests.chaos.replies import JSON, asked, opened, reader_of, with_agent
from tests.chaos.streams import Reader

STOPPED = 20
SLOW = 100
SLOW_BYTES = 1024
"""A second."""
QUICK = 5
SPOKEN = Script(pieces=1000, delay=0.008, letters=1000, stamps=True)
CLOSED_SECONDS = 30.0
MOST_MB = 50.0
TIMES_AS_LATE = 2.0
NOISE_SECONDS = 0.02
"""Below it, what is twice as late is the machine's own doing."""


class Punctual(Reader):
    """Notes how late each piece comes, counted from when the model sent it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.late: list[float] = []

    def _take(self, frame: str) -> None:
        now = time.time()
        self.late += [now - float(sent) for sent in STAMP.findall(frame)]
        super()._take(frame)


async def run(seed: int, runs: int) -> Figures:
    async with bench("e18", seed) as world:
        agent = await with_agent(world)
        await world.model.say(SPOKEN)
        _, alone = await _heard_by_quick(world, await asked(world, agent, "alone"))
        before = resident_mb(world.nexus.pid)
        reply = await asked(world, agent, "crowd")
        async with _crowd(world, reply) as (stopped, slow):
            quick, late = await _heard_by_quick(world, reply)
            told = time.monotonic()
            gone = await _closed(world, stopped, told)
            memory = resident_mb(world.nexus.pid) - before
        again = [*stopped, *slow]
        cut = sum(not reader.over for reader in again)
        await asyncio.gather(*(reader.follow(within=60) for reader in again))
        await world.nexus.terminate()
        _judged(Evidence(world), reply, [*quick, *again])
        for share in (0.5, 0.95):
            calm, crowded = percentile(alone, share), percentile(late, share)
            most = TIMES_AS_LATE * max(calm, NOISE_SECONDS)
            must(
                crowded < most,
                f"Beside slow readers pieces came after {crowded:.3f} s (p{share:.0%}), alone after {calm:.3f} s.",
            )
        must(gone <= CLOSED_SECONDS, f"Stopped readers were closed {gone:.0f} s after the last word.")
        must(memory <= MOST_MB, f"The server grew by {memory:.0f} MB.")
        return {
            "stopped": STOPPED, "slow": SLOW, "stopped ones closed after": f"{gone:.0f} s", "memory": f"+{memory:.0f} MB",
            "late p50": _beside(alone, late, 0.5), "late p95": _beside(alone, late, 0.95), "cut": cut, "went on": f"{len(again)} of {len(again)}",
        }  # fmt: skip


def _beside(alone: list[float], late: list[float], share: float) -> str:
    return f"{percentile(late, share) * 1000:.1f} ms, alone {percentile(alone, share) * 1000:.1f} ms"


async def _heard_by_quick(world: Bench, reply: JSON) -> tuple[list[Punctual], list[float]]:
    """Readers that heard all over one connection, and how late each piece came to each."""
    readers = [Punctual(world.nexus.url + reply["events_url"]) for _ in range(QUICK)]
    await opened(list(readers))
    must(in_flight(world.data), "The reply was over before its readers were there.")
    async with asyncio.timeout(120):
        await asyncio.gather(*(reader.follow_open() for reader in readers))
    must(all(reader.over for reader in readers), "A quick reader did not hear the end.")
    late = [lateness for reader in readers for lateness in reader.late]
    must(len(late) >= QUICK * SPOKEN.pieces * 0.9, f"Only {len(late)} pieces told when they were sent.")
    return readers, late


@asynccontextmanager
async def _crowd(world: Bench, reply: JSON) -> AsyncIterator[tuple[list[Reader], list[Reader]]]:
    """Readers that take nothing after the head of the answer, and readers that sip."""
    stopped = [reader_of(world, reply, receive_buffer=4096) for _ in range(STOPPED)]
    slow = [reader_of(world, reply, receive_buffer=4096, pace=SLOW_BYTES) for _ in range(SLOW)]
    await opened([*stopped, *slow])
    sipping: list[asyncio.Future[Any]] = [asyncio.ensure_future(reader.sip()) for reader in slow]
    try:
        yield stopped, slow
    finally:
        for each in sipping:
            each.cancel()
        await asyncio.gather(*sipping, return_exceptions=True)
        for reader in stopped:
            reader.close()


async def _closed(world: Bench, stopped: list[Reader], since: float) -> float:
    """Seconds until the server's kernel keeps nothing for readers that stopped."""
    pid, port, ports = world.nexus.pid, world.nexus.port, {reader.own_port for reader in stopped}
    kept = connections(pid, port)
    must(all(kept.get(one, 0) for one in ports), "A stopped reader had been sent all there was: nothing stood still.")
    while ports & set(connections(pid, port)) and time.monotonic() - since < 3 * CLOSED_SECONDS:
        await asyncio.sleep(0.2)
    return time.monotonic() - since


def _judged(evidence: Evidence, reply: JSON, readers: list[Reader]) -> None:
    log = [line["position"] for line in evidence.log_topics[f"reply:{reply['reply_id']}"]]
    wrong = sum([one.position for one in reader.heard] != log for reader in readers)
    must(not wrong, f"{wrong} of {len(readers)} readers did not hear exactly the log.")
    [row] = [row for row in evidence.rows["replies"] if row["reply_id"] == reply["reply_id"]]
    must(row["status"] == "completed", f"The reply is {row['status']}: {row.get('error_message')}")
