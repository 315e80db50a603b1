"""What people have been let down by in builders of this kind, one test for each.

| the failure | shown by |
|---|---|
| a build that is paused while queued runs all the same | `test_a_build_that_is_paused_while_queued_does_not_run_…` |
| a build that is stopped while queued runs to its end | `test_a_build_that_is_stopped_while_queued_or_paused_never_runs_…` |
| a build that is stopped in a stage is called failed, and comes back | `test_a_build_that_is_stopped_in_a_stage_ends_cancelled_not_failed_…` |
| a cancelled build is completed | the same: cancel is stop, and there is one word for it |
| a stage that raises ends the build at once | `test_a_stage_that_raises_is_tried_again_up_to_its_attempts_and_no_further` |
| resume ignores where the build was; restart hangs, because nobody is told | `test_a_resumed_build_goes_on_at_its_first_unfinished_stage_…`, `test_a_restarted_build_is_queued_with_a_hint_…` |
| two agents make a build that calls itself without end | `test_several_agents_are_built_in_one_pass_…` |
| progress stays at nothing until it is all | `test_progress_moves_with_every_stage_from_nothing_to_all` |
"""

from collections import Counter
from collections.abc import Mapping

import pytest
from msgspec import structs

from nexus.domain.builds.outputs import Design, Duty, Parameter, PlannedAgent, PlannedTool, WrittenTool
from nexus.domain.ports.database import Window
from nexus.domain.ports.models import ToolCall
from nexus.domain.ports.repository import ANYONE, Writer
from tests.domain.builds.scripts import (
    AGENT,
    ARCHITECTURE,
    BRIEF,
    CASE,
    DESIGN,
    REQUIREMENTS,
    WRITTEN,
    doubling,
    said,
    script,
)
from tests.domain.builds.test_builds import STAGES, WANTED, over
from tests.domain.builds.test_control import until
from tests.fakes.models import Gate, ScriptedModel, turn
from tests.fakes.repository import MemoryRepository
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app


class Raising(MemoryRepository):
    """A repository whose commit of one stage raises what nobody foresaw."""

    stage, left = "", 0

    async def commit(
        self, project_id: str, files: Mapping[str, bytes | None], *, message: str, key: str, writer: Writer = ANYONE
    ) -> str:
        if self.left and key.endswith(f"/{self.stage}"):
            self.left -= 1
            raise RuntimeError("boom")
        return await super().commit(project_id, files, message=message, key=key, writer=writer)


def raising(stage: str, times: int) -> Raising:
    repository = Raising()
    repository.stage, repository.left = stage, times
    return repository


async def without_rest(seconds: float) -> None:
    assert seconds > 0


async def commands(app: MemoryApp, project_id: str, *given: str) -> list[str]:
    found = list[str]()
    for command in given:
        found.append((await app.services.builds.execute_build_command(ANN, project_id, command)).status)  # type: ignore[arg-type]  # one of the commands
    return found


async def test_a_build_that_is_paused_while_queued_does_not_run_however_often_it_is_delivered() -> None:
    async with open_app(make_adapters(script()), serving=False) as app:
        started = await app.services.builds.start(ANN, WANTED)
        assert await commands(app, started.project_id, "pause", "pause") == ["paused", "paused"]
        for _ in range(3):
            await app.services.build_runner.run_build_job(started.task_id)
            await app.sweeper.recover_lost_jobs()
        assert app.adapters.default_model.requests == []
        assert (await app.services.projects.get(ANN, started.project_id)).status == "paused"


async def test_a_build_that_is_stopped_while_queued_or_paused_never_runs_however_often_it_is_delivered() -> None:
    async with open_app(make_adapters(script()), serving=False) as app:
        for before in ([], ["pause"], ["pause", "resume"]):
            started = await app.services.builds.start(ANN, WANTED)
            assert (await commands(app, started.project_id, *before, "stop", "stop"))[-2:] == ["cancelled"] * 2
            for _ in range(3):
                await app.services.build_runner.run_build_job(started.task_id)
            assert (await app.services.projects.get_active_task(ANN, started.project_id)).dispatch is None
        assert app.adapters.default_model.requests == []


async def test_a_build_that_is_stopped_in_a_stage_ends_cancelled_not_failed_and_no_redelivery_revives_it() -> None:
    gate = Gate()
    async with open_app(make_adapters(script(intake=[turn(gate, "late")]))) as app:
        started = await app.services.builds.start(ANN, WANTED)
        await gate.reached.wait()
        await commands(app, started.project_id, "stop")
        ended = await over(app, started.project_id)
        assert (ended.status, ended.error_info) == ("cancelled", None)
        build = await app.services.projects.get_current_build(ANN, started.project_id)
        assert (build.status, build.completed_at) == ("cancelled", ended.completed_at)
        await app.services.build_runner.run_build_job(started.task_id)
        assert await app.services.projects.get(ANN, started.project_id) == ended


async def test_a_resumed_build_goes_on_at_its_first_unfinished_stage_and_repeats_no_finished_one() -> None:
    gate = Gate()
    model = script(architecture=[turn(gate, *said(ARCHITECTURE).pieces), said(ARCHITECTURE)])
    async with open_app(make_adapters(model)) as app:
        started = await app.services.builds.start(ANN, WANTED)
        await gate.reached.wait()
        await commands(app, started.project_id, "pause")
        gate.opened.set()
        await until(app, started.project_id, "paused")
        stages = await app.services.projects.list_current_stages(ANN, started.project_id)
        done = [stage for stage in stages if stage.status == "completed"]
        assert [stage.stage_name for stage in done] == STAGES[: len(done)]
        assert 2 <= len(done) <= 3
        await commands(app, started.project_id, "resume")
        assert (await over(app, started.project_id)).status == "completed"
        asked = Counter(request.purpose for request in model.requests)
        assert (asked["build.intake"], asked["build.requirements"]) == (1, 1)
        assert (await app.services.projects.list_current_stages(ANN, started.project_id))[:2] == stages[:2]


