"""What judges the bench's evidence: that it finds what it is for."""

from typing import Any

import pytest

from nexus.domain.core.instants import format_instant
from tests.chaos import stories
from tests.chaos.evidence import Evidence
from tests.chaos.harness import Violation
from tests.chaos.history import Asked, answers_hold
from tests.chaos.recovery import Cut, measured
from tests.chaos.stories import Story, must_be_cut, must_equal

JSON = dict[str, Any]
NOW = 1_750_000_000.0


class Told(Evidence):
    """The log of one build alone: seconds from now, tag and data."""

    def __init__(self, *events: tuple[float, str, JSON]) -> None:
        self.rows = {"builds": [{"project_id": "p", "build_no": 1}]}
        told = [{"created_at": format_instant(NOW + at), "tag": tag, "data": data} for at, tag, data in events]
        self.topics = {"build:p/1": told}


PAUSED: tuple[tuple[float, str, JSON], ...] = (
    (0.0, "build.queued", {}), (1.0, "build.started", {}), (2.0, "control.changed", {"control": "paused"}), (3.0, "build.paused", {}),
)  # fmt: skip


def asked(action: str, at: float, status: int, told: JSON, *, repeats: Asked | None = None) -> Asked:
    return Asked(
        project_id="p",
        action=action,
        key="",
        sent=NOW + at,
        answered=NOW + at + 0.1,
        status=status,
        told=told,
        repeats=repeats,
    )


def project(status: str, control: str) -> JSON:
    return {"build_no": 1, "status": status, "control_status": control}


def test_answers_that_tell_how_it_was_hold() -> None:
    pause = asked("pause", 1.95, 202, project("building", "paused"))
    again = asked("pause", 4.0, 202, project("paused", "paused"), repeats=pause)
    retry = asked("retry", 1.5, 409, {"current_status": "building"})
    assert answers_hold(Told(*PAUSED), [pause, again, retry]) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        asked("retry", 1.5, 409, {"current_status": "completed"}),
        asked("resume", 4.0, 409, {"current_status": "paused"}),
        asked("pause", 4.0, 202, project("building", "paused")),
        asked("restart", 4.0, 202, {"build_no": 2, "status": "queued", "control_status": "running"}),
    ],
    ids=str,
)
def test_an_answer_that_was_never_right_is_found(wrong: Asked) -> None:
    with pytest.raises(Violation, match="wrong for every moment"):
        answers_hold(Told(*PAUSED), [wrong])


def test_another_answer_to_the_same_command_is_found_where_nothing_had_ended() -> None:
    pause = asked("pause", 1.95, 202, project("building", "paused"))
    again = asked("stop", 4.0, 409, {"current_status": "cancelled"}, repeats=pause)
    ended = (5.0, "build.cancelled", {"control": "stopped"})
    with pytest.raises(Violation):
        answers_hold(Told(*PAUSED, ended), [again])


STAGE: tuple[JSON, JSON, JSON] = (
    {"tag": "stage.started", "data": {"stage": "intake"}}, {"tag": "stage.log", "data": {"line": "a"}},
    {"tag": "stage.completed", "data": {"stage": "intake", "seconds": 0.1}},
)  # fmt: skip
STARTED: JSON = {"tag": "build.started", "data": {}}


def work_of(*events: JSON) -> Story:
    told = [(0.0, event["tag"], event["data"]) for event in events]
    return stories.of_builds(Told(*told), "p")


def test_what_is_told_again_after_a_take_over_does_not_count() -> None:
    undisturbed = work_of(STARTED, *STAGE)
    assert must_equal(work_of(STARTED, *STAGE[:2], STARTED, *STAGE), undisturbed) == 4


@pytest.mark.parametrize(
    "events", [(STARTED, STAGE[0], STAGE[2]), (STARTED, *STAGE, STAGE[1]), (STARTED, *STAGE, STARTED, *STAGE)]
)
def test_a_line_that_is_missing_or_too_many_is_found(events: tuple[JSON, ...]) -> None:
    with pytest.raises(Violation):
        must_equal(work_of(*events), work_of(STARTED, *STAGE))


def test_a_build_that_was_stopped_tells_the_beginning_and_its_end() -> None:
    end: JSON = {"tag": "build.cancelled", "data": {"control": "stopped"}}
    assert must_be_cut(work_of(STARTED, *STAGE[:2], end), work_of(STARTED, *STAGE)) == 3
    with pytest.raises(Violation):
        must_be_cut(work_of(STARTED, STAGE[1], end), work_of(STARTED, *STAGE))


def test_a_build_is_measured_by_its_own_events() -> None:
    evidence = Told((0.0, "build.started", {}), (7.0, "build.started", {}), (9.0, "stage.started", {}))
    assert measured(evidence, [Cut(("build:p/1",), NOW + 2.0)]) == ([5.0], [7.0])
    with pytest.raises(Violation, match="nothing was ever heard"):
        measured(evidence, [Cut(("build:p/1",), NOW + 10.0)])
