"""What is left of builds: their result, how long they took, and the tokens that were really spent on them."""

import pytest

from nexus.domain.core.instants import compute_seconds_between
from nexus.domain.projects.model import Command
from tests.domain.builds.scripts import DESIGN, said, script
from tests.domain.builds.test_builds import WANTED, over
from tests.domain.builds.test_failures import two_agents
from tests.fakes.models import turn
from tests.memory_app import ANN, MemoryApp, MovableClock, make_adapters, open_app


class SlowClock(MovableClock):
    def __call__(self) -> float:
        self.now += 0.25
        return self.now


async def must_count_what_was_asked(app: MemoryApp, *, again: int = 0) -> None:
    """The scripted model reads 10 tokens and writes 5, each time that it is asked; `again`: answers that a retry took from its journal."""
    asked = again + len(app.adapters.default_model.requests)  # type: ignore[attr-defined]  # the scripted one keeps them
    counted = await app.services.statistics.read_overview(ANN)
    assert (counted.build_input_tokens, counted.build_output_tokens) == (10 * asked, 5 * asked)
    assert counted.input_tokens == counted.invocations == 0


async def test_a_build_is_counted_with_its_seconds_and_tokens() -> None:
    async with open_app(make_adapters(script(), clock=SlowClock())) as app:
        started = await app.services.builds.start(ANN, WANTED)
        project = await over(app, started.project_id)
        assert project.started_at and project.completed_at
        assert (await app.services.tasks.get(ANN, project.active_task_id)).result == {
            "verdict": "passed",
            "unmet": [],
        }
        counted = await app.services.statistics.read_overview(ANN)
        assert (counted.builds_completed, counted.today.builds_completed) == (1, 1)
        assert counted.build_seconds == round(compute_seconds_between(project.started_at, project.completed_at)) > 1
        assert counted.today.build_seconds == counted.build_seconds
        await must_count_what_was_asked(app)


@pytest.mark.parametrize(("command", "from_stage"), [("retry", None), ("restart", "design")])
async def test_a_new_build_counts_its_own_stages_and_none_that_it_kept(
    command: Command, from_stage: str | None
) -> None:
    model = two_agents(design=[said(DESIGN), *[turn("nonsense")] * 4, *[said(DESIGN)] * 2])
    async with open_app(make_adapters(model)) as app:
        started = await app.services.builds.start(ANN, WANTED)
        assert (await over(app, started.project_id)).status == "failed"
        await must_count_what_was_asked(app)
        await app.services.builds.execute_build_command(ANN, started.project_id, command, from_stage=from_stage)
        assert (await over(app, started.project_id)).status == "completed"
        await must_count_what_was_asked(app, again=command == "retry")


async def test_a_build_that_is_stopped_before_it_began_counts_no_seconds() -> None:
    async with open_app(make_adapters(script()), serving=False) as app:
        started = await app.services.builds.start(ANN, WANTED)
        await app.services.builds.execute_build_command(ANN, started.project_id, "stop")
        counted = await app.services.statistics.read_overview(ANN)
        assert (counted.builds_cancelled, counted.build_seconds, counted.build_input_tokens) == (1, 0, 0)