async def test_a_restarted_build_is_queued_with_a_hint_and_makes_every_stage_anew() -> None:
    model = script(intake=[said(BRIEF), said(BRIEF)], requirements=[said(REQUIREMENTS), said(REQUIREMENTS)])
    for purpose in ("architecture", "design", "tools", "prompt"):
        model.add(*script()._by_purpose[f"build.{purpose}"], purpose=f"build.{purpose}")
    model.add(*doubling(3), *doubling(4), purpose="reply")
    async with open_app(make_adapters(model)) as app:
        started = await app.services.builds.start(ANN, WANTED)
        await over(app, started.project_id)
        assert await commands(app, started.project_id, "restart") == ["queued"]
        project = await over(app, started.project_id)
        assert (project.status, project.build_no, project.error_info) == ("completed", 2, None)
        keys = [commit.key for commit in await app.services.projects.list_commits(ANN, started.project_id)]
        assert keys == [f"{build}/{name}" for build in (2, 1) for name in reversed(STAGES)]


async def test_progress_moves_with_every_stage_from_nothing_to_all() -> None:
    seen = list[tuple[float, str | None]]()
    async with open_app(make_adapters(script())) as app:
        started = await app.services.builds.start(ANN, WANTED)
        assert (await app.services.projects.get(ANN, started.project_id)).progress == 0.0
        project = await over(app, started.project_id)
        events = app.services.projects._events
        found = await events.read_events(f"build:{started.project_id}/1", limit=100)
        seen = [(event.data["progress"], event.data["stage"]) for event in found if event.tag == "stage.completed"]
        assert seen == [(round(100 * number / 9, 1), name) for number, name in enumerate(STAGES, 1)]
        assert project.progress == 100.0


@pytest.mark.parametrize(("raises", "status", "attempt"), [(2, "completed", 3), (3, "failed", 3), (9, "failed", 3)])
async def test_a_stage_that_raises_is_tried_again_up_to_its_attempts_and_no_further(
    raises: int, status: str, attempt: int
) -> None:
    model = script(intake=[said(BRIEF)] * 9)
    on = structs.replace(make_adapters(model), repository=raising("intake", raises))
    async with open_app(on, serving=False) as app:
        app.services.build_runner._driver._sleep = without_rest
        started = await app.services.builds.start(ANN, WANTED)
        await app.services.build_runner.run_build_job(started.task_id)
        project = await app.services.projects.get(ANN, started.project_id)
        intake, *_ = await app.services.projects.list_current_stages(ANN, started.project_id)
        assert (project.status, intake.status, intake.attempt) == (status, status, attempt)
        if status == "failed":
            assert project.error_info
            assert (project.error_info["code"], project.error_info["stage"]) == ("internal", "intake")
            assert "boom" not in project.error_info["message"]


def several() -> ScriptedModel:
    """A model that plans three agents, the first of which asks the others, and builds them."""
    agents, designs, tools = list[PlannedAgent](), list[Design](), list[WrittenTool]()
    for number, name in enumerate(("double", "triple", "quadruple"), 2):
        verb = f"{name}_it"
        tool = PlannedTool(name=verb, purpose="Multiplies.", parameters=[Parameter(name="number", type="float")])
        duty = Duty(requirement="FR-1", tools=[verb])
        agents.append(structs.replace(AGENT, slug=f"{name}r", name=name.title(), new_tools=[tool], duties=[duty]))
        said_then = f"double or {name} 2"
        case = structs.replace(CASE, name=f"{name}s_two", input=said_then, calls=[verb], contains=[str(2 * number)])
        designs.append(structs.replace(DESIGN, cases=[case]))
        code = WRITTEN.code.replace("double_it", verb).replace("* 2", f"* {number}")
        test = WRITTEN.test_code.replace("double_it", verb).replace("== 4", f"== {2 * number}")
        tools.append(WrittenTool(name=verb, code=code, test_code=test))
    agents[0] = structs.replace(agents[0], calls=[agent.slug for agent in agents[1:]])
    replies = [
        said
        for _ in ("verification", "deployment")
        for number, agent in enumerate(agents, 2)
        for said in (turn(ToolCall("c1", agent.new_tools[0].name, '{"number": 2}')), turn(f"That is {2 * number}."))
    ]
    prompts = list(script()._by_purpose["build.prompt"]) * 3
    return script(
        architecture=[said(structs.replace(ARCHITECTURE, agents=agents))],
        design=[said(design) for design in designs],
        tools=[said(tool) for tool in tools],
        prompt=prompts,
        reply=replies,
    )


async def test_several_agents_are_built_in_one_pass_through_the_stages_without_recursion() -> None:
    model = several()
    async with open_app(make_adapters(model)) as app:
        started = await app.services.builds.start(ANN, WANTED)
        project = await over(app, started.project_id)
        assert (project.status, project.error_info) == ("completed", None)
        asked = Counter(request.purpose for request in model.requests)
        assert asked["build.architecture"] == 1
        assert [asked[f"build.{stage}"] for stage in ("design", "tools", "prompt")] == [3, 3, 3]
        agents = (await app.services.agents.list_agents(ANN, Window())).items
        assert sorted(agent.slug for agent in agents) == ["doubler", "quadrupler", "tripler"]
        stages = await app.services.projects.list_current_stages(ANN, started.project_id)
        assert [len(stage.parts) for stage in stages] == [0, 0, 0, 3, 3, 3, 3, 3, 0]
        assert {stage.attempt for stage in stages} == {1}
