"""What a command means in each state, and what a move sets."""

from collections.abc import Sequence
from typing import Any, get_args

import pytest
from msgspec import structs

from nexus.domain.core.errors import InvalidInput
from nexus.domain.projects import rules
from nexus.domain.projects.admission import make_admission_sort_key
from nexus.domain.projects.model import Command, Project, ProjectStatus, Stage, StageStatus, WrongState
from nexus.domain.tasks.model import ENDED, Control, Task, TaskStatus
from nexus.domain.tasks.tables import TASK_LEASES

NOW, EARLIER, LEASE = "2027-01-15T08:00:00.000Z", "2027-01-15T07:00:00.000Z", "2027-01-15T08:00:30.000Z"
OWNED: dict[str, Any] = {"tenant_id": "tnt_one", "user_id": "usr_ann"}

MEANT: dict[tuple[TaskStatus, Control], tuple[str | None, str | None, str | None]] = {
    ("pending", "running"): ("pause_now", None, "stop_now"),
    ("pending", "paused"): (None, "resume", "stop_now"),
    ("pending", "stopped"): ("pause_now", "refused", None),
    ("queued", "running"): ("pause_now", None, "stop_now"),
    ("queued", "paused"): (None, "refused", "stop_now"),
    ("queued", "stopped"): ("pause_now", "refused", None),
    ("running", "running"): ("ask_pause", None, "ask_stop"),
    ("running", "paused"): (None, "unpause", "ask_stop"),
    ("running", "stopped"): ("refused", "refused", None),
    **{(ended, wish): ("refused",) * 3 for ended in ("completed", "failed") for wish in get_args(Control)},
    ("cancelled", "running"): ("refused", "refused", "refused"),
    ("cancelled", "paused"): ("refused", "refused", "refused"),
    ("cancelled", "stopped"): ("refused", "refused", None),
}
"""By what is and what is wanted: which moves pause, resume and stop mean; None where the wish is met already."""

NEVER_TOGETHER = {("pending", "stopped"), ("queued", "paused"), ("queued", "stopped"), ("cancelled", "running"), ("cancelled", "paused")}  # fmt: skip
"""What no move leads to: there a command may do anything that the table allows."""


def task(status: TaskStatus = "queued", control: Control = "running", **fields: object) -> Task:
    return Task(task_id="tsk_1", task_type="build_agent", status=status, control_status=control, created_at=EARLIER, **OWNED, **fields)  # type: ignore[arg-type]  # fields of a task  # fmt: skip


def project(status: ProjectStatus = "queued", **fields: object) -> Project:
    return Project(project_id="prj_1", project_name="p", requirement="r", status=status, active_task_id="tsk_1", created_at=EARLIER, updated_at=EARLIER, **OWNED, **fields)  # type: ignore[arg-type]  # fields of a project  # fmt: skip


def stages(*statuses: StageStatus) -> Sequence[Stage]:
    return [
        Stage(project_id="prj_1", stage_name=name, stage_number=number, display_name=name, status=status, **OWNED)
        for number, (name, status) in enumerate(zip("abcdefghi", statuses, strict=False), 1)
    ]


def test_every_pair_of_state_and_wish_is_in_the_table_below() -> None:
    assert set(MEANT) == {(status, wish) for status in get_args(TaskStatus) for wish in get_args(Control)}


@pytest.mark.parametrize(("status", "control"), MEANT)
@pytest.mark.parametrize(("at", "command"), [(0, "pause"), (1, "resume"), (2, "stop")])
def test_a_command_means_one_move_is_met_already_or_is_refused(
    status: TaskStatus, control: Control, at: int, command: Command
) -> None:
    meant = MEANT[status, control][at]
    if meant == "refused":
        with pytest.raises(WrongState) as refused:
            rules.find_move_for_command(command, task(status, control))
        assert refused.value.facts == {"status": status, "control_status": control}
    else:
        assert rules.find_move_for_command(command, task(status, control)) == meant


@pytest.mark.parametrize(("status", "control"), [pair for pair in MEANT if pair not in NEVER_TOGETHER])
@pytest.mark.parametrize("command", ["pause", "resume", "stop"])
def test_a_command_that_was_obeyed_is_met_when_it_comes_again(
    status: TaskStatus, control: Control, command: Command
) -> None:
    try:
        verb = rules.find_move_for_command(command, task(status, control))
    except WrongState:
        return
    move = rules.MOVES[verb] if verb else None
    after = task(move.task_to, move.wants or control) if move else task(status, control)
    assert rules.find_move_for_command(command, after) is None


def test_pairs_that_are_called_impossible_are_led_to_by_no_move() -> None:
    reached = {("queued", "running")}
    for _ in range(len(MEANT)):
        reached |= {
            (move.task_to, move.wants or wish)
            for status, wish in reached
            for move in (*rules.MOVES.values(), rules.make_pending_move(rules.MOVES["resume"]))
            if status in move.task and wish in move.control
        }
    assert reached & NEVER_TOGETHER == set()
    assert reached == set(MEANT) - NEVER_TOGETHER


