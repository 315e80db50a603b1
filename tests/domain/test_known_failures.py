"""Failures that other platforms are known for, and the test that shows each one's opposite here.

| | the failure | shown by |
|---|---|---|
| C1 | pause, resume and stop work in some states only | `projects/test_behaviour.py` names eight, `projects/test_rules.py` |
| C2 | a build of several agents never ends | `projects/test_behaviour.py`: `test_several_agents_are_built_in_one_pass_…` |
| C3 | what failed or was stopped starts again after an hour | `test_what_ended_or_was_paused_does_not_start_again_however_late_it_is_looked_at` |
| C4 | lists end early, filtered ones lack rows | `test_known_failures_of_stores.py`: `test_lists_page_through_everything_and_filters_lose_no_rows` |
| C5 | calls are not recorded, statistics are made up | `test_known_failures_of_stores.py`: `test_every_call_is_recorded_and_the_statistics_are_its_sum` |
| C6 | stages do not say what they took and cost | `test_every_stage_tells_how_long_it_took_and_what_it_cost` |
| C7 | an agent is listed only where its files lie | `test_a_built_agent_is_listed_by_a_server_that_has_none_of_its_files` |
| C8 | a large output is thrown away | `test_an_output_that_no_row_could_hold_is_kept_as_a_file`, `test_an_answer_that_no_row_could_hold_…` |
| C9 | a deleted agent leaves messages, and sessions beyond the first hundred | `test_known_failures_of_stores.py`: `test_nothing_of_what_is_deleted_stays_…[agent]` |
| C10 | a deleted project leaves agents, sessions, files and work that is queued | `test_known_failures_of_stores.py`: `test_nothing_of_what_is_deleted_stays_…[project]` |
| C11 | a pause and a stage that ends undo each other | `test_a_pause_and_the_end_of_a_stage_in_one_moment_are_both_kept`, `projects/test_races.py` |
| C12 | an agent whose tools are missing runs without them | `test_a_tool_that_does_not_exist_…`, `test_a_package_whose_tool_is_gone_…` |
| C13 | a stage is marked done that never ran | `test_no_stage_is_done_that_did_not_run` |
| C14 | builds at the same time write over each other's files | `test_two_builds_at_once_do_not_touch_each_others_files` |
| C15 | a malformed package passes | `test_a_malformed_package_is_refused_with_file_and_place` |
| C16 | what fits the model is reckoned as if all text were English | `test_known_failures_of_stores.py`: `test_a_chinese_conversation_…`, `test_purges_and_bounds.py`: `test_a_conversation_takes_as_much_of_the_model_in_chinese_as_in_english` |
"""

from collections.abc import AsyncGenerator, Mapping

import msgspec
import pytest
from msgspec import structs

from nexus.domain.builds.outputs import Design
from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.database import Window
from nexus.domain.ports.models import Delta, End, ModelRequest, ToolCall, Usage
from nexus.domain.ports.repository import ANYONE, Writer
from nexus.domain.ports.rows import ROW_BYTES
from nexus.domain.projects.model import StageResult
from nexus.domain.projects.starts import Opening
from tests.domain.builds.scripts import (
    AGENT,
    ARCHITECTURE,
    BRIEF,
    CASE,
    DESIGN,
    PROMPT,
    REQUIREMENTS,
    WRITTEN,
    said,
    script,
)
from tests.domain.builds.test_builds import STAGES, WANTED, over
from tests.domain.builds.test_control import until
from tests.domain.projects.test_behaviour import several
from tests.domain.projects.test_races import Overtaken, command, runs_of
from tests.fakes.models import Gate, ScriptedModel, Turn, turn
from tests.fakes.repository import MemoryRepository
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app

HOUR = 3600.0


# --- C3


async def left_lying(app: MemoryApp, status: str, gate: Gate) -> tuple[str, str]:
    """A build that failed, was stopped or is paused in its second stage."""
    started = await app.services.builds.start(ANN, WANTED)
    await gate.reached.wait()
    if status == "failed":
        gate.opened.set()
    else:
        await command(app, started.project_id, "stop" if status == "cancelled" else "pause")
        gate.opened.set()
    await until(app, started.project_id, status)
    await app.queue.wait_until_idle()
    return started.project_id, started.task_id


