"""The page of states is what the rules say, and the rules hang together."""

from typing import get_args

from nexus.domain.projects.model import ProjectStatus
from nexus.domain.projects.rules import AGAIN, MOVES
from tests.architecture.states import AGAIN_CODES, PAGE, page


def test_the_page_of_states_is_what_the_rules_say() -> None:
    assert PAGE.read_text() == page(), "docs/states.md is out of date: run `make docs`."


def test_the_page_shows_every_move_and_every_command() -> None:
    assert {name for name in (*MOVES, *AGAIN) if f"`{name}`" not in page()} == set()
    assert set(AGAIN_CODES) == set(AGAIN)


def test_every_code_names_one_move() -> None:
    codes = [*(move.code for move in MOVES.values()), *AGAIN_CODES.values()]
    assert len(codes) == len(set(codes))


def test_every_state_but_the_first_can_be_reached_and_every_state_can_be_left() -> None:
    reached = {move.to for move in MOVES.values()}
    left = {status for move in MOVES.values() for status in move.project} | {
        one for way in AGAIN.values() for one in way
    }
    every = set(get_args(ProjectStatus))
    assert every - reached == {"pending"}
    assert every - left == set()
