"""What somebody does with nexus while a failpoint is armed: small, and such that each failpoint is passed in one of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from tests.chaos.evidence import left_of
from tests.chaos.harness import KILLED, TERMINAL, Bench, must
from tests.chaos.model import Script
from tests.chaos.streams import Reader

JSON = dict[str, Any]
PURGE_SECONDS = 30.0
END_SECONDS = 60.0


class Scenario(Struct, frozen=True, kw_only=True):
    """`do` acts as a user and gives what was acknowledged; `ends` are the states that what it began may end in. `first` is a failpoint
    that kills the server before, so that the one under test is passed by the next; `also` is armed beside it. `by_chance`: tags of events
    that come or do not. `like`: the scenario whose undisturbed log this one's is, where it has none of its own."""

    name: str
    do: Callable[[Bench, int], Awaitable[JSON]]
    ends: tuple[str, ...] = ("completed",)
    script: Script = Script()
    first: str = ""
    also: str = ""
    by_chance: tuple[str, ...] = ()
    like: str = ""
    on_agent: bool = False
    accounts: bool = True
    drains: bool = False


async def building(world: Bench, mark: int) -> JSON:
    started = await world.api.begin(mark)
    await world.api.until(started["project_id"], *TERMINAL, within=END_SECONDS)
    return started


async def _in_a_stage(world: Bench, mark: int) -> JSON:
    """A build that has two stages behind it, and is in another one."""
    started = await world.api.begin(mark)
    while (await world.api.project(started["project_id"]))["progress"] < 20:
        await asyncio.sleep(0.02)
    return started


async def pausing(world: Bench, mark: int) -> JSON:
    started = await _in_a_stage(world, mark)
    await world.api.control(started["project_id"], "pause")
    await world.api.until(started["project_id"], "paused", within=END_SECONDS)
    await world.api.control(started["project_id"], "resume")
    await world.api.until(started["project_id"], *TERMINAL, within=END_SECONDS)
    return started


async def unpausing(world: Bench, mark: int) -> JSON:
    """Pause and resume at once: the wish changes while the executor works."""
    started = await _in_a_stage(world, mark)
    await world.api.control(started["project_id"], "pause")
    await world.api.control(started["project_id"], "resume")
    await world.api.until(started["project_id"], *TERMINAL, within=END_SECONDS)
    return started


async def stopping(world: Bench, mark: int) -> JSON:
    started = await _in_a_stage(world, mark)
    await world.api.control(started["project_id"], "stop")
    await world.api.until(started["project_id"], *TERMINAL, within=END_SECONDS)
    return started


async def retrying(world: Bench, mark: int) -> JSON:
    """T21: a build that failed, and another one that goes on where it did."""
    started = await building(world, mark)
    await _again(world, started, "retry", mark)
    return started


async def restarting(world: Bench, mark: int) -> JSON:
    """T22: a build, and another one from the first stage on."""
    started = await building(world, mark)
    await _again(world, started, "restart", mark)
    return started


async def _again(world: Bench, started: JSON, command: str, mark: int) -> None:
    """Asked twice with one key: that is one build, and the same answer."""
    path, body = f"/projects/{started['project_id']}/control", {"action": command}
    answers = [await world.api.insist("POST", path, body, key=f"again-{mark}") for _ in range(2)]
    told = [(status, project.get("build_no")) for status, project in answers]
    must(told == [(202, 2), (202, 2)], f"{command} was answered {told}.")
    await world.api.until(started["project_id"], *TERMINAL, within=END_SECONDS)


async def deploying(world: Bench, mark: int) -> JSON:
    """A build, and its version deployed once more by its user: asked twice with one key, that is one deployment."""
    started = await building(world, mark)
    [agent_id] = (await world.api.project(started["project_id"]))["agent_ids"]
    path = f"/agents/{agent_id}/deployments"
    answers = [await world.api.insist("POST", path, {}, key=f"deploy-{mark}") for _ in range(2)]
    must([status for status, _ in answers] == [201, 201], f"A deployment was answered {answers}.")
    must(answers[0] == answers[1], f"One key was answered differently: {answers}.")
    listed = (await world.api.insist("GET", path))[1]["items"]
    must(len(listed) == 2, f"The build and its user deployed once each: {listed}.")
    return started


async def deleting(world: Bench, mark: int) -> JSON:
    """T23: a build that is over and one that runs are deleted; one beside them is not, and is what is given. Returns when nothing is
    left of the two."""
    over = await building(world, mark + 1)
    runs = await _in_a_stage(world, mark + 2)
    gone = [over["project_id"], runs["project_id"]]
    for project_id in gone:
        path = f"/projects/{project_id}"
        status, told = await world.api.insist("DELETE", f"{path}?stop_first=true")
        must(status in (202, 404), f"DELETE was answered {status}: {told}")
        again = [(await world.api.insist(method, path))[0] for method in ("GET", "DELETE")]
        must(again == [404, 404], f"After it is deleted, a project is answered {again}.")
    beside = await building(world, mark)
    until = time.monotonic() + PURGE_SECONDS
    while left := left_of(world.data, gone):
        must(time.monotonic() < until, f"Left of deleted projects after {PURGE_SECONDS:g} s: {left}")
        await asyncio.sleep(0.1)
    return beside


async def draining(world: Bench, mark: int) -> JSON:
    """SIGTERM in the middle of a build: the supervisor starts the next server."""
    started = await _in_a_stage(world, mark)
    await world.nexus.terminate()
    await world.api.until(started["project_id"], *TERMINAL, within=END_SECONDS)
    return started


