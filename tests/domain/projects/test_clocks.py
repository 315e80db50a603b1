"""What was put off under a clock that ran ahead, once the clock is right again."""

import pytest

from nexus.domain.core.errors import Unavailable
from tests.domain.builds.scripts import BRIEF, said, script
from tests.domain.builds.test_builds import WANTED
from tests.fakes.models import turn
from tests.memory_app import ANN, make_adapters, open_app

DAYS = 86_400.0


@pytest.mark.parametrize("ahead", [3600.0, 30 * DAYS])
async def test_a_build_that_waits_under_a_clock_that_ran_ahead_goes_on_when_it_is_right_again(ahead: float) -> None:
    long = turn(Unavailable("The model provider asks to slow down (429).", reason="provider", retry_after=120.0))
    async with open_app(make_adapters(script(intake=[long, said(BRIEF)]))) as app:
        app.clock.now += ahead
        project_id = (await app.services.builds.start(ANN, WANTED)).project_id
        await app.queue.wait_until_idle()
        assert (await app.services.projects.get(ANN, project_id)).status == "queued"
        app.clock.now -= ahead
        for _ in range(14):
            await app.sweeper.recover_lost_jobs()
            await app.queue.wait_until_idle()
        assert (await app.services.projects.get(ANN, project_id)).status == "completed"


async def test_a_build_that_waits_its_time_is_not_taken_for_one_of_another_clock() -> None:
    long = turn(Unavailable("The model provider asks to slow down (429).", reason="provider", retry_after=590.0))
    async with open_app(make_adapters(script(intake=[long, said(BRIEF)]))) as app:
        project_id = (await app.services.builds.start(ANN, WANTED)).project_id
        for _ in range(14):
            await app.queue.wait_until_idle()
            await app.sweeper.recover_lost_jobs()
        assert (await app.services.projects.get(ANN, project_id)).status == "queued"
