"""E14: the disk under the data directory is full for a while."""

import asyncio
import os
import subprocess
from contextlib import contextmanager
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.evidence import settled
from tests.chaos.experiments import Figures, Skipped, examined
from tests.chaos.harness import TERMINAL, bench, must
from tests.chaos.model import Script

MEGABYTES = 64
BUILDS = 4


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
            paused = [await world.api.until(one["project_id"], "paused", *TERMINAL, within=60) for one in acknowledged]
            full = [one for one in paused if one["status"] == "paused"]
            must(full, f"No build was paused when the disk was full: {[one['status'] for one in paused]}")
            reasons = {(one.get("error_info") or {}).get("code") for one in full}
            must(reasons == {"storage_full"}, f"They are paused for {reasons}.")
            ballast.unlink()
            ended = [await world.api.until(one["project_id"], *TERMINAL, within=60) for one in acknowledged]
            bad = [one.get("error_info") for one in ended if one["status"] != "completed"]
            must(not bad, f"{len(bad)} builds did not complete once there was space: {bad[:2]}")
            await world.nexus.terminate()
            await settled(world)
            _, inspected = examined(world, acknowledged)
        return {"paused": len(full), "completed after space": len(ended), "inspected": inspected}


@contextmanager
def _small_disk(directory: Path) -> Iterator[None]:
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(directory)], capture_output=True, text=True)
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
