"""E10: the wall clock of an app jumps ahead and back while builds run: that of a server, where libfaketime is there to move it; and, by
a month, one inside this process."""

import asyncio
import contextlib
from collections import Counter
from pathlib import Path
from typing import Any

from nexus.domain.projects.starts import Opening
from tests.chaos.evidence import Evidence, in_flight, settled
from tests.chaos.experiments import Figures, examined
from tests.chaos.harness import TERMINAL, Bench, Violation, bench, must
from tests.chaos.model import Script
from tests.chaos.replies import reader_of, with_agent
from tests.domain.builds.scripts import DESIGN, said, script
from tests.fakes.models import Gate, turn
from tests.memory_app import ANN, make_adapters, open_app

JSON = dict[str, Any]
JUMPS = (3600.0, -30 * 86_400.0, 86_400.0, -3600.0)
OF_SERVER = ("+3600", "-2505600", "+0")
"""An hour ahead, then 29 days back, then right. A month back, which is how long events are kept, those written then would be gone at
once."""
LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1")
BUILDS = 6
END_SECONDS = 60.0
SEEN_SECONDS = 1.2
"""The library looks at the offset once a second."""
REFUSED = 3
"""This build's provider is away when the clock jumps: it waits for an instant that is then far off."""


async def run(seed: int, runs: int) -> Figures:
    figures = await _inside_one_process()
    library = next((str(path) for pattern in LIBRARIES for path in Path("/").glob(pattern[1:])), None)
    if library is None:
        return {**figures, "a real server": "not tried: there is no libfaketime (apt install faketime)"}
    return {**figures, **await _of_a_server(seed, library)}


async def _inside_one_process() -> Figures:
    gate, ids = Gate(), list[str]()
    async with open_app(make_adapters(script(design=[turn(gate, *said(DESIGN).pieces)]))) as app:
        started = await app.services.builds.start(ANN, Opening(requirement="Double every number that I give you."))
        await gate.reached.wait()
        before = await app.services.projects.get_active_task(ANN, started.project_id)
        for jump in JUMPS:
            app.clock.now += jump
            ids += [app.adapters.new_id("msg"), app.adapters.new_id("msg")]
            await app.sweeper.recover_lost_jobs()
            task = await app.services.projects.get_active_task(ANN, started.project_id)
            must(task.fence == before.fence, f"A jump of {jump:g} s took the build from its executor.")
        gate.opened.set()
        async with asyncio.timeout(10):
            while (project := await app.services.projects.get(ANN, started.project_id)).status not in TERMINAL:
                await asyncio.sleep(0.01)
        must(project.status == "completed", f"After the jumps the build is {project.status}: {project.error_info}")
        must(ids == sorted(set(ids)), f"Ids of one process went back with the clock: {ids}")
    return {"jumps inside one process": len(JUMPS), "take-overs": 0, "ids in order": len(ids)}


async def _of_a_server(seed: int, library: str) -> Figures:
    """A new server for each jump would be none: the clock moves under one that works."""
    async with bench("e10", seed) as world:
        agent = await with_agent(world)
        await world.nexus.terminate()
        away = Script(latency=0.3, fails={"build_design": 1}, later=31)
        await world.model.say(Script(latency=0.3, only={str(REFUSED): away}))
        offset = world.directory / "offset"
        offset.write_text("+0\n")
        world.nexus.also = _faked(library, offset)
        await world.nexus.start()
        _, session = await world.api.insist("POST", f"/agents/{agent}/sessions", {}, key="session")
        acknowledged = [await world.api.begin(number) for number in range(2, 2 + BUILDS)]
        flying, told = list[int](), list[str]()
        for number, jump in enumerate(OF_SERVER):
            told.append(await _spoken(world, session["session_id"], f"said-{number}"))
            if number == 1:
                await _waits_for_the_provider(world, acknowledged[REFUSED - 2]["project_id"])
            flying.append(in_flight(world.data))
            offset.write_text(f"{jump}\n")
            await asyncio.sleep(SEEN_SECONDS)
        told.append(await _spoken(world, session["session_id"], "last"))
        ended = await asyncio.gather(*(_at_last(world, one["project_id"]) for one in acknowledged))
        bad = {
            mark: (one["status"], one.get("error_info"))
            for mark, one in enumerate(ended, 2)
            if one["status"] != "completed"
        }
        await world.nexus.terminate()
        must(all(flying[:2]), f"A jump met nothing in flight: {flying}")
        evidence = Evidence(world)
        _jumped_and_in_order(evidence, told)
        early = _taken_over(evidence)
        must(early == 0, f"A jump of the clock took {early} builds from their executors.")
        must(not bad, f"Builds that had not completed {END_SECONDS:g} s after the clock was right again: {bad}")
        await settled(world)
        _, inspected = examined(world, acknowledged, accounts=False)
        return {
            "jumps of a server": OF_SERVER,
            "in flight": flying,
            "taken over too early": early,
            "inspected": inspected,
        }


def _faked(library: str, offset: Path) -> dict[str, str]:
    """An environment in which a file says how wrong the clock is. The library and the forks of uvloop stop each other: there is none."""
    plain = offset.parent / "plain"
    plain.mkdir()
    (plain / "uvloop.py").write_text("raise ImportError\n")
    return {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_CACHE_DURATION": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DISABLE_SHM": "1",
        "PYTHONPATH": str(plain),
    }


async def _at_last(world: Bench, project_id: str) -> JSON:
    """The project when it is over, or when it should have been."""
    with contextlib.suppress(Violation):
        return await world.api.until(project_id, *TERMINAL, within=END_SECONDS)
    return await world.api.project(project_id)


async def _waits_for_the_provider(world: Bench, project_id: str) -> None:
    """Returns once a build has lain down until an instant of the clock as it is now."""
    async with asyncio.timeout(20):
        while ((await world.api.project(project_id)).get("error_info") or {}).get("code") != "provider":
            await asyncio.sleep(0.05)


async def _spoken(world: Bench, session_id: str, key: str) -> str:
    """Says something, and hears the answer to its end; the id of the reply."""
    path = f"/sessions/{session_id}/messages"
    status, reply = await world.api.insist("POST", path, {"content": "double 2"}, key=key)
    must(status == 202, f"A message was answered {status}: {reply}")
    await reader_of(world, reply).follow(within=30)
    return str(reply["reply_id"])


def _taken_over(evidence: Evidence) -> int:
    """How often builds were begun without having been queued before."""
    found = 0
    for _, events in evidence.builds:
        tags = Counter(str(event["tag"]) for event in events)
        found += max(0, tags["build.started"] - tags["build.queued"])
    return found


def _jumped_and_in_order(evidence: Evidence, told: list[str]) -> None:
    """What was said is in the order in which it was said, by its ids, though the clock went back."""
    at = {reply["reply_id"]: reply["created_at"] for reply in evidence.rows["replies"]}
    times = [at[reply_id] for reply_id in told]
    must(times != sorted(times), f"The clock of the server did not jump: {times}")
    must(told == sorted(set(told)), f"Ids of one session went back with the clock: {told}")
