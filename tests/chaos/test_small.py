"""A small part of the bench with every run of the tests: kills among builds, a few failpoints, a reply that is taken over."""

from collections.abc import Iterator

import pytest

from tests.chaos.experiments import Figures
from tests.chaos.experiments.e01_random_kills import killed
from tests.chaos.experiments.e02_failpoints import tried
from tests.chaos.harness import adopting

SEED = 20_261
FAILPOINTS = ("after:step.call after:stage.commit", "after:reply.keep")
DEATHS = 3
"""Two in turn, and one."""


@pytest.fixture(autouse=True)
def orphans_come_here() -> Iterator[None]:
    with adopting():
        yield


async def test_builds_go_on_through_two_kills_and_nothing_is_done_twice() -> None:
    found: Figures = await killed(SEED, builds=3, most_kills=2, pauses=(0.2, 0.6))
    assert found["kills"] == 2


async def test_what_a_failpoint_leaves_is_gone_on_with() -> None:
    found = await tried(FAILPOINTS, SEED, whole=False)
    assert found["deaths"] == DEATHS