@pytest.mark.parametrize("status", get_args(ProjectStatus))
@pytest.mark.parametrize("command", rules.AGAIN)
def test_a_new_build_begins_only_where_the_last_one_has_ended(command: str, status: ProjectStatus) -> None:
    ended = {"retry": {"failed"}}.get(command, {"failed", "completed", "cancelled"})
    if status in ended:
        rules.check_command_allowed(command, project(status))
    else:
        with pytest.raises(WrongState) as refused:
            rules.check_command_allowed(command, project(status))
        assert refused.value.facts == {"status": status}


@pytest.mark.parametrize(
    ("command", "statuses", "from_stage", "begin"),
    [
        ("retry", ("completed", "failed", "pending"), None, 1),
        ("retry", ("failed", "pending", "pending"), None, 0),
        ("retry", ("completed", "skipped", "failed"), None, 2),
        ("retry", ("completed", "completed", "completed"), None, 2),
        ("retry", ("completed", "completed", "failed"), "b", 1),
        ("retry", ("completed", "failed", "pending"), "b", 1),
        ("restart", ("completed", "completed", "completed"), None, 0),
        ("restart", ("completed", "completed", "skipped"), "c", 2),
        ("restart", ("completed", "pending", "pending"), None, 0),
        ("restart", ("completed", "pending", "pending"), "b", 1),
        ("restart", ("completed", "pending", "pending"), "a", 0),
        ("update", ("completed", "completed", "completed"), "b", 1),
    ],
)
def test_a_new_build_keeps_what_is_done_before_its_first_stage(
    command: str, statuses: Sequence[StageStatus], from_stage: str | None, begin: int
) -> None:
    assert rules.find_first_stage_to_rerun(command, stages(*statuses), from_stage) == begin


@pytest.mark.parametrize("from_stage", ["c", "z", "", "../a", "阶段"])
def test_a_new_build_begins_at_no_stage_that_is_unknown_or_not_yet_reachable(from_stage: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules.find_first_stage_to_rerun("restart", stages("completed", "failed", "pending"), from_stage)
    assert refused.value.facts["errors"][0]["pointer"] == "/from_stage"


def test_a_task_lies_before_the_sweeper_until_it_has_ended() -> None:
    assert set(TASK_LEASES.places) == set(get_args(TaskStatus)) - ENDED


@pytest.mark.parametrize("after", get_args(ProjectStatus))
@pytest.mark.parametrize("before", [None, *get_args(ProjectStatus)])
def test_a_change_of_state_adds_to_the_account_what_it_takes_away_when_undone(
    before: ProjectStatus | None, after: ProjectStatus
) -> None:
    added = rules.count_active_builds_change(before, after)
    assert set(added) <= {"builds_active", "builds_held"}
    if before:
        assert rules.count_active_builds_change(after, before) == {name: -number for name, number in added.items()}
    assert (added.get("builds_active", 0) > 0) == (
        after in ("queued", "building") and before not in ("queued", "building")
    )
    assert (added.get("builds_held", 0) > 0) == (after == "pending" != before)


@pytest.mark.parametrize("verb", rules.MOVES)
def test_a_move_sets_the_state_that_the_table_says_and_an_end_where_it_ends(verb: str) -> None:
    move = rules.MOVES[verb]
    fields = rules.make_project_changes(move, project(), now=NOW)
    assert fields["status"] == move.to
    assert fields.get("completed_at") == (NOW if move.task_to in ENDED else None)


def test_only_who_begins_raises_the_fence_and_the_first_start_is_kept() -> None:
    assert {verb for verb, move in rules.MOVES.items() if move.starts_build} == {"claim", "take_over"}
    for verb in ("claim", "take_over"):
        assert rules.make_project_changes(rules.MOVES[verb], project(), now=NOW)["started_at"] == NOW
        begun = rules.make_project_changes(rules.MOVES[verb], project(started_at=EARLIER), now=NOW)
        assert begun["started_at"] == EARLIER


@pytest.mark.parametrize("command", rules.AGAIN)
def test_a_new_build_has_not_started_yet(command: str) -> None:
    ended = project("failed", started_at=EARLIER, completed_at=EARLIER)
    fresh = rules.make_restart_changes(ended, rules.AGAIN[command], "tsk_2", progress=0.0, now=NOW)
    assert (fresh["started_at"], fresh["completed_at"]) == (None, None)


def test_the_higher_priority_is_let_in_first_and_then_who_has_waited_longest() -> None:
    low, old, late, urgent = [
        structs.replace(project("pending", priority=priority), updated_at=since)
        for priority, since in ((1, EARLIER), (3, EARLIER), (3, NOW), (5, LEASE))
    ]
    assert sorted((late, low, old, urgent), key=make_admission_sort_key) == [urgent, old, late, low]


@pytest.mark.parametrize(("done", "of", "progress"), [(0, 9, 0.0), (1, 9, 11.1), (9, 9, 100.0), (0, 0, 100.0)])
def test_progress_is_the_part_of_the_stages_that_is_done(done: int, of: int, progress: float) -> None:
    assert rules.compute_progress_percent(done, of) == progress
