"""E15: the server may open few files, and somebody holds them all."""

import asyncio
import contextlib
import shutil
import time

from tests.chaos.evidence import settled
from tests.chaos.experiments import Figures, Skipped, examined
from tests.chaos.harness import TERMINAL, bench, must
from tests.chaos.model import Script

FILES = 256
GUESTS = 400
RECOVERY_SECONDS = 10.0


async def run(seed: int, runs: int) -> Figures:
    if (prlimit := shutil.which("prlimit")) is None:
        raise Skipped("there is no prlimit")
    async with bench("e15", seed, Script()) as world:
        world.use(world.another(command=(prlimit, f"--nofile={FILES}")))
        await world.nexus.start()
        acknowledged = [await world.api.begin(1)]
        await world.api.until(acknowledged[0]["project_id"], *TERMINAL)
        guests = await asyncio.gather(*(_guest(world.nexus.port) for _ in range(GUESTS)))
        let_in = [writer for writer in guests if writer is not None]
        await asyncio.sleep(3)
        must(world.nexus.alive, f"The server died of too many guests: {world.nexus.words()}")
        for writer in let_in:
            writer.close()
        released = time.monotonic()
        acknowledged.append(await world.api.begin(2))
        took = time.monotonic() - released
        must(took <= RECOVERY_SECONDS, f"Requests were answered again only after {took:.1f} s.")
        project = await world.api.until(acknowledged[1]["project_id"], *TERMINAL)
        must(
            project["status"] == "completed", f"The build after it is {project['status']}: {project.get('error_info')}"
        )
        await world.nexus.terminate()
        await settled(world)
        _, inspected = examined(world, acknowledged)
        return {"files": FILES, "guests": len(let_in), "answered again": f"{took:.2f} s", "inspected": inspected}


async def _guest(port: int) -> asyncio.StreamWriter | None:
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(2):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            return writer
    return None