async def replying(world: Bench, mark: int) -> JSON:
    """Says something to an agent that is there, and hears the reply to its end."""
    agents = (await world.api.insist("GET", "/agents"))[1]["items"]
    must(agents, "There is no agent to talk to.")
    agent = agents[0]["agent_id"]
    _, session = await world.api.insist("POST", f"/agents/{agent}/sessions", {}, key=f"session-{mark}")
    path = f"/sessions/{session['session_id']}"
    status, reply = await world.api.insist("POST", f"{path}/messages", {"content": "double 2"}, key=f"message-{mark}")
    must(status == 202, f"A message was answered {status}: {reply}")
    reader = Reader(world.nexus.url + reply["events_url"])
    await reader.follow(within=END_SECONDS)
    positions = [heard.position for heard in reader.heard]
    must(positions == sorted(set(positions)), f"A reader heard positions out of order or twice: {positions}")
    _, messages = await world.api.insist("GET", f"{path}/messages")
    said = [message["role"] for message in messages["items"]]
    must(said == ["user", "assistant"], f"The conversation has {said}.")
    return {"heard": reader.heard, "kept": messages["items"][1]["content"], **reply}


SLOW = Script(latency=0.15)
SCENARIOS = (
    Scenario(name="build", do=building),
    Scenario(name="pause", do=pausing, script=SLOW, accounts=False),
    Scenario(name="unpause", do=unpausing, script=SLOW, accounts=False, by_chance=("build.paused",)),
    Scenario(name="stop", do=stopping, script=SLOW, ends=("cancelled",), accounts=False),
    Scenario(name="garbled", do=building, script=Script(garbles=["build_design"]), ends=("failed",), accounts=False),
    Scenario(name="refused", do=building, script=Script(fails={"build_design": 4}), accounts=False),
    Scenario(name="failed once", do=building, also="before:stage.call@4=fail", accounts=False),
    Scenario(name="retry", do=retrying, script=Script(spoils={"build_design": 4}), accounts=False),
    Scenario(name="restart", do=restarting, accounts=False),
    Scenario(name="deploy", do=deploying, accounts=False, like="build"),
    Scenario(name="delete", do=deleting, script=Script(latency=0.05), accounts=False, like="build"),
    Scenario(name="unverified", do=building, script=Script(answer="I do not know.", pieces=1), accounts=False),
    Scenario(name="drain", do=draining, script=SLOW, accounts=False, drains=True),
    Scenario(name="reply", do=replying, script=Script(delay=0.02), on_agent=True),
    Scenario(
        name="take over a reply", do=replying, script=Script(delay=0.02), on_agent=True, first="after:reply.delta@2",
        ends=("completed", "interrupted"), like="reply",
    ),
)  # fmt: skip

MEANT: dict[str, tuple[str, ...]] = {
    "build": (
        "build.started", "build.completed", "stage.started", "stage.progress", "stage.log", "stage.completed", "project.create",
        "stage.call", "stage.commit", "step.start", "step.call", "step.finish", "step.tool", "task.beat", "git.objects", "git.branch",
        "git.files",
    ),
    "pause": ("build.paused", "project.command"),
    "unpause": (),
    "refused": (),
    "stop": ("build.cancelled",),
    "garbled": ("build.failed",),
    "failed once": ("stage.retried",),
    "retry": ("project.retry",),
    "restart": ("project.restart",),
    "deploy": ("agent.deploy",),
    "delete": ("project.delete", "purge.files", "purge.rows", "job.end"),
    "unverified": ("stage.skipped",),
    "drain": ("build.queued",),
    "reply": ("reply.send", "reply.start", "reply.delta", "reply.keep", "reply.end", "reply.leave"),
    "take over a reply": ("reply.take_over",),
}  # fmt: skip
"""In which scenario a failpoint is passed."""

BESIDE = (
    ("unpause", "before:project.command@2"), ("unpause", "after:project.command@2"), ("stop", "before:project.command"),
    ("stop", "after:project.command"), ("refused", "before:stage.log@4"), ("refused", "after:stage.log@4"), ("delete", "after:project.command"),
    ("restart", "after:build.started@2"),
)  # fmt: skip
"""Where else the server dies: failpoints whose meaning is another one there."""


def scene(name: str) -> Scenario:
    return next(scenario for scenario in SCENARIOS if scenario.name == name)


def scenario_of(failpoint: str) -> Scenario:
    passed = failpoint.split()[0].partition(":")[2]
    name = next((scene for scene, points in MEANT.items() if passed in points), "")
    must(name, f"No scenario is meant for the failpoint {failpoint}.")
    return scene(name)


class Supervisor:
    """Starts the server again whenever it ends, without a failpoint; `deaths` are those by a failpoint."""

    def __init__(self, world: Bench, *arms: str) -> None:
        self._world, self._arms = world, list(arms)
        self.deaths = 0
        self.began_again: list[float] = []

    async def go_on(self) -> None:
        while True:
            arm = self._arms.pop(0) if self._arms else ""
            await self._world.nexus.start(NEXUS_CHAOS__FAILPOINT=arm)
            code = await self._world.nexus.ended(within=600)
            must(code in (KILLED, 0), f"The server ended with {code}: {self._world.nexus.words()}")
            self.deaths += code == KILLED
