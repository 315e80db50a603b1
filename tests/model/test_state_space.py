"""The table of states, checked in every state that a small build can come to; and the check itself, on tables that are wrong."""

from typing import get_args

import pytest

from nexus.domain.projects.model import ProjectStatus
from nexus.domain.projects.rules import AGAIN, MOVES, STAGE_MOVES
from tests.model.mutants import MUTANTS, mutated
from tests.model.state import Bounds
from tests.model.state_space import Explored, explore

SMALL = Bounds(commands=1, crashes=1, failures=1)
OF_THE_SEARCH = {"claims": "claim"}
BY_COMMAND = {"pause_now", "ask_pause", "resume", "unpause", "stop_now", "ask_stop"}


@pytest.fixture(scope="module")
def explored() -> Explored:
    return explore(SMALL)


def test_no_rule_is_broken_in_any_state(explored: Explored) -> None:
    assert not explored.broken, str(explored.broken)


def test_the_search_saw_every_state_and_every_move(explored: Explored) -> None:
    assert explored.states > 50_000
    assert explored.projects == set(get_args(ProjectStatus))
    seen = {OF_THE_SEARCH.get(verb, verb) for verb in explored.verbs}
    assert set(MOVES) - BY_COMMAND - seen == set()
    assert {verb for verb in AGAIN if not any(step.startswith(verb) for step in explored.verbs)} == set()


def test_executors_that_share_a_process_break_no_rule() -> None:
    broken = explore(Bounds(processes=1, stages=1, commands=1, crashes=1, failures=1)).broken
    assert not broken, str(broken)


@pytest.mark.parametrize("name", MUTANTS)
def test_the_check_finds_that(name: str) -> None:
    with mutated(MUTANTS[name]) as bounds:
        broken = explore(bounds).broken
    assert broken
    assert broken.rule == MUTANTS[name].breaks
    assert str(broken).count("\n") == len(broken.steps) + 1


def test_a_mutant_leaves_the_table_as_it_was() -> None:
    before = {**MOVES, **STAGE_MOVES}
    for mutant in MUTANTS.values():
        with mutated(mutant):
            assert (before != {**MOVES, **STAGE_MOVES}) == bool(mutant.moves)
        assert before == {**MOVES, **STAGE_MOVES}
