"""E2: the server dies at every failpoint, one by one, and what it left is gone on with."""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from nexus.domain.core.failpoints import FAILPOINTS
from tests.chaos.evidence import Evidence
from tests.chaos.experiments import Figures
from tests.chaos.harness import Bench, ModelServer, Violation, alongside, bench, model_server, must
from tests.chaos.invariants import hold
from tests.chaos.scenarios import MEANT, SCENARIOS, Scenario, Supervisor, building, scenario_of

JSON = dict[str, Any]
AT_ONCE = 3
SEVERAL = ("stage.started", "stage.log", "stage.call", "step.start", "step.call", "step.finish", "git.branch")
"""What happens more than once: there chance says at which time the server dies."""


async def run(seed: int, runs: int) -> Figures:
    return await tried(FAILPOINTS, seed)


async def tried(failpoints: Sequence[str], seed: int, *, calm_first: bool = True) -> Figures:
    """Each failpoint in the scenario meant for it, and each scenario without any; all that went wrong is told together."""
    scenes = {scenario_of(point).name: scenario_of(point) for point in failpoints}
    async with AsyncExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nexus-chaos-agent-")))
        models = {name: await stack.enter_async_context(model_server(scene.script)) for name, scene in scenes.items()}
        agent = await _agent(root, seed) if any(scene.on_agent for scene in scenes.values()) else root
        place = asyncio.Semaphore(AT_ONCE)

        async def one(number: int, scene: Scenario, failpoint: str) -> tuple[str, object]:
            async with place:
                try:
                    trial = Trial(scene, failpoint, 5 * (number + 1), seed)
                    return failpoint, await trial.run(models[scene.name], agent if scene.on_agent else None)
                except (Violation, TimeoutError) as wrong:
                    return failpoint, wrong

        calmly = list(scenes.values()) if calm_first else []
        calm = await asyncio.gather(*(one(900 + n, scene, "") for n, scene in enumerate(calmly)))
        restless = [
            f"{scene.name}: {found}"
            for scene, (_, found) in zip(calmly, calm, strict=True)
            if isinstance(found, Exception)
        ]
        must(not restless, f"Without any failpoint: {restless}")
        tried = await asyncio.gather(*(one(n, scenario_of(point), point) for n, point in enumerate(failpoints)))
    wrong = [f"{point}: {found}" for point, found in tried if isinstance(found, Exception)]
    must(not wrong, f"{len(wrong)} of {len(failpoints)} failpoints:\n    " + "\n    ".join(wrong))
    return {"failpoints": len(tried), "deaths": sum(found["deaths"] for _, found in tried if isinstance(found, dict)),
            "inspected": sum(found["seen"] for _, found in tried if isinstance(found, dict))}  # fmt: skip


async def _agent(root: Path, seed: int) -> Path:
    """A data directory with an agent in it."""
    async with bench("e02-agent", seed) as world:
        await world.nexus.start()
        await building(world, 0)
        await world.nexus.terminate()
        shutil.copytree(world.data, root / "data")
    return root / "data"


class Trial:
    """One death and what follows. Without a failpoint: the undisturbed one."""

    def __init__(self, scene: Scenario, failpoint: str, mark: int, seed: int) -> None:
        self._scene, self._failpoint, self._mark, self._seed = scene, failpoint, mark, seed

    async def run(self, model: ModelServer, like: Path | None) -> JSON:
        scene = self._scene
        async with bench("e02", self._seed + self._mark, like=like, model=model) as world:
            arms = [arm for arm in (scene.first, self._armed(world)) if arm]
            supervisor = Supervisor(world, *arms)
            async with alongside(supervisor.go_on()):
                told = await scene.do(world, self._mark)
                await self._swept(world)
            must(
                supervisor.deaths == len(arms),
                f"{supervisor.deaths} deaths, not {len(arms)}: the failpoint was not passed.",
            )
            if world.nexus.alive:
                await world.nexus.terminate()
            return {"deaths": supervisor.deaths, "seen": self._judged(Evidence(world), world, told)}

    def _armed(self, world: Bench) -> str:
        if not self._failpoint:
            return ""
        times = world.random.randint(1, 3) if self._failpoint.partition(":")[2] in SEVERAL else 1
        return f"{self._failpoint}@{times}"

    async def _swept(self, world: Bench) -> None:
        """Waits until the sweeper has nothing to do with replies any more."""
        if self._scene.on_agent:
            await asyncio.sleep(0.5)

    def _judged(self, evidence: Evidence, world: Bench, told: JSON) -> int:
        if self._scene.on_agent:
            return _reply_judged(evidence, self._scene, told)
        acknowledged = [told]
        seen = hold(evidence, acknowledged=acknowledged, known=set(), accounts=self._scene.accounts, processes=False)
        [project] = evidence.rows["projects"]
        must(project["status"] in self._scene.ends, f"It ended {project['status']}: {project.get('error_info')}")
        attempts = {row["stage_name"]: row["attempt"] for row in evidence.rows["stages"] if row["attempt"] > 1}
        must(self._scene.name == "refused" or not attempts, f"A death cost an attempt: {attempts}")
        done = story(evidence)
        expected = EXPECTED.get(self._scene.name)
        must(expected is None or done == expected, f"The story is {done}, not {expected}.")
        return sum(seen.values())


