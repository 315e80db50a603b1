"""A small part of the bench with every run of the tests: kills among builds, a few failpoints, a reply that is taken over."""

from collections.abc import Iterator

import pytest

from tests.chaos.experiments import Figures
from tests.chaos.experiments.e01_random_kills import killed
from tests.chaos.experiments.e02_failpoints import tried
from tests.chaos.harness import adopting

SEED = 20_261
FAILPOINTS = ("after:step.call after:stage.commit", "after:reply.keep", "before:reply.take_over")
DEATHS = 5
"""Two in turn, one, and one after the one that makes it possible."""


@pytest.fixture(autouse=True)
def orphans_come_here() -> Iterator[None]:
    with adopting():
        yield


async def test_builds_go_on_through_three_kills_and_nothing_is_done_twice() -> None:
    found: Figures = await killed(SEED, builds=4, most_kills=3, pauses=(0.2, 0.6))
    assert found["kills"] == 3


async def test_what_a_failpoint_leaves_is_gone_on_with() -> None:
    found = await tried(FAILPOINTS, SEED, whole=False)
    assert found["deaths"] == DEATHS