@pytest.mark.parametrize("status", ["failed", "cancelled", "paused"])
async def test_what_ended_or_was_paused_does_not_start_again_however_late_it_is_looked_at(status: str) -> None:
    gate = Gate()
    answer = "nonsense" if status == "failed" else said(REQUIREMENTS).pieces[0]
    model = script(requirements=[turn(gate, answer), *[turn("nonsense")] * 3])
    async with open_app(make_adapters(model)) as app:
        project_id, task_id = await left_lying(app, status, gate)
        lies, asked = await app.services.projects.get(ANN, project_id), len(model.requests)
        assert lies.status == status
        for hours in (1, 1, 24, 24 * 365):
            app.clock.now += hours * HOUR
            await app.sweeper.recover_lost_jobs()
            await app.services.build_runner.run_build_job(task_id)
            async with open_app(
                make_adapters(like=app.adapters, clock=app.clock, worker_id=f"w{hours}")
            ) as after_restart:
                await after_restart.sweeper.recover_jobs_at_start(alone=True)
                await after_restart.queue.wait_until_idle()
            await app.queue.wait_until_idle()
        assert await app.services.projects.get(ANN, project_id) == lies
        assert len(model.requests) == asked


# --- C6


def costing(answer: Turn, input_tokens: int, output_tokens: int) -> Turn:
    return structs.replace(answer, usage=Usage(input_tokens, output_tokens))


async def test_every_stage_tells_how_long_it_took_and_what_it_cost() -> None:
    gate, double = Gate(), ToolCall("c1", "double_it", '{"number": 2}')
    replies = [turn(double), turn("That is 4.")]
    model = script(
        intake=[costing(said(BRIEF), 100, 1)],
        requirements=[structs.replace(said(REQUIREMENTS), usage=None)],
        architecture=[costing(turn("{"), 200, 2), costing(said(ARCHITECTURE), 300, 3)],
        design=[costing(turn(gate, *said(DESIGN).pieces), 400, 4)],
        tools=[costing(said(WRITTEN), 500, 5)],
        prompt=[costing(said(PROMPT), 600, 6)],
        reply=[costing(one, 700, 7) for one in (*replies, *replies)],
    )
    async with open_app(make_adapters(model)) as app:
        started = await app.services.builds.start(ANN, WANTED)
        await gate.reached.wait()
        app.clock.now += 42
        gate.opened.set()
        assert (await over(app, started.project_id)).status == "completed"
        stages = {
            stage.stage_name: stage
            for stage in await app.services.projects.list_current_stages(ANN, started.project_id)
        }
        cost = {name: (stage.input_tokens, stage.output_tokens, stage.tool_calls) for name, stage in stages.items()}
        assert cost == {
            "intake": (100, 1, 0), "requirements": (0, 0, 0), "architecture": (500, 5, 0), "design": (400, 4, 0),
            "tools": (500, 5, 0), "prompt": (600, 6, 0), "assembly": (0, 0, 0), "verification": (1400, 14, 1),
            "deployment": (1400, 14, 1),
        }  # fmt: skip
        assert [name for name, stage in stages.items() if stage.usage_unknown] == ["requirements"]
        seconds = {name: stage.duration_seconds or 0.0 for name, stage in stages.items()}
        assert 42 <= seconds.pop("design") < 43
        assert all(0 < one < 1 for one in seconds.values())
        build = await app.services.projects.get_current_build(ANN, started.project_id)
        assert (build.input_tokens, build.output_tokens, build.tool_calls) == (4900, 49, 2)


# --- C7


class Elsewhere(MemoryRepository):
    """The repository of a server on whose disk there is nothing."""

    async def list(self, project_id: str, *, at: str | None = None) -> list[str]:
        raise AssertionError("a list of agents looks at no files")

    async def read(self, project_id: str, path: str, *, at: str | None = None) -> bytes:
        raise AssertionError("a list of agents looks at no files")


async def test_a_built_agent_is_listed_by_a_server_that_has_none_of_its_files() -> None:
    async with open_app(make_adapters(script())) as worker:
        started = await worker.services.builds.start(ANN, WANTED)
        project = await over(worker, started.project_id)
        api = structs.replace(
            make_adapters(like=worker.adapters, clock=worker.clock, worker_id="api"), repository=Elsewhere()
        )
        async with open_app(api, serving=False) as app:
            [agent] = (await app.services.agents.list_agents(ANN, Window())).items
            assert [agent] == await app.services.agents.list_project_agents(ANN, project.project_id)
            assert agent == await app.services.agents.get(ANN, project.agent_ids[0])
            assert (agent.slug, agent.status, agent.active_version) == ("doubler", "running", 1)
            assert agent.tools == ["generated:tools/double_it.py:double_it"]
            [version] = (await app.services.agents.list_agent_versions(ANN, agent.agent_id, Window())).items
            assert (version.verdict, version.build_no) == ("passed", 1)


# --- C8


