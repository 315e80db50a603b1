"""E18: some readers stop reading, some read slowly; the others do not notice."""

import asyncio
import time
from pathlib import Path

from tests.chaos.evidence import resident_mb
from tests.chaos.experiments import Figures, percentile
from tests.chaos.harness import bench, must
from tests.chaos.model import Script
from tests.chaos.replies import asked, opened, reader_of, with_agent
from tests.chaos.streams import Reader

STOPPED = 20
QUICK = 5
PIECES = 45
LETTERS = 8000
CLOSED_SECONDS = 30.0
MOST_MB = 50.0 + 2 * PIECES * LETTERS / 2**20
"""The text itself is in memory while it is written, more than once."""


async def run(seed: int, runs: int) -> Figures:
    async with bench("e18", seed, Script(pieces=PIECES, delay=0.03, letters=LETTERS)) as world:
        await world.model.say(Script())
        agent = await with_agent(world)
        await world.model.say(Script(pieces=PIECES, delay=0.03, letters=LETTERS))
        before = resident_mb(world.nexus.pid)
        reply = await asked(world, agent, "slow")
        stopped = [reader_of(world, reply, receive_buffer=4096) for _ in range(STOPPED)]
        quick = [reader_of(world, reply, keep=False) for _ in range(QUICK)]
        await opened([*stopped, *quick])
        began = time.monotonic()
        ends = await asyncio.gather(*(_finished(reader) for reader in quick))
        gone = await _closed(world.nexus.port, began)
        memory = resident_mb(world.nexus.pid) - before
        again = stopped[0]
        again.close()
        await again.follow(within=60)
        for reader in stopped:
            reader.close()
        must(all(reader.over for reader in quick), "A quick reader did not hear the end.")
        must(gone <= max(ends) - began + CLOSED_SECONDS, f"Stopped readers were closed after {gone:.0f} s.")
        must(again.over, "A reader that had stopped could not go on.")
        must(memory <= MOST_MB, f"The server grew by {memory:.0f} MB.")
        spread = max(ends) - min(ends)
        must(spread < 2, f"Quick readers ended {spread:.1f} s apart.")
        return {
            "stopped": STOPPED, "closed after": f"{gone:.0f} s", "quick readers done": f"{percentile(ends, 0.5) - began:.1f} s",
            "apart": f"{spread:.2f} s", "memory": f"+{memory:.0f} MB", "one went on": again.over,
        }  # fmt: skip


async def _finished(reader: Reader) -> float:
    async with asyncio.timeout(120):
        await reader.follow_open()
    return time.monotonic()


async def _closed(port: int, began: float) -> float:
    """Seconds until the server holds no connection of a reader any more."""
    while connections(port) and time.monotonic() - began < 180:
        await asyncio.sleep(0.2)
    return time.monotonic() - began


def connections(port: int) -> int:
    """Established connections of the server at this port that have unsent bytes, by the kernel."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        line[1].endswith(f":{port:04X}") and line[3] == "01" and not line[4].startswith("00000000") for line in lines
    )
