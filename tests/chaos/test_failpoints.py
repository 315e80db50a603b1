"""Failpoints: armed by a sentence, inert without one."""

from collections.abc import Iterator

import pytest

from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.failpoints import KILLED, arm_failpoint, hit_failpoint


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    arm_failpoint("")


def passed(name: str, times: int) -> None:
    for _ in range(times):
        hit_failpoint(name)


def test_a_failpoint_acts_at_its_time_alone() -> None:
    deaths = list[int]()
    arm_failpoint("after:stage.commit@3, before:stage.log", die=deaths.append)
    passed("after:stage.commit", 5)
    passed("before:stage.started", 5)
    assert deaths == [KILLED]
    passed("before:stage.log", 2)
    assert deaths == [KILLED] * 2


def test_one_may_act_each_time_and_only_where_something_is_named() -> None:
    deaths = list[int]()
    arm_failpoint("after:stage.commit@*~run_2_x", die=deaths.append)
    for requirement in ("run_1_x", "run_2_x", "run_12_x", "run_2_x again"):
        hit_failpoint("after:stage.commit", about=requirement)
    assert len(deaths) == 2


def test_one_may_stand_still_or_fail() -> None:
    seconds = list[float]()
    arm_failpoint("before:step.call=block:2.5,before:step.call@2=fail", stand_still=seconds.append)
    hit_failpoint("before:step.call")
    assert seconds == [2.5]
    with pytest.raises(RuntimeError):
        hit_failpoint("before:step.call")
    hit_failpoint("before:step.call")


@pytest.mark.parametrize(
    "text", ["stage.commit", "after:stage.nothing", "after:stage.commit@", "after:stage.commit=sleep"]
)
def test_what_is_no_failpoint_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        arm_failpoint(text)


def test_nothing_happens_unless_armed() -> None:
    arm_failpoint("", die=lambda _: pytest.fail("it died"))
    passed("after:stage.commit", 3)
