"""E2: the server dies at every failpoint, one by one, and what it left is gone on with. What the log tells in the end is what it tells
where nothing happened."""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from nexus.domain.core.failpoints import FAILPOINTS
from tests.chaos import stories
from tests.chaos.evidence import Evidence, orphans
from tests.chaos.experiments import Figures
from tests.chaos.harness import Bench, ModelServer, Violation, alongside, bench, children, model_server, must
from tests.chaos.invariants import hold
from tests.chaos.scenarios import BESIDE, MEANT, SCENARIOS, Scenario, Supervisor, building, scenario_of, scene

JSON = dict[str, Any]
AT_ONCE = 3
SEVERAL = ("stage.started", "stage.log", "stage.call", "step.start", "step.call", "step.finish", "git.branch")
"""What happens more than once: there chance says at which time the server dies."""
ALONE = ("stage.retried", "build.queued", "reply.")
"""What is not passed again by the next process, or ends at a second death."""
ORPHAN_SECONDS = 10.0


async def run(seed: int, runs: int) -> Figures:
    return await tried(in_turn(FAILPOINTS), seed, beside=BESIDE)


def in_turn(failpoints: Sequence[str]) -> list[str]:
    """Two deaths in one world, before something and, in the next process, after it: two failpoints at the price of one and a half."""
    names = dict.fromkeys(point.partition(":")[2] for point in failpoints)
    found = list[str]()
    for name in names:
        both = [point for point in failpoints if point.partition(":")[2] == name]
        found += both if name.startswith(ALONE) else [" ".join(sorted(both, reverse=True))]
    return found


