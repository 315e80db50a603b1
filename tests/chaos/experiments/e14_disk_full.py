"""E14: a disk is full for a while: the one on which everything lies, and then the one on which only the files of projects lie."""

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from tests.chaos.evidence import in_flight, opened, resident_mb, settled
from tests.chaos.experiments import Figures, Skipped, examined
from tests.chaos.harness import TERMINAL, Bench, alongside, bench, must
from tests.chaos.model import Script
from tests.chaos.replies import JSON

MEGABYTES = 64
BUILDS = 6
FULL_SECONDS = 6.0
SHOWN_SECONDS = 15.0
RESUME_SECONDS = 60.0
GROWTH_MB = 32.0
LOG_BYTES = 20_000 * FULL_SECONDS
STORAGE_FULL = "storage_full"


async def run(seed: int, runs: int) -> Figures:
    if os.geteuid() != 0:
        raise Skipped("mounting a small disk needs root")
    return {**await _everything_full(seed), **await _files_full(seed + 1)}


async def _everything_full(seed: int) -> Figures:
    """No reason can be written where there is no place for a row: what was acknowledged stands as it was, and goes on."""
    async with bench("e14", seed, Script(latency=0.2)) as world:
        with _small_disk(world.data) as disk:
            acknowledged = await _begun(world)
            async with alongside(disk.kept_full()):
                before = _grown(world)
                await asyncio.sleep(FULL_SECONDS)
                during = await _waiting(world, acknowledged)
                grown = _bounded(world, before)
                refusal, _ = await world.api.call(
                    "POST", "/projects", {"requirement": "run_9_x: one for which there is no place."}
                )
                must(refusal == 503, f"A new project was answered {refusal} while there was no place for it.")
                _sound(world)
            took = await _gone_on(world, acknowledged, disk)
            inspected = await _ended(world, acknowledged)
        return {"all full": _states(during), "refused": refusal, "sound while full": "yes", **grown,
                "completed after": f"{took:.1f} s", "inspected": inspected}  # fmt: skip


async def _files_full(seed: int) -> Figures:
    """The rows are elsewhere: a project says what it waits for."""
    async with bench("e14", seed, Script(latency=0.2)) as world:
        (world.data / "projects").mkdir(parents=True)
        with _small_disk(world.data / "projects") as disk:
            acknowledged = await _begun(world)
            async with alongside(disk.kept_full()):
                shown = await _shown(world, acknowledged)
                during = await _waiting(world, acknowledged)
                _sound(world)
            took = await _gone_on(world, acknowledged, disk)
            inspected = await _ended(world, acknowledged)
        return {"files full": _states(during), "showed storage_full": shown, "completed by themselves after": f"{took:.1f} s",
                "inspected again": inspected}  # fmt: skip


def _grown(world: Bench) -> tuple[float, int]:
    """Megabytes of memory, and bytes of the log."""
    return resident_mb(world.nexus.pid), world.nexus.said.stat().st_size


def _bounded(world: Bench, before: tuple[float, int]) -> Figures:
    """What cannot be written anywhere must not pile up elsewhere."""
    memory, log = (after - start for after, start in zip(_grown(world), before, strict=True))
    must(memory <= GROWTH_MB, f"The memory grew by {memory:.0f} MB while the disk was full.")
    must(log <= LOG_BYTES, f"The log grew by {log} bytes while the disk was full: {world.nexus.words()[:500]}")
    return {"memory grew by": f"{memory:.0f} MB", "log by": f"{log / 1024:.0f} KB"}


async def _begun(world: Bench) -> list[JSON]:
    await world.nexus.start()
    acknowledged = [await world.api.begin(number) for number in range(BUILDS)]
    await asyncio.sleep(0.5)
    must(in_flight(world.data), "Nothing was in flight before the disk was full.")
    return acknowledged


async def _waiting(world: Bench, acknowledged: Sequence[JSON]) -> list[JSON]:
    """The projects, none of which was given up."""
    must(world.nexus.alive, f"The server died of the full disk: {world.nexus.words()}")
    during = [await world.api.project(one["project_id"]) for one in acknowledged]
    must(any(one["status"] not in TERMINAL for one in during), "Every build was over before the disk was full.")
    given_up = [one.get("error_info") for one in during if one["status"] == "failed"]
    must(not given_up, f"Builds failed for want of space: {given_up[:2]}")
    return during


async def _shown(world: Bench, acknowledged: Sequence[JSON]) -> int:
    """How many showed that they wait for space: each that is under way must, within some seconds."""
    until, shown = time.monotonic() + SHOWN_SECONDS, set[str]()
    while time.monotonic() < until:
        projects = [await world.api.project(one["project_id"]) for one in acknowledged]
        shown |= {one["project_id"] for one in projects if (one.get("error_info") or {}).get("code") == STORAGE_FULL}
        if shown >= {one["project_id"] for one in projects if one["status"] not in TERMINAL}:
            break
        await asyncio.sleep(0.1)
    missing = [
        (one["project_id"], one["status"], one.get("error_info")) for one in projects if one["project_id"] not in shown
    ]
    must(shown and not missing, f"Projects that did not show what they wait for: {missing}")
    return len(shown)


async def _gone_on(world: Bench, acknowledged: Sequence[JSON], disk: "SmallDisk") -> float:
    """Seconds from when there was space until all were completed."""
    disk.free()
    freed = time.monotonic()
    ended = [await world.api.until(one["project_id"], *TERMINAL, within=RESUME_SECONDS) for one in acknowledged]
    bad = [
        (one["status"], one.get("error_info")) for one in ended if one["status"] != "completed" or one.get("error_info")
    ]
    must(not bad, f"{len(bad)} builds did not complete once there was space: {bad[:2]}")
    return time.monotonic() - freed


async def _ended(world: Bench, acknowledged: Sequence[JSON]) -> int:
    await world.nexus.terminate()
    await settled(world)
    return examined(world, acknowledged, accounts=False)[1]


def _sound(world: Bench) -> None:
    with closing(opened(world.data)) as store:
        [(verdict,)] = store.execute("pragma integrity_check").fetchall()
    must(verdict == "ok", f"The store is broken while the disk is full: {verdict}")


def _states(projects: Sequence[JSON]) -> list[str]:
    return sorted({one["status"] for one in projects})


class SmallDisk:
    """`filled` counts how often a byte of ballast found place."""

    def __init__(self, directory: Path) -> None:
        self._ballast = directory / "ballast"
        self.filled = 0

    def fill(self) -> None:
        with self._ballast.open("ab", buffering=0) as file:
            for size in (2**20, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        self.filled += file.write(bytes(size))

    async def kept_full(self) -> None:
        """What others free is taken at once, for ever."""
        while True:
            self.fill()
            await asyncio.sleep(0.05)

    def free(self) -> None:
        must(self.filled > MEGABYTES * 2**19, f"Only {self.filled} bytes of ballast found place.")
        self._ballast.unlink()


@contextmanager
def _small_disk(directory: Path) -> Iterator[SmallDisk]:
    directory.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(directory)]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        raise Skipped(f"no tmpfs can be mounted: {made.stderr.strip()}")
    try:
        yield SmallDisk(directory)
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=False)