def story(evidence: Evidence) -> list[str]:
    """What the log of the only build tells, without what a take-over may tell again."""
    [(_, events)] = list(evidence.builds)
    kept = ("stage.completed", "stage.skipped", "build.completed", "build.failed", "build.cancelled")
    return [f"{event['tag']} {event['data'].get('stage', '')}".strip() for event in events if event["tag"] in kept]


_ALL = ("intake", "requirements", "architecture", "design", "tools", "prompt", "assembly", "verification", "deployment")
_WHOLE = [*(f"stage.completed {stage}" for stage in _ALL), "build.completed"]
EXPECTED = {
    **dict.fromkeys(("build", "pause", "unpause", "refused", "drain"), _WHOLE),
    "garbled": [*_WHOLE[:3], "build.failed"],
    "unverified": [*_WHOLE[:8], "stage.skipped deployment", "build.completed"],
}
"""The log of the undisturbed build, which the disturbed one's must equal."""


def _reply_judged(evidence: Evidence, scene: Scenario, told: JSON) -> int:
    [reply] = [row for row in evidence.rows["replies"] if row["reply_id"] == told["reply_id"]]
    must(reply["status"] in scene.ends, f"The reply is {reply['status']}: {reply.get('error_message')}")
    must(reply.get("dispatch") is None, "The reply has ended and lies before the sweeper.")
    [session] = [row for row in evidence.rows["sessions"] if row["session_id"] == reply["session_id"]]
    must(session.get("active_reply") is None, "The session waits for a reply that is over.")
    whole = "That is 4. Word 2. Word 3. Word 4."
    must(reply["status"] != "completed" or reply["content"] == whole, f"The reply came to {reply['content']!r}.")
    must(told["kept"] == reply["content"], f"The message is {told['kept']!r}, the reply {reply['content']!r}.")
    log = evidence.log_topics[f"reply:{reply['reply_id']}"]
    heard = [one.position for one in told["heard"]]
    must(
        heard == [line["position"] for line in log],
        f"The reader heard {heard}, the log has {[line['position'] for line in log]}.",
    )
    text = ""
    for line in log:
        text = "" if line["type"] == "reply.reset" else text + line.get("text", "") * (line["type"] == "reply.delta")
    must(text == reply["content"], f"The events come to {text!r}, the reply to {reply['content']!r}.")
    ends = [
        line["type"]
        for line in log
        if line["type"] in ("reply.completed", "reply.failed", "reply.interrupted", "reply.cancelled")
    ]
    must(
        len(ends) == 1 and ends[0] == f"reply.{reply['status']}",
        f"The log ends with {ends}, the row is {reply['status']}.",
    )
    return len(log) + 2


def unmeant() -> list[str]:
    """Names in MEANT that are no failpoints."""
    names = {point.partition(":")[2] for point in FAILPOINTS}
    return [name for points in MEANT.values() for name in points if name not in names]


assert not unmeant(), f"scenarios for failpoints that do not exist: {unmeant()}"
assert {scene.name for scene in SCENARIOS} == set(MEANT)