async def test_an_output_that_no_row_could_hold_is_kept_as_a_file() -> None:
    model, large = several(), ["容" * 500] * 150
    designs = [msgspec.json.decode(str(one.pieces[0]), type=Design) for one in model._by_purpose["build.design"]]
    model._by_purpose["build.design"].clear()
    model.add(*(said(structs.replace(one, capabilities=large)) for one in designs), purpose="build.design")
    async with open_app(make_adapters(model)) as app:
        started = await app.services.builds.start(ANN, WANTED)
        assert (await over(app, started.project_id)).status == "completed"
        stages = {
            stage.stage_name: stage
            for stage in await app.services.projects.list_current_stages(ANN, started.project_id)
        }
        stage = stages["design"]
        assert len(msgspec.json.encode(stage)) < 10_000
        assert stage.output_data
        kept = stage.output_data["artifact"]
        text = await app.services.projects.read_file(ANN, started.project_id, kept["path"], at=kept["commit"])
        assert len(text) > ROW_BYTES
        found = msgspec.json.decode(text, type=dict[str, Design])
        assert [one.capabilities for one in found.values()] == [large] * 3


async def test_an_answer_that_no_row_could_hold_is_kept_as_a_file() -> None:
    endless = structs.replace(REQUIREMENTS, out_of_scope=["x" * 500] * 900)
    async with open_app(make_adapters(script(requirements=[said(endless)]))) as app:
        started = await app.services.builds.start(ANN, WANTED)
        assert (await over(app, started.project_id)).status == "completed"
        text = await app.services.projects.read_file(ANN, started.project_id, "stages/requirements.json")
        assert len(text) > ROW_BYTES


# --- C11


@pytest.mark.parametrize("first", ["pause", "stage"])
async def test_a_pause_and_the_end_of_a_stage_in_one_moment_are_both_kept(first: str) -> None:
    store = Overtaken()
    async with open_app(structs.replace(make_adapters(), tables=store), serving=False) as app:
        started = await app.services.builds.start(ANN, WANTED)
        runs = runs_of(app)
        run = await runs.claim_build(started.task_id, "w1")
        stage = await runs.start_stage(run, (await runs.list_stages(run))[0])
        result = StageResult(output_data={"summary": "done"}, input_tokens=7)

        async def complete() -> None:
            await runs.complete_stage(run, stage, result, progress=11.1)

        async def pause_while_beating() -> None:
            app.clock.now += 20
            executions = app.services.tasks.executions
            await executions.renew_leases([executions.make_lease(run.task)])
            await command(app, started.project_id, "pause")

        if first == "pause":
            store.before("status", "completed", pause_while_beating)
            await complete()
        else:
            store.before("control_status", "paused", complete)
            await pause_while_beating()
        project, task = await app.services.projects.get(ANN, started.project_id), await runs.reload_run(run)
        [intake, *_] = await runs.list_stages(run)
        assert store.has_happened
        assert (project.control_status, task.task.control_status, task.task.heartbeat) == ("paused", "paused", 1)
        assert (project.progress, intake.status, intake.input_tokens) == (11.1, "completed", 7)
        assert project.events == 5, "queued, claimed, stage started; then the pause and the end of the stage"


# --- C12


async def nothing_came_of(app: MemoryApp, project_id: str, stage: str) -> str:
    """The reason why the build failed in a stage; it left no agent, and no later stage began."""
    project = await over(app, project_id)
    assert project.status == "failed"
    assert project.error_info
    assert project.error_info["stage"] == stage
    assert await app.services.agents.list_project_agents(ANN, project_id) == []
    rows = await app.services.projects.list_current_stages(ANN, project_id)
    assert [row.status for row in rows[STAGES.index(stage) :]] == ["failed"] + ["pending"] * (8 - STAGES.index(stage))
    return str(project.error_info["message"])


async def test_a_tool_that_does_not_exist_fails_the_build_with_its_name() -> None:
    planned = structs.replace(ARCHITECTURE, agents=[structs.replace(AGENT, library_tools=["crystal_ball"])])
    async with open_app(make_adapters(script(architecture=[said(planned)] * 4))) as app:
        started = await app.services.builds.start(ANN, WANTED)
        reason = await nothing_came_of(app, started.project_id, "architecture")
        assert "the library has no crystal_ball" in reason


class Losing(MemoryRepository):
    """A repository that loses the sources of tools."""

    async def commit(
        self, project_id: str, files: Mapping[str, bytes | None], *, message: str, key: str, writer: Writer = ANYONE
    ) -> str:
        kept = {path: content for path, content in files.items() if "/tools/" not in path}
        return await super().commit(project_id, kept, message=message, key=key, writer=writer)


async def test_a_package_whose_tool_is_gone_fails_the_build_and_no_agent_runs_without_it() -> None:
    async with open_app(structs.replace(make_adapters(script()), repository=Losing())) as app:
        started = await app.services.builds.start(ANN, WANTED)
        reason = await nothing_came_of(app, started.project_id, "assembly")
        assert reason == "generated:tools/double_it.py:double_it: there is no such file."


