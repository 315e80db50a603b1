"""The page of states is what the rules say, and the rules hang together."""

from typing import get_args

from nexus.domain.projects.model import ProjectStatus, StageStatus
from nexus.domain.projects.rules import AGAIN, CREATE, MOVES, STAGE_MOVES
from tests.architecture.states import PAGE, page

JOINT = {"create": CREATE, **MOVES, **AGAIN}


def test_the_page_of_states_is_what_the_rules_say() -> None:
    assert PAGE.read_text() == page(), "docs/states.md is out of date: run `make docs`."


def test_the_page_shows_every_move() -> None:
    assert {name for name in (*JOINT, *STAGE_MOVES) if f"`{name}`" not in page()} == set()


def test_every_code_names_one_move_and_all_are_there() -> None:
    codes = [move.code for move in (*JOINT.values(), *STAGE_MOVES.values())]
    assert sorted([*codes, "T3", "T23"]) == sorted(f"T{number}" for number in range(1, 25))


def test_every_state_can_be_reached_and_left() -> None:
    every = set(get_args(ProjectStatus))
    held = {"pending" for move in JOINT.values() if move.may_be_held}
    assert {move.to for move in JOINT.values()} | held == every
    assert {status for move in JOINT.values() for status in move.project} == every


def test_every_state_of_a_stage_can_be_reached() -> None:
    reached = {move.to for move in STAGE_MOVES.values()} | {move.stage_to for move in MOVES.values()}
    assert reached - {None} == set(get_args(StageStatus))