async def tried(
    failpoints: Sequence[str], seed: int, *, beside: Sequence[tuple[str, str]] = (), whole: bool = True
) -> Figures:
    """Each failpoint (or several in turn, parted by a space) in the scenario meant for it, and each scenario without any before: if not
    `whole`, no replies and none that is like another one. All that went wrong is told together."""
    before = children()
    pairs = [*((scenario_of(point), point) for point in failpoints), *((scene(name), point) for name, point in beside)]
    async with AsyncExitStack() as stack:
        trials = Trials(seed, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nexus-chaos-agent-"))))
        for calm in trials.calm_for([scenario for scenario, _ in pairs]):
            trials.models[calm.name] = await stack.enter_async_context(model_server(calm.script))
        await trials.undisturbed(whole=whole)
        found = await asyncio.gather(*(trials.one(5 * n, *pair) for n, pair in enumerate(pairs, 1)))
    wrong = [f"{name}, {point}: {told}" for (name, point), told in found if isinstance(told, Exception)]
    must(not wrong, f"{len(wrong)} of {len(pairs)} failpoints:\n    " + "\n    ".join(wrong))
    await _no_orphans(before)
    seen = [told for _, told in found if isinstance(told, dict)]
    return {"worlds": len(pairs), "scenarios": len(trials.stories), **{
        name: sum(each[name] for each in seen) for name in ("deaths", "lines compared", "inspected")
    }}  # fmt: skip


class Trials:
    """One world after the other, some at a time. `stories`: what is told where nothing happens, by scenario."""

    def __init__(self, seed: int, root: Path) -> None:
        self._seed, self._root, self._place = seed, root, asyncio.Semaphore(AT_ONCE)
        self.models: dict[str, ModelServer] = {}
        self.stories: dict[str, stories.Story] = {}
        self._calm: list[Scenario] = []

    def calm_for(self, scenarios: Sequence[Scenario]) -> list[Scenario]:
        """These, and those against which they are held."""
        wanted = {scenario.name for scenario in scenarios}
        wanted |= (
            {scenario.like for scenario in scenarios} | {"build"} if wanted - {"reply", "take over a reply"} else set()
        )
        self._calm = [scenario for scenario in SCENARIOS if scenario.name in wanted]
        return self._calm

    async def undisturbed(self, *, whole: bool) -> None:
        if any(scenario.on_agent for scenario in self._calm):
            await self._make_agent()
        own = [
            scenario for scenario in self._calm if not scenario.like and scenario.name not in {*self.stories, "stop"}
        ]
        own = [scenario for scenario in own if whole or not scenario.on_agent]
        others = [scenario for scenario in self._calm if scenario.like or scenario.name == "stop"]
        for some in (own, others if whole else []):
            found = await asyncio.gather(*(self.one(5 * (900 + n), scenario, "") for n, scenario in enumerate(some)))
            restless = [f"{name}: {told}" for (name, _), told in found if isinstance(told, Exception)]
            must(not restless, f"Without any failpoint: {restless}")

    async def _make_agent(self) -> None:
        """A data directory with an agent in it. Its build is an undisturbed one."""
        async with bench("e02-agent", self._seed) as world:
            await world.nexus.start()
            built = await building(world, 0)
            await world.nexus.terminate()
            shutil.copytree(world.data, self._root / "data")
            self.stories["build"] = stories.of_builds(Evidence(world), built["project_id"])

    async def one(self, mark: int, scenario: Scenario, failpoint: str) -> tuple[tuple[str, str], object]:
        async with self._place:
            try:
                like = self._root / "data" if scenario.on_agent else None
                model = self.models[scenario.name]
                async with bench("e02", self._seed + mark, like=like, model=model) as world:
                    return (scenario.name, failpoint), await Trial(self, scenario, failpoint, mark).run(world)
            except (Violation, TimeoutError) as wrong:
                return (scenario.name, failpoint), wrong

    def expected(self, scenario: Scenario, failpoint: str) -> stories.Story:
        """A failure that was not told when the process died is forgotten with it; and what a stage told of waiting, as all that it told:
        the next process asks at once, and is answered."""
        if failpoint == "before:stage.retried" or (failpoint and scenario.name == "refused"):
            return self.stories["build"]
        return self.stories[scenario.like or scenario.name]


class Trial:
    """One death and what follows. Without a failpoint: the undisturbed one."""

    def __init__(self, trials: Trials, scenario: Scenario, failpoint: str, mark: int) -> None:
        self._trials, self._scenario, self._failpoint, self._mark = trials, scenario, failpoint, mark

    async def run(self, world: Bench) -> JSON:
        points = self._failpoint.split()
        arms = [self._armed(world, *points[:1]), *points[1:]]
        supervisor = Supervisor(world, *filter(None, (self._scenario.first, *arms)))
        async with alongside(supervisor.go_on()):
            told = await self._scenario.do(world, self._mark)
            await self._swept(world)
        deaths = bool(self._scenario.first) + len(points)
        must(supervisor.deaths == deaths, f"{supervisor.deaths} deaths, not {deaths}: the failpoint was not passed.")
        if world.nexus.alive:
            await world.nexus.terminate()
        evidence = Evidence(world)
        lines, inspected = self._of_reply(evidence, told) if self._scenario.on_agent else self._of_build(evidence, told)
        return {"deaths": supervisor.deaths, "lines compared": lines, "inspected": inspected}

    def _armed(self, world: Bench, point: str = "") -> str:
        if point and "@" not in point and point.partition(":")[2] in SEVERAL:
            point = f"{point}@{world.random.randint(1, 3)}"
        return ",".join(filter(None, (self._scenario.also, point)))

    async def _swept(self, world: Bench) -> None:
        """Waits until the sweeper has nothing to do with replies any more."""
        if self._scenario.on_agent:
            await asyncio.sleep(0.5)

    def _of_build(self, evidence: Evidence, told: JSON) -> tuple[int, int]:
        scenario = self._scenario
        seen = hold(evidence, acknowledged=[told], known=set(), accounts=scenario.accounts, apart=True)
        [project] = evidence.rows["projects"]
        must(project["status"] in scenario.ends, f"It ended {project['status']}: {project.get('error_info')}")
        attempts = {row["stage_name"]: row["attempt"] for row in evidence.rows["stages"] if row["attempt"] > 1}
        must(scenario.also or not attempts, f"A death cost an attempt: {attempts}")
        story = stories.of_builds(evidence, project["project_id"], by_chance=scenario.by_chance)
        return self._compared(story), sum(seen.values())

    def _of_reply(self, evidence: Evidence, told: JSON) -> tuple[int, int]:
        seen = _reply_judged(evidence, self._scenario, told)
        [reply] = [row for row in evidence.rows["replies"] if row["reply_id"] == told["reply_id"]]
        name = self._scenario.like or self._scenario.name
        if reply["status"] != "completed" or (self._failpoint and name not in self._trials.stories):
            return 0, seen
        return self._compared(stories.of_reply(evidence.log_topics[f"reply:{reply['reply_id']}"])), seen

    def _compared(self, story: stories.Story) -> int:
        scenario, known = self._scenario, self._trials.stories
        if scenario.name == "stop":
            return stories.must_be_cut(story, known["build"])
        if not self._failpoint and not scenario.like:
            known[scenario.name] = story
        return stories.must_equal(story, self._trials.expected(scenario, self._failpoint))


async def _no_orphans(before: set[int]) -> None:
    """No world is left, so nothing of any may live. What ends with its parent takes a moment for that."""
    for _ in range(round(ORPHAN_SECONDS / 0.1)):
        if not (left := orphans(before)):
            return
        await asyncio.sleep(0.1)
    must(not left, f"Still alive {ORPHAN_SECONDS:g} s after the last server: {left[:5]}")


def _reply_judged(evidence: Evidence, scene: Scenario, told: JSON) -> int:
    [reply] = [row for row in evidence.rows["replies"] if row["reply_id"] == told["reply_id"]]
    must(reply["status"] in scene.ends, f"The reply is {reply['status']}: {reply.get('error_message')}")
    must(reply.get("dispatch") is None, "The reply has ended and lies before the sweeper.")
    [session] = [row for row in evidence.rows["sessions"] if row["session_id"] == reply["session_id"]]
    must(session.get("active_reply") is None, "The session waits for a reply that is over.")
    whole, kept = "That is 4. Word 2. Word 3. Word 4.", "".join(part.get("text", "") for part in reply["output"])
    must(reply["status"] != "completed" or kept == whole, f"The reply came to {kept!r}.")
    must(told["kept"] == kept, f"The message is {told['kept']!r}, the reply {kept!r}.")
    log = evidence.log_topics[f"reply:{reply['reply_id']}"]
    heard = [one.position for one in told["heard"]]
    must(
        heard == [line["position"] for line in log],
        f"The reader heard {heard}, the log has {[line['position'] for line in log]}.",
    )
    text = ""
    for line in log:
        text = "" if line["type"] == "reply.reset" else text + line.get("text", "") * (line["type"] == "reply.delta")
    must(text == kept, f"The events come to {text!r}, the reply to {kept!r}.")
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
