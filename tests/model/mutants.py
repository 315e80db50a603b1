"""Tables and rules with one thing wrong, each of which the check must find."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from msgspec import structs

from nexus.domain.projects.rules import ANY_CONTROL, MOVES, STAGE_MOVES
from tests.model.state import Bounds
from tests.model.state_space import STUCK

JOINT_RULE = "project, task and wish go together"
STALE_RULE = "nothing is written under an old fence"


class Mutant(NamedTuple):
    """`moves`: the fields of a move that are other than in the table. `bounds`: flags for what the table does not hold, and how much
    has to happen until it shows. `breaks`: the rule that must be found broken."""

    moves: Mapping[str, Mapping[str, Any]] = {}
    bounds: Mapping[str, Any] = {}
    breaks: str = ""


MUTANTS = {
    "moves of an executor hold under any fence": Mutant(
        moves={verb: {"fenced": False} for verb, move in MOVES.items() if move.fenced}, breaks=STALE_RULE
    ),
    "stages are written under any fence": Mutant(bounds={"stage_writes_fenced": False}, breaks=STALE_RULE),
    "a run is taken over whatever is wanted": Mutant(
        moves={"take_over": {"control": ANY_CONTROL}}, breaks="no run begins while something else is wanted"
    ),
    "a run is claimed whatever is wanted, and a pause leaves it queued": Mutant(
        moves={"claim": {"control": ANY_CONTROL}, "pause_now": {"to": "queued", "task_to": "queued"}}, breaks=JOINT_RULE
    ),
    "the sweeper only ever takes over": Mutant(
        moves={"pause_done": {"who": ("executor",)}, "stop_done": {"who": ("executor",)}},
        bounds={"commands": 1, "crashes": 0},
        breaks=STUCK,
    ),
    "there is no sweeper": Mutant(bounds={"sweeper": False}, breaks=STUCK),
    "a run is paused whatever is wanted": Mutant(moves={"pause_done": {"control": ANY_CONTROL}}, breaks=JOINT_RULE),
    "a stop can be undone": Mutant(
        moves={"unpause": {"control": ("paused", "stopped")}}, breaks="who wants a build stopped is not overruled"
    ),
    "a pause overrules a stop": Mutant(
        moves={"ask_pause": {"control": ("running", "stopped")}}, breaks="who wants a build stopped is not overruled"
    ),
    "what is completed can be cancelled": Mutant(
        moves={"stop_now": {"project": ("completed",), "task": ("completed",)}},
        breaks="what has ended changes only by a new build",
    ),
    "a stage stays running when its run is taken over": Mutant(
        moves={"take_over": {"stage_to": None}}, bounds={"commands": 0}, breaks=STUCK
    ),
    "a stage stays running when its run is released": Mutant(
        moves={"release": {"stage_to": None}}, breaks="at most one stage runs, and only while the task does"
    ),
    "what is held is never admitted": Mutant(moves={"admit": {"project": ("paused",)}}, breaks=STUCK),
    "what is held is admitted when its user wants it paused": Mutant(
        moves={"admit": {"project": ("pending", "paused"), "control": ANY_CONTROL}}, breaks=JOINT_RULE
    ),
    "a stage that was committed stays pending": Mutant(
        moves={"complete_stage": {"to": "pending"}}, breaks="what is completed has all its stages completed or skipped"
    ),
    "what is resumed stays paused": Mutant(moves={"resume": {"wants": None}}, breaks=JOINT_RULE),
    "a deletion looks first and commits later": Mutant(
        bounds={"delete_in_one_commit": False, "crashes": 0}, breaks=STUCK
    ),
}


@contextmanager
def mutated(mutant: Mutant) -> Iterator[Bounds]:
    """The table with the mutant's moves while it lasts, and small bounds with its flags."""
    tables: tuple[dict[str, Any], ...] = (MOVES, STAGE_MOVES)
    kept = [dict(table) for table in tables]
    for table in tables:
        table.update({verb: structs.replace(table[verb], **mutant.moves[verb]) for verb in table.keys() & mutant.moves})
    try:
        yield Bounds(commands=2, crashes=1, failures=0, stages=1)._replace(**mutant.bounds)
    finally:
        for table, before in zip(tables, kept, strict=True):
            table.update(before)