# --- C13


async def did_run(app: MemoryApp, project_id: str) -> list[str]:
    """The stages whose rows say that they are done: each has its times, its attempt, and a commit that has its output."""
    done = list[str]()
    keys = {commit.commit_id: commit.key for commit in await app.services.projects.list_commits(ANN, project_id)}
    for stage in await app.services.projects.list_current_stages(ANN, project_id):
        if stage.status != "completed":
            assert (stage.completed_at, stage.duration_seconds, stage.output_data) == (None, None, None)
            continue
        assert stage.output_data
        kept = stage.output_data["artifact"]
        assert keys[kept["commit"]].endswith(f"/{stage.stage_name}")
        assert await app.services.projects.read_file(ANN, project_id, kept["path"], at=kept["commit"])
        assert stage.started_at
        assert stage.completed_at
        assert stage.attempt >= 1
        done.append(stage.stage_name)
    return done


async def test_no_stage_is_done_that_did_not_run() -> None:
    model = script(design=[turn("nonsense")] * 4)
    async with open_app(make_adapters(model)) as app:
        project_id = (await app.services.builds.start(ANN, WANTED)).project_id
        assert (await over(app, project_id)).status == "failed"
        assert await did_run(app, project_id) == STAGES[:3]
        for skipping in ("tools", "deployment"):
            with pytest.raises(InvalidInput, match="'design' has not been completed"):
                await app.services.builds.execute_build_command(ANN, project_id, "restart", from_stage=skipping)
        model.add(said(DESIGN), purpose="build.design")
        await command(app, project_id, "retry")
        assert (await over(app, project_id)).status == "completed"
        assert await did_run(app, project_id) == STAGES
        keys = [commit.key for commit in await app.services.projects.list_commits(ANN, project_id)]
        assert keys[::-1] == [f"{1 if n < 3 else 2}/{name}" for n, name in enumerate(STAGES)]


# --- C14


class Two:
    """A model that answers what speaks of tripling out of one script, and all else out of another."""

    name = "two"

    def __init__(self, doubles: ScriptedModel, triples: ScriptedModel) -> None:
        self._doubles, self._triples = doubles, triples

    def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | End, None]:
        speaks = any("tripl" in message.content.casefold() for message in request.messages)
        return (self._triples if speaks else self._doubles).stream(request)


def tripling(gate: Gate) -> ScriptedModel:
    """Builds an agent under the same slug, with a tool of the same name, that triples."""
    code, test = WRITTEN.code.replace("* 2", "* 3"), WRITTEN.test_code.replace("== 4", "== 6")
    written = said(structs.replace(WRITTEN, code=code, test_code=test))
    case = structs.replace(CASE, input="triple, not double, 2", contains=["6"])
    replies = [turn(ToolCall("c1", "double_it", '{"number": 2}')), turn("That is 6.")]
    return script(
        intake=[said(structs.replace(BRIEF, name="Tripler", summary="Triples numbers."))],
        design=[said(structs.replace(DESIGN, cases=[case]))],
        tools=[turn(gate, *written.pieces)],
        prompt=[said({"prompt": "You triple numbers with the tool double_it, and say the result in one sentence."})],
        reply=[*replies, *replies],
    )


async def test_two_builds_at_once_do_not_touch_each_others_files() -> None:
    gates = [Gate(), Gate()]
    doubles = script(tools=[turn(gates[0], *said(WRITTEN).pieces)])
    async with open_app(make_adapters(Two(doubles, tripling(gates[1])))) as app:
        wanted = [WANTED, Opening(requirement="An agent that triples numbers")]
        ids = [(await app.services.builds.start(ANN, one)).project_id for one in wanted]
        [await gate.reached.wait() for gate in gates]
        for gate in gates:
            gate.opened.set()
        assert [(await over(app, one)).status for one in ids] == ["completed", "completed"]
        files = [await app.services.projects.list_files(ANN, one) for one in ids]
        assert [path.replace("doubler_2/", "doubler/") for path in files[1]] == files[0]
        tools = [next(path for path in found if path.endswith("/tools/double_it.py")) for found in files]
        sources = [(await app.services.projects.read_file(ANN, *one)).decode() for one in zip(ids, tools, strict=True)]
        assert [source.count("* 2") for source in sources] == [1, 0]
        assert [source.count("* 3") for source in sources] == [0, 1]
        commits = [{commit.commit_id for commit in await app.services.projects.list_commits(ANN, one)} for one in ids]
        assert [len(found) for found in commits] == [9, 9]
        assert commits[0].isdisjoint(commits[1])
        on_disk = await app.adapters.files.list("projects")
        assert sorted(on_disk) == sorted(
            f"projects/{one}/{path}" for one, found in zip(ids, files, strict=True) for path in found
        )
