"""Whose trouble it is when a stage comes to nothing: the work's own costs attempts, that of the world is waited for, a death has one to blame."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

import pytest
from msgspec import structs

from nexus.domain.builds.failures import STAGE_DEATHS
from nexus.domain.builds.outputs import Architecture
from nexus.domain.builds.rules import compute_outage_delay
from nexus.domain.builds.runner import BuildTimeouts
from nexus.domain.core.errors import NexusError, PermissionDenied, QuotaExceeded, Unavailable
from nexus.domain.core.values import JSON
from nexus.domain.ports.code import Limits, Outcome, Program, TestResult
from nexus.domain.ports.repository import ANYONE, Writer
from nexus.domain.projects.model import Project
from nexus.domain.runtime.steps import ALONE_DEATHS
from nexus.jobs.sweeper import Sweeper
from tests.domain.builds.scripts import (
    AGENT,
    BRIEF,
    DESIGN,
    PROMPT,
    WRITTEN,
    doubling,
    said,
    script,
)
from tests.domain.builds.test_builds import WANTED, over
from tests.fakes.code import MemoryCode
from tests.fakes.models import Gate, ScriptedModel, Turn, turn
from tests.fakes.repository import MemoryRepository
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app

AWAY = turn(Unavailable("The model provider failed (503).", reason="provider"))
SENDS = structs.replace(
    WRITTEN,
    effect="external",
    code=WRITTEN.code.replace("number: float)", 'number: float, idempotency_key: str = "")').replace(
        "What to double.", "What to double.\n        idempotency_key: The same when it is called again."
    ),
)


async def waited_out(app: MemoryApp, project_id: str, *, seconds: float = 70.0) -> Project:
    """The project once its build is over, each rest having gone by as soon as nothing else is left to do."""
    sweeper = Sweeper(
        services=app.services,
        queue=app.queue,
        local=app.queue,
        worker_id=app.adapters.worker_id,
        timer=app.clock,
    )
    while True:
        await app.queue.wait_until_idle()
        project = await app.services.projects.get(ANN, project_id)
        if project.status in ("completed", "failed", "cancelled"):
            return project
        app.clock.now += seconds
        await sweeper.recover_lost_jobs()


def purposes(app: MemoryApp) -> list[str]:
    return [request.purpose for request in app.adapters.default_model.requests]  # type: ignore[attr-defined]  # the scripted one keeps them


@pytest.mark.parametrize("stage", ["intake", "prompt", "reply"])
async def test_a_provider_that_is_away_is_waited_for_and_costs_no_attempt(stage: str) -> None:
    answers = {"intake": [said(BRIEF)], "prompt": [said(PROMPT)], "reply": [*doubling(1), *doubling(2)]}[stage]
    long = turn(Unavailable("The model provider asks to slow down (429).", reason="provider", retry_after=120.0))
    turns = [*[AWAY] * 4, long, long, long, *answers]
    async with open_app(make_adapters(script(**{stage: turns}))) as app:  # type: ignore[arg-type]  # no stage is called `builds`
        started = await app.services.builds.start(ANN, WANTED)
        project = await waited_out(app, started.project_id)
        assert (project.status, project.error_info) == ("completed", None)
        assert project.metrics is not None
        assert project.metrics["verdict"] == "passed"
        stages = await app.services.projects.list_current_stages(ANN, started.project_id)
        assert {row.attempt for row in stages} == {1}
        assert sum(row.waited > 360 for row in stages) == 1


async def test_while_a_provider_is_away_the_project_says_so_and_keeps_no_place() -> None:
    long = turn(Unavailable("The model provider asks to slow down (429).", reason="provider", retry_after=120.0))
    async with open_app(make_adapters(script(design=[long, said(DESIGN)]))) as app:
        started = await app.services.builds.start(ANN, WANTED)
        await app.queue.wait_until_idle()
        waiting = await app.services.projects.get(ANN, started.project_id)
        assert waiting.status == "queued"
        assert waiting.error_info == {
            "code": "provider",
            "message": "The model provider asks to slow down (429). It waits and goes on by itself.",
            "retryable": True,
        }


async def test_a_provider_that_never_comes_back_fails_the_build_in_the_end_and_says_why() -> None:
    place = structs.replace(make_adapters(script(intake=[AWAY] * 400)), timeouts=BuildTimeouts(patience=300.0))
    async with open_app(place) as app:
        started = await app.services.builds.start(ANN, WANTED)
        project = await waited_out(app, started.project_id)
        assert project.status == "failed"
        assert project.error_info == {
            "code": "provider",
            "message": "The model provider failed (503).",
            "retryable": True,
            "stage": "intake",
        }
        assert len(purposes(app)) < 100


async def test_a_part_of_the_app_that_stays_away_fails_the_build_sooner_and_costs_no_attempt() -> None:
    class Broken(MemoryCode):
        async def run_tests(self, program: Program, *, limits: Limits = Limits()) -> tuple[Outcome, list[TestResult]]:
            raise Unavailable("The confined process did not start.", part="code")

    async with open_app(structs.replace(make_adapters(script()), code=Broken())) as app:
        started = await app.services.builds.start(ANN, WANTED)
        began = app.clock.now
        project = await waited_out(app, started.project_id)
        assert project.status == "failed"
        assert project.error_info is not None
        assert (project.error_info["code"], project.error_info["retryable"]) == ("code", True)
        assert app.clock.now - began < 600
        [row] = [
            row
            for row in await app.services.projects.list_current_stages(ANN, started.project_id)
            if row.status == "failed"
        ]
        assert row.attempt == 1


@pytest.mark.parametrize("refusal", [PermissionDenied("The key was refused."), QuotaExceeded("The credit is used up.")])
async def test_what_a_provider_refuses_is_no_failure_of_the_agent_under_test(refusal: NexusError) -> None:
    async with open_app(make_adapters(script(reply=[turn(refusal)]))) as app:
        started = await app.services.builds.start(ANN, WANTED)
        project = await over(app, started.project_id)
        assert project.status == "failed"
        assert project.error_info is not None
        assert (project.error_info["stage"], project.error_info["message"]) == ("verification", refusal.detail)
        assert purposes(app).count("build.prompt") == 1


async def test_what_was_paid_for_before_another_agents_call_broke_off_is_not_asked_again() -> None:
    broken = turn("Never mind.", Unavailable("The answer broke off."))
    async with open_app(make_adapters(two_agents(design=[said(DESIGN), *[broken] * 4, said(DESIGN)]))) as app:
        started = await app.services.builds.start(ANN, WANTED)
        project = await waited_out(app, started.project_id)
        assert (project.status, project.error_info) == ("completed", None)
        assert purposes(app).count("build.design") == 6


def two_agents(**other: list[Turn]) -> ScriptedModel:
    second = structs.replace(AGENT, slug="doubler_two", name="Doubler two")
    both = Architecture(overview="Two agents.", agents=[AGENT, second])
    return script(
        architecture=[said(both)],
        prompt=[said(PROMPT)] * 2,
        reply=[turn for call in range(1, 5) for turn in doubling(call)],
        **({"design": [said(DESIGN)] * 2, "tools": [said(WRITTEN)] * 2} | other),  # type: ignore[arg-type]  # no stage is called `builds`
    )


async def test_a_retry_asks_again_what_was_answered_badly_and_nothing_that_was_answered_well() -> None:
    model = two_agents(design=[said(DESIGN), *[turn("nonsense")] * 4, said(DESIGN)])
    async with open_app(make_adapters(model)) as app:
        started = await app.services.builds.start(ANN, WANTED)
        assert (await over(app, started.project_id)).status == "failed"
        await app.services.builds.execute_build_command(ANN, started.project_id, "retry")
        project = await over(app, started.project_id)
        assert (project.status, project.build_no, project.error_info) == ("completed", 2, None)
        assert purposes(app).count("build.design") == 6


async def test_a_retry_of_a_tool_that_failed_its_tests_has_it_written_from_the_beginning() -> None:
    wrong = said(structs.replace(WRITTEN, code=WRITTEN.code.replace("* 2", "* 3")))
    async with open_app(make_adapters(script(tools=[*[wrong] * 4, said(WRITTEN)]))) as app:
        started = await app.services.builds.start(ANN, WANTED)
        failed = await over(app, started.project_id)
        assert failed.error_info is not None
        assert failed.error_info["code"] == "tool_failed"
        await app.services.builds.execute_build_command(ANN, started.project_id, "retry")
        assert (await over(app, started.project_id)).status == "completed"
        asked = [request for request in app.adapters.default_model.requests if request.purpose == "build.tools"]  # type: ignore[attr-defined]  # as above
        assert asked[4].messages == asked[0].messages


async def test_a_restart_asks_everything_of_its_stages_anew() -> None:
    model = two_agents(design=[said(DESIGN)] * 4, tools=[said(WRITTEN)] * 4)
    async with open_app(make_adapters(model)) as app:
        started = await app.services.builds.start(ANN, WANTED)
        assert (await over(app, started.project_id)).status == "completed"
        model.add(said(PROMPT), said(PROMPT), purpose="build.prompt")
        model.add(*(turn for call in range(1, 5) for turn in doubling(call)), purpose="reply")
        await app.services.builds.execute_build_command(ANN, started.project_id, "restart", from_stage="design")
        assert (await over(app, started.project_id)).status == "completed"
        assert [purposes(app).count(f"build.{stage}") for stage in ("architecture", "design", "tools")] == [1, 4, 4]


class Hanging(MemoryCode):
    """Generated code of which the first call does not come back."""

    def __init__(self) -> None:
        self.reached, self.calls, self.keys = asyncio.Event(), 0, list[object]()

    async def call_function(
        self, program: Program, function: str, arguments: JSON, *, limits: Limits = Limits()
    ) -> Outcome:
        self.calls += 1
        self.keys.append(arguments.pop("idempotency_key"))
        if self.calls == 1:
            self.reached.set()
            await asyncio.Event().wait()
        return await super().call_function(program, function, arguments, limits=limits)


async def test_a_tool_that_changes_the_world_and_was_cut_in_verification_is_not_called_again_but_owned_up_to() -> None:
    code, model = Hanging(), script(tools=[said(SENDS)], reply=doubling(1)[:1])
    async with open_app(structs.replace(make_adapters(model), code=code)) as dead:
        started = await dead.services.builds.start(ANN, WANTED)
        await code.reached.wait()
        after = structs.replace(make_adapters(like=dead.adapters, clock=dead.clock, worker_id="w2"), code=code)
        async with open_app(after) as app:
            await app.sweeper.recover_jobs_at_start(alone=True)
            project = await over(app, started.project_id)
            assert code.calls == 1
            assert project.status == "failed"
            assert project.error_info is not None
            assert project.error_info["code"] == "outcome_unknown"
            assert project.error_info["retryable"]
            assert "whether it did its work is not known. You decide" in project.error_info["message"]
            assert purposes(app).count("build.prompt") == 1
            model.add(*doubling(1), *doubling(2), purpose="reply")
            await app.services.builds.execute_build_command(ANN, started.project_id, "retry")
            assert (await over(app, started.project_id)).status == "completed"
            assert code.keys[1] == code.keys[0]


async def _app(stack: AsyncExitStack, apps: list[MemoryApp]) -> MemoryApp:
    """The next process over the same store; the ones before it stand still wherever they are."""
    like, clock = apps[0].adapters, apps[0].clock
    app = await stack.enter_async_context(
        open_app(make_adapters(like=like, clock=clock, worker_id=f"w{len(apps) + 1}"))
    )
    apps.append(app)
    await app.sweeper.recover_jobs_at_start(alone=True)
    return app


async def test_a_case_under_which_every_host_dies_fails_the_build() -> None:
    gates = [Gate() for _ in range(1 + ALONE_DEATHS)]
    model = script(reply=[turn(gate, "late") for gate in gates])
    async with AsyncExitStack() as stack:
        apps = [await stack.enter_async_context(open_app(make_adapters(model)))]
        started = await apps[0].services.builds.start(ANN, WANTED)
        for gate in gates:
            await gate.reached.wait()
            await _app(stack, apps)
        project = await over(apps[-1], started.project_id)
        assert project.status == "failed"
        assert project.error_info is not None
        assert (project.error_info["code"], project.error_info["stage"]) == ("poisonous", "verification")
        assert purposes(apps[-1]).count("reply") == len(gates)


class Deadly(MemoryRepository):
    """A repository in which no host survives the commits of one key."""

    def __init__(self, key: str, *, deaths: int) -> None:
        super().__init__()
        self.reached = asyncio.Queue[None]()
        self._key, self._deaths = key, deaths

    async def commit(
        self, project_id: str, files: Mapping[str, bytes | None], *, message: str, key: str, writer: Writer = ANYONE
    ) -> str:
        if key == self._key and self._deaths:
            self._deaths -= 1
            self.reached.put_nowait(None)
            await asyncio.Event().wait()
        return await super().commit(project_id, files, message=message, key=key, writer=writer)


async def test_a_build_that_kills_every_host_outside_its_calls_is_given_up() -> None:
    disk = Deadly("1/design", deaths=100)
    async with AsyncExitStack() as stack:
        model = script(design=[said(DESIGN)] * 4)  # every third death an answer that nobody outlived is asked anew
        apps = [await stack.enter_async_context(open_app(structs.replace(make_adapters(model), repository=disk)))]
        started = await apps[0].services.builds.start(ANN, WANTED)
        for _ in range(STAGE_DEATHS):
            await disk.reached.get()
            await _app(stack, apps)
        project = await over(apps[-1], started.project_id)
        assert project.status == "failed"
        assert project.error_info is not None
        assert (project.error_info["code"], project.error_info["stage"]) == ("poisonous", "design")
        assert disk.reached.empty()
        assert purposes(apps[-1]).count("build.design") == 4


async def test_a_build_whose_hosts_die_fewer_times_than_that_completes() -> None:
    disk = Deadly("1/design", deaths=STAGE_DEATHS - 1)
    async with AsyncExitStack() as stack:
        model = script(design=[said(DESIGN)] * 4)  # every third death an answer that nobody outlived is asked anew
        apps = [await stack.enter_async_context(open_app(structs.replace(make_adapters(model), repository=disk)))]
        started = await apps[0].services.builds.start(ANN, WANTED)
        for _ in range(STAGE_DEATHS - 1):
            await disk.reached.get()
            await _app(stack, apps)
        project = await over(apps[-1], started.project_id)
        assert (project.status, project.error_info) == ("completed", None)


def test_what_is_away_is_waited_for_about_as_long_once_more_and_as_long_as_it_says() -> None:
    assert [compute_outage_delay(waited, told=None, jitter=1.0) for waited in (0, 2, 10, 3000)] == [2, 2, 10, 60]
    assert compute_outage_delay(10, told=None, jitter=0.0) == 5
    assert compute_outage_delay(0, told=120.0, jitter=0.5) == 120.5
    assert compute_outage_delay(0, told=1e9, jitter=0.0) == 600
