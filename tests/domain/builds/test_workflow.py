"""Another workflow than that of agents, through the same driver."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from nexus.domain.builds.stage_context import StageContext
from nexus.domain.builds.workflow import StageOutput, StageSpec, Workflow
from nexus.domain.projects.model import StageEffects
from tests.domain.builds.test_builds import WANTED, over
from tests.memory_app import ANN, open_app


class Letter(Struct, frozen=True):
    requirement: str


class Words(Struct, frozen=True):
    words: list[str]


class Loud(Struct, frozen=True):
    word: str


async def split(context: StageContext) -> StageOutput:
    return StageOutput(output=Words(context.get_build_request(Letter).requirement.split()), summary="split")


def words_of(outputs: Mapping[str, Any]) -> Sequence[str]:
    return msgspec.convert(outputs["split"][""], Words).words


async def shout(context: StageContext) -> StageOutput:
    await context.note(f"{context.part} is loud")
    return StageOutput(output=Loud(context.part.upper()), files={f"{context.part}.txt": context.part.upper()})


async def name_project(context: StageContext, outputs: Mapping[str, StageOutput], commit_id: str) -> StageEffects:
    loud = [context.get_stage_output(Loud, "shout", part).word for part in outputs]
    return StageEffects(project={"project_name": " ".join(loud)}, told={"loud": len(loud)})


SHOUTING = Workflow(
    name="shouting",
    task_type="build_tool",
    inputs=Letter,
    stages=(
        StageSpec("split", split),
        StageSpec("shout", shout, parts=words_of, finalize=name_project, needs=("split",)),
    ),
)


async def test_the_driver_runs_a_workflow_of_other_stages_inputs_and_parts() -> None:
    async with open_app(workflow=SHOUTING) as app:
        started = await app.services.builds.start(ANN, WANTED)
        project = await over(app, started.project_id)
        assert (project.status, project.project_name) == ("completed", "AN AGENT THAT DOUBLES NUMBERS")
        [first, second] = await app.services.projects.list_current_stages(ANN, project.project_id)
        assert (first.stage_name, first.parts) == ("split", [])
        assert [part.agent for part in second.parts] == WANTED.requirement.split()
        assert second.logs == [f"{word} is loud" for word in WANTED.requirement.split()]
        commits = await app.services.projects.list_commits(ANN, project.project_id)
        assert [commit.key for commit in commits] == ["1/shout", "1/split"]
        assert (await app.services.tasks.get(ANN, started.task_id)).task_type == "build_tool"


async def test_a_build_that_is_begun_again_keeps_the_type_of_its_task() -> None:
    async with open_app(workflow=SHOUTING) as app:
        project = await over(app, (await app.services.builds.start(ANN, WANTED)).project_id)
        again = await app.services.builds.execute_build_command(ANN, project.project_id, "restart", from_stage="shout")
        assert (await app.services.tasks.get(ANN, again.active_task_id)).task_type == "build_tool"
        assert (await over(app, project.project_id)).status == "completed"


def test_a_stage_needs_only_what_comes_before_it() -> None:
    with pytest.raises(TypeError, match="'later'"):
        Workflow(name="wrong", task_type="build_tool", inputs=Letter, stages=(StageSpec("a", split, needs=("later",)),))
