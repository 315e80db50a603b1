"""E14: the disk under the data directory is full for a while."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.evidence import settled
from tests.chaos.experiments import Figures, Skipped, examined
from tests.chaos.harness import TERMINAL, bench, must
from tests.chaos.model import Script

MEGABYTES = 64
BUILDS = 6
FULL_SECONDS = 6.0
RESUME_SECONDS = 60.0


async def run(seed: int, runs: int) -> Figures:
    if os.geteuid() != 0:
        raise Skipped("mounting a small disk needs root")
    async with bench("e14", seed, Script(latency=0.2)) as world:
        world.data.mkdir()
        with _small_disk(world.data):
            await world.nexus.start()
            acknowledged = [await world.api.begin(number) for number in range(BUILDS)]
            await asyncio.sleep(0.5)
            ballast = _filled(world.data)
            await asyncio.sleep(FULL_SECONDS)
            must(world.nexus.alive, f"The server died of the full disk: {world.nexus.words()}")
            during = [await world.api.project(one["project_id"]) for one in acknowledged]
            must(any(one["status"] not in TERMINAL for one in during), "Every build was over before the disk was full.")
            given_up = [one.get("error_info") for one in during if one["status"] == "failed"]
            must(not given_up, f"Builds failed for want of space: {given_up[:2]}")
            ballast.unlink()
            freed = time.monotonic()
            ended = [await world.api.until(one["project_id"], *TERMINAL, within=RESUME_SECONDS) for one in acknowledged]
            took = time.monotonic() - freed
            bad = [one.get("error_info") for one in ended if one["status"] != "completed"]
            must(not bad, f"{len(bad)} builds did not complete once there was space: {bad[:2]}")
            await world.nexus.terminate()
            await settled(world)
            evidence, inspected = examined(world, acknowledged, accounts=False)
        told = sum("storage_full" in str(event["data"]) for event in evidence.rows["events"])
        states = sorted({one["status"] for one in during})
        return {
            "while full": states,
            "told storage_full": told,
            "completed after space": f"{took:.1f} s",
            "inspected": inspected,
        }


@contextmanager
def _small_disk(directory: Path) -> Iterator[None]:
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(directory)], capture_output=True, text=True
    )
    if made.returncode:
        raise Skipped(f"no tmpfs can be mounted: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=False)


def _filled(directory: Path) -> Path:
    """Ballast that leaves nothing."""
    path = directory / "ballast"
    with path.open("wb", buffering=0) as file:
        for size in (2**20, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return path
