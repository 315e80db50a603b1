"""`nexus build`: the board, the verdict, and what becomes of an interrupt."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from rich.console import Console

from nexus.cli import servers
from nexus.cli.board import Board, make_build_board
from nexus.cli.watching import refresh_queue_position, render_build_board
from nexus.client import Event, Unreachable
from nexus.wire.projects import StageView
from tests.cli.conftest import Nexus
from tests.client import fake as say
from tests.client.fake import Fake, frame
from tests.client.things import STAGES, agent, project, stages, started

REQUIREMENT = "An agent that converts units"
EVENTS = "/api/v2/projects/prj_1/events"


def story(*stage_names: str) -> list[bytes]:
    """The events of a build whose stages all succeed."""
    told: list[tuple[str, dict[str, object]]] = [("build.queued", {}), ("build.started", {})]
    for number, name in enumerate(stage_names, 1):
        told += [
            ("stage.started", {"stage": name, "number": number, "attempt": 1}),
            ("stage.log", {"stage": name, "line": f"{name} says"}),
            (
                "stage.completed",
                {"stage": name, "number": number, "progress": 100 * number / 9, "seconds": 0.5, "summary": "fine"},
            ),
        ]
    return [frame(position, tag, **data) for position, (tag, data) in enumerate(told, 1)]


BUILT = [*story(*STAGES), frame(30, "build.completed")]


@pytest.fixture
def building(fake: Fake) -> Fake:
    fake.on("GET", "/ready", say.good({"status": "ready"}))
    fake.on("POST", "/api/v2/projects", say.good(started(), 202))
    fake.on("GET", "/api/v2/projects/prj_1/stages", say.listed(stages()))
    fake.on("GET", "/api/v2/projects/prj_1", say.good(project()))
    fake.on("GET", "/api/v2/agents", say.listed([agent()]))
    return fake.on("GET", "/api/v2/agents/agt_1", say.good(agent()))


def test_a_build_is_followed_through_its_nine_stages_to_its_verdict(building: Fake, nexus: Nexus):
    building.on("GET", EVENTS, say.events(*BUILT[:9], cut=True), say.events(*BUILT[9:]))
    said = nexus("build", REQUIREMENT, "--name", "Units", "--priority", "5", "--tag", "a", "--tag", "b")
    assert said.code == 0
    assert "[1/9] Intake …" in said.err
    assert "[9/9] Deployment …" in said.err
    assert said.err.count("✔ completed 0.5 s  fine") == 9
    assert "Verification passed: 3 of 3 tests passed." in said.out
    assert "agt_1  unit_converter" in said.out
    assert "nexus chat unit_converter" in said.out
    assert building.asked("POST", "/api/v2/projects")[0].json == {
        "requirement": REQUIREMENT, "project_name": "Units", "priority": 5, "tags": ["a", "b"],
    }  # fmt: skip


def test_for_a_program_every_event_is_a_line_and_the_outcome_the_last(building: Fake, nexus: Nexus):
    building.on("GET", EVENTS, say.events(*BUILT))
    lines = nexus("build", REQUIREMENT, "--json").json_lines
    assert [line.get("position") for line in lines] == [*range(1, 31), None]
    assert lines[-1]["event"] == "result"
    assert lines[-1]["data"]["good"] is True
    assert lines[-1]["data"]["agents"][0]["agent_id"] == "agt_1"


def test_a_failed_build_is_a_failure_and_says_where_and_what_next(building: Fake, nexus: Nexus):
    error = {"code": "unclear", "message": "There is no task in it.", "stage": "intake", "retryable": False}
    building.on("GET", EVENTS, say.events(*story()[:2], frame(3, "build.failed", error=error)))
    said = nexus("build", REQUIREMENT)
    assert said.code == 1
    assert "failed in stage intake: There is no task in it." in said.out
    assert "nexus projects retry prj_1" in said.err


def test_what_did_not_pass_verification_is_a_failure_too(building: Fake, nexus: Nexus):
    metrics = {"tests_run": 3, "tests_passed": 1, "verdict": "failed"}
    building.answers["GET", "/api/v2/projects/prj_1"] = [say.good(project(metrics=metrics, verdict="failed"))]
    building.answers["GET", "/api/v2/agents/agt_1"] = [say.good(agent(active_version=0, verdict="failed"))]
    building.on("GET", EVENTS, say.events(*BUILT))
    said = nexus("build", REQUIREMENT)
    assert said.code == 1
    assert "1 of 3 tests passed" in said.out
    assert "is not deployed" in said.out
    assert "nexus projects report prj_1" in said.out


UNMET = ["FR-2 Weight: there is no tool for it", "FR-3 Money: no case exercises it"]


def partly(building: Fake, *, active_version: int) -> Fake:
    metrics = {"tests_run": 3, "tests_passed": 3, "verdict": "partial", "unmet": UNMET}
    building.answers["GET", "/api/v2/projects/prj_1"] = [say.good(project(metrics=metrics, verdict="partial"))]
    partial = agent(active_version=active_version, verdict="partial")
    building.answers["GET", "/api/v2/agents/agt_1"] = [say.good(partial)]
    return building.on("GET", EVENTS, say.events(*BUILT[:-1], frame(30, "build.completed", verdict="partial")))


def test_a_partial_build_has_a_code_of_its_own_names_all_that_is_unmet_and_how_to_deploy_it(
    building: Fake, nexus: Nexus
):
    partly(building, active_version=0)
    said = nexus("build", REQUIREMENT, program=".venv/bin/nexus")
    assert said.code == 5
    assert "Verification partial: 3 of 3 tests passed." in said.out
    assert [line.strip() for line in said.out.splitlines() if line.startswith("  FR-")] == UNMET
    assert "version 1 is not deployed" in said.out
    assert "Deploy it all the same: .venv/bin/nexus agents deploy unit_converter --allow-partial\n" in said.out
    assert "nexus chat" not in said.out
    assert "build completed, partial" in said.err
    assert "accept_partial" not in building.asked("POST", "/api/v2/projects")[0].json


def test_a_partial_build_that_is_accepted_beforehand_answers_and_is_told_apart_all_the_same(
    building: Fake, nexus: Nexus
):
    partly(building, active_version=1)
    said = nexus("build", REQUIREMENT, "--allow-partial")
    assert said.code == 5
    assert building.asked("POST", "/api/v2/projects")[0].json["accept_partial"] is True
    assert "Talk to it: nexus chat unit_converter" in said.out
    assert "agents deploy" not in said.out


def test_for_a_program_the_outcome_lists_what_is_unmet(building: Fake, nexus: Nexus):
    partly(building, active_version=0)
    said = nexus("build", REQUIREMENT, "--json")
    outcome = said.json_lines[-1]["data"]
    assert (said.code, outcome["good"], outcome["verdict"], outcome["unmet"]) == (5, False, "partial", UNMET)
    assert outcome["agents"][0]["verdict"] == "partial"


def test_what_a_build_with_a_server_of_its_own_prints_starts_one_as_well(building: Fake, nexus: Nexus):
    partly(building, active_version=0)
    said = nexus("build", REQUIREMENT, "--serve")
    assert "nexus agents deploy unit_converter --allow-partial --serve\n" in said.out
    assert "nexus projects report prj_1 --serve\n" in said.out


@pytest.mark.parametrize(
    ("verdict", "mark"), [("passed", "✔ completed"), ("partial", "◐ partial"), ("failed", "✘ failed")]
)
def test_the_board_shows_a_verdict_that_is_less_than_passed_in_the_place_of_the_stages_state(
    building: Fake, nexus: Nexus, verdict: str, mark: str
):
    ended = {"stage": "intake", "number": 1, "progress": 11.0, "seconds": 0.5, "summary": "fine", "verdict": verdict}
    events = [*BUILT[:4], frame(5, "stage.completed", **ended), frame(6, "build.completed", verdict=verdict)]
    building.on("GET", EVENTS, say.events(*events))
    assert f"{mark} 0.5 s  fine" in nexus("build", REQUIREMENT).err


def test_a_stopped_build_is_a_failure(building: Fake, nexus: Nexus):
    building.on("GET", EVENTS, say.events(*story("intake"), frame(6, "build.cancelled")))
    said = nexus("build", REQUIREMENT)
    assert (said.code, "was cancelled" in said.out) == (1, True)


def test_a_build_that_somebody_began_is_watched_from_its_beginning_though_it_is_over(building: Fake, nexus: Nexus):
    building.on("GET", EVENTS, say.events(*BUILT))
    said = nexus("projects", "watch", "prj_1")
    assert said.code == 0
    assert said.err.startswith("Unit converter (prj_1)\n")
    assert said.err.count("✔ completed 0.5 s  fine") == 9
    assert "Talk to it: nexus chat unit_converter\n" in said.out
    assert building.asked("POST", "/api/v2/projects") == []


def test_watching_a_build_that_failed_fails(building: Fake, nexus: Nexus):
    building.on("GET", EVENTS, say.events(*story()[:2], frame(3, "build.failed", error={"message": "no"})))
    assert nexus("projects", "watch", "prj_1", "--json").code == 1


def test_where_another_agent_is_called_the_same_the_id_is_printed(building: Fake, nexus: Nexus):
    building.answers["GET", "/api/v2/agents"] = [say.listed([agent(), agent("agt_2", agent_name="UNIT_CONVERTER")])]
    building.on("GET", EVENTS, say.events(*BUILT))
    assert "Talk to it: nexus chat agt_1\n" in nexus("build", REQUIREMENT).out


def test_detached_it_only_says_which_project(building: Fake, nexus: Nexus):
    said = nexus("build", REQUIREMENT, "--detach")
    assert (said.code, said.out) == (0, "prj_1\n")
    assert nexus("build", REQUIREMENT, "--detach", "--json").json["task_id"] == "tsk_1"


def test_the_requirement_may_come_from_a_file_or_a_pipe(building: Fake, nexus: Nexus, tmp_path):
    (tmp_path / "wish.txt").write_text("一个计算个税的助手\n", encoding="utf-8")
    assert nexus("build", "--requirement-file", str(tmp_path / "wish.txt"), "--detach").code == 0
    assert nexus("build", "--requirement-file", "-", "--detach", stdin="through a pipe\n").code == 0
    assert nexus("build", "-", "--detach", stdin="through a dash\n").code == 0
    sent = [seen.json["requirement"] for seen in building.asked("POST", "/api/v2/projects")]
    assert sent == ["一个计算个税的助手", "through a pipe", "through a dash"]


def test_bytes_that_are_no_text_are_refused_here(building: Fake, nexus: Nexus, tmp_path):
    (tmp_path / "wish.bin").write_bytes(b"\xff\xfe\x00")
    assert nexus("build", "--requirement-file", str(tmp_path / "wish.bin")).code == 2
    assert nexus("build", "caf\udce9 agent").code == 2
    assert nexus("build", "   ").code == 2
    assert building.asked("POST", "/api/v2/projects") == []


def test_ctrl_c_leaves_the_build_on_the_server_and_says_how_to_go_on(building: Fake, nexus: Nexus):
    building.on("GET", EVENTS, say.events(*BUILT[:5], after=asyncio.Event().wait))
    said = nexus("build", REQUIREMENT, press_at="[1/9]")
    assert said.code == 130
    assert "goes on on the server" in said.err
    assert "nexus projects watch prj_1" in said.err
    assert "nexus projects stop prj_1" in said.err
    assert "Traceback" not in said.err
    assert [seen.method for seen in building.seen].count("POST") == 1


def test_events_can_be_followed_later(building: Fake, nexus: Nexus):
    building.on("GET", EVENTS, say.events(*BUILT))
    said = nexus("projects", "events", "prj_1", "--after", "28")
    assert [line.split()[:2] for line in said.out.splitlines()] == [
        ["29", "stage.completed"],
        ["30", "build.completed"],
    ]
    assert nexus("projects", "events", "prj_1", "--json").json_lines[-1]["event"] == "build.completed"


class Timer:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def board_after(*told: tuple[str, dict[str, object]], timer: Timer | None = None) -> Board:
    import msgspec

    board = make_build_board([msgspec.convert(view, StageView) for view in stages()], timer or Timer())
    for position, (tag, data) in enumerate(told, 1):
        board.apply_event(Event(position=position, tag=tag, data=dict(data)))
    return board


def text_of(board: Board) -> str:
    drawing = io.StringIO()
    Console(file=drawing, width=100, force_terminal=False).print(render_build_board(board))
    return drawing.getvalue()


def test_a_build_that_is_held_says_how_many_are_before_it(fake: Fake, nexus: Nexus):
    fake.on("GET", "/ready", say.good({"status": "ready"}))
    fake.on("POST", "/api/v2/projects", say.good(started() | {"status": "pending", "position": 7}, 202))
    assert "7 of your builds are before it" in nexus("build", REQUIREMENT, "--detach").err


def test_the_board_says_how_many_are_before_a_build_that_is_held_and_no_longer_once_it_is_let_in(
    building: Fake, nexus: Nexus
):
    told = [frame(1, "build.queued", position=2), frame(2, "build.queued"), frame(3, "build.started"), *BUILT[2:]]
    building.on("GET", EVENTS, say.events(*told))
    said = nexus("build", REQUIREMENT)
    assert "build pending, 2 of your builds are before it\nbuild queued\nbuild building\n" in said.err
    assert "1 of your builds is before it" in text_of(board_after(("build.queued", {"position": 1})))
    assert "before it" not in text_of(board_after(("build.queued", {"position": 1}), ("build.cancelled", {})))


async def test_the_board_is_kept_up_to_date_while_others_are_let_in_and_survives_a_server_that_is_away():
    board, asked = board_after(("build.queued", {"position": 4})), list[int]()
    answers = iter([3, Unreachable("http://127.0.0.1:1", "gone"), None, 1])

    async def position() -> int | None:
        assert board.before is not None
        asked.append(board.before)
        match next(answers, 0):
            case Exception() as error:
                raise error
            case 0:
                board.apply_event(Event(position=2, tag="build.queued", data={}))
                return 9
            case now:
                return now

    looking = asyncio.ensure_future(refresh_queue_position(board, position, every=0))
    while board.before is not None:
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert asked == [4, 3, 3, 3, 1]
    assert (board.state, board.before) == ("queued", None)


def test_the_board_counts_the_seconds_of_a_running_stage_and_keeps_those_of_a_finished_one():
    timer = Timer()
    board = board_after(("build.started", {}), ("stage.started", {"stage": "intake", "attempt": 1}), timer=timer)
    timer.now = 2.5
    assert board.compute_stage_seconds(board.stages["intake"]) == 2.5
    board.apply_event(
        Event(position=9, tag="stage.completed", data={"stage": "intake", "seconds": 2.0, "progress": 11.1})
    )
    timer.now = 9.0
    assert board.compute_stage_seconds(board.stages["intake"]) == 2.0
    assert board.progress == 11.1


def test_the_board_knows_attempts_failures_pauses_and_stages_of_other_workflows():
    begun = ("stage.started", {"stage": "tools", "attempt": 1})
    board = board_after(
        ("build.started", {}), begun, ("stage.retried", {"stage": "tools", "attempt": 2, "reason": "slow"})
    )
    assert (board.stages["tools"].attempt, board.stages["tools"].line) == (2, "again: slow")
    assert board_after(begun, ("stage.log", {"stage": "unheard_of", "line": "x"})).ending is None
    assert board_after(begun, ("control.changed", {"control": "paused"})).state == "pausing"
    assert board_after(("build.queued", {"position": 4})).state == "pending"
    assert board_after(("build.queued", {"position": 4}), ("build.queued", {})).state == "queued"
    paused = board_after(("build.started", {}), begun, ("build.paused", {}))
    assert (paused.state, paused.stages["tools"].status, paused.ending) == ("paused", "pending", None)
    failed = board_after(("build.started", {}), begun, ("build.failed", {"error": {"message": "no"}}))
    assert (failed.ending, failed.stages["tools"].status, failed.error) == ("failed", "failed", {"message": "no"})


def test_the_board_is_drawn_with_all_stages_and_without_what_could_steer_the_terminal():
    log = ("stage.log", {"stage": "intake", "line": "read\x1b[2J\nit"})
    board = board_after(("build.started", {}), ("stage.started", {"stage": "intake", "attempt": 2}), log)
    text = text_of(board)
    assert "▶ Intake" in text
    assert "×2" in text
    assert "read[2J it" in text
    assert text.count("pending") == 8
    assert "\x1b" not in text


def test_long_lines_are_cut_and_never_push_the_stages_away():
    board = board_after(
        ("stage.started", {"stage": "verification"}), ("stage.log", {"stage": "verification", "line": "很长 " * 200})
    )
    drawing = io.StringIO()
    Console(file=drawing, width=80, force_terminal=False).print(render_build_board(board))
    lines = drawing.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[7].startswith("8  ▶ Verification  running")
    assert "…" in lines[7]


@pytest.mark.parametrize("argv", [("build", REQUIREMENT), ("projects", "watch", "prj_1")])
def test_ctrl_c_promises_no_build_that_goes_on_where_the_server_ends_with_the_command(
    building: Fake, nexus: Nexus, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
):
    @asynccontextmanager
    async def started_for_it(*_: object) -> AsyncIterator[bool]:
        yield True

    monkeypatch.setattr(servers, "provide_server", started_for_it)
    building.on("GET", "/api/v2/projects/prj_1", say.good(project()))
    building.on("GET", EVENTS, say.events(*BUILT[:5], after=asyncio.Event().wait))
    said = nexus(*argv, "--serve", press_at="[1/9]")
    assert said.code == 130
    assert "as soon as a server runs again: nexus serve" in said.err
    assert "goes on on the server" not in said.err
