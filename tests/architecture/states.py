"""Writes docs/states.md from the rules: `python -m tests.architecture.states`."""

from collections.abc import Iterable, Iterator, Sequence

from nexus.domain.projects.rules import ACTIVE, AGAIN, ANY_CONTROL, CREATE, MOVES, STAGE_MOVES, Move, StageMove
from tests.architecture.sources import ROOT

PAGE = ROOT / "docs" / "states.md"

HEAD = """# States of a project and its task

Generated from `nexus.domain.projects.rules` by `make docs`; do not edit.

A build is one row that the user sees (the project) and one that an executor holds (its task). Every move changes both in one
commit, and the condition of that commit is the move itself: from which states, under which wanted control, and, where it is fenced, under
which fence. Who comes too late is refused and reads again.

What is *wanted* (`control_status`: running, paused, stopped) is a field of its own. A user's command on a running build only
writes the wanted control; the executor takes it up at its next step, or the sweeper does when no executor answers.
"""

MOVES_TEXT = """
## Moves

`who`: the sweeper acts in place of an executor that has gone. `fenced`: holds only for the fence that was read.
`stage`: what becomes of the running stage. A build that ends is counted in the same commit, with its seconds and tokens.
"""

HELD_TEXT = """
## Held

T2: a move that may be held leads to `pending` for the project and its task while the tenant has as many builds queued or running as
`NEXUS_BUILDS__PER_TENANT` says, or while others of its builds are held already. `admit` lets the highest priority in first, of those who
has waited longest: when a build of that tenant ends, pauses or is deleted, or by the sweeper. When `NEXUS_BUILDS__HELD_PER_TENANT` are
held, one more is refused: 429, with how many there are. What is paused takes no place.

`position` is how many builds of the tenant are before one that is held: those queued or running, and those held that `admit` will let in
sooner. The answer to who asked for it and the event tell it as it was then; `GET /projects/{project_id}` tells it as it is now. It grows
when somebody more urgent comes.
"""

AGAIN_TEXT = """
## The first build, and a new build of the same project

These write a new task. Completed stages before the first one that runs anew are kept; the others become `pending`, of the new build.
"""

STAGES_TEXT = """
## Stages

Moves of an executor on a stage of its run; each holds only for the fence and the build of the run. Besides, the moves above say what
becomes of a running stage.

A stage that is skipped was running before: only what is optional is skipped, and only once its work was tried and failed for good. So
no stage is left out untried, and its row keeps its attempts and the reason.

A build whose verdict is `partial` and was not accepted, or `failed`, ends so: `deployment` is skipped with the reason, and the project is
completed. Its version is kept, and is deployed when somebody asks for that: a deployment by a user moves no build.
"""

END_TEXT = """
## The last stage and the end

The end of the last stage (T7 or T9) and the end of the build (T8) are two commits. Between them the build is `building`, at 100 %, with
nothing left to do; what can happen there is what can happen between any two stages:

- The executor dies: T5 finds no stage to begin, and T8 follows. No stage and no call is made again, and the end is told once.
- The executor dies after T8 and before anybody heard of it: the event was in that commit, and whoever reads the feed finds it.
- A pause is wanted and met (T15): the build is `paused` at 100 %; T16, T4 and T8 end it. A stop (T20) leaves it `cancelled`, all its stages
  done, as a stop a moment earlier would have.

As one commit the two would gain nothing that a reader could tell, and T8 would be needed by itself all the same: after a take-over or a
resume in builds that stand there. `tests/domain/projects/test_last_commit.py` holds a process at either side of T8;
`tests/model` lets every process die there.
"""

OTHERS_TEXT = f"""
## Neither here nor there

T3, the hint to an executor that something is queued, changes no row: it may be lost or come twice. T23, `delete`, writes a tombstone in
any state and leaves the states as they are; while a project is {" or ".join(ACTIVE)}, only when it is told to stop first. The deletion
itself is a task of its own, of the type `purge`: `queued`, `running` in the hands of one process, then `completed`; while a build or a
reply of it has not ended, it is `queued` again, with a time before which it is not claimed.
"""

ROW_COLUMNS = (
    "",
    "move",
    "who",
    "project",
    "task",
    "wanted",
    "then wanted",
    "fenced",
    "stage",
    "event",
    "may be held",
)


def page() -> str:
    moves = [_cells(name, move) for name, move in MOVES.items()]
    begins = [_cells(name, move) for name, move in {"create": CREATE, **AGAIN}.items()]
    stages = [_stage_cells(name, move) for name, move in STAGE_MOVES.items()]
    parts = [HEAD, "\n## Picture\n\n```mermaid\nstateDiagram-v2\n", *_edges(), "```\n", MOVES_TEXT, "\n"]
    parts += [*_table(ROW_COLUMNS, moves), AGAIN_TEXT, "\n", *_table(ROW_COLUMNS, begins), HELD_TEXT, STAGES_TEXT, "\n"]
    return "".join([*parts, *_table(("", "move", "stage", "wanted", "event"), stages), END_TEXT, OTHERS_TEXT])


def _stage_cells(name: str, move: StageMove) -> Sequence[str]:
    return (move.code, f"`{name}`", _step(move.stage, move.to), _wanted(move), f"`{move.event}`")


def _cells(name: str, move: Move) -> Sequence[str]:
    return (
        move.code,
        f"`{name}`",
        _any(move.who),
        _step(move.project, move.to),
        _step(move.task, move.task_to),
        _wanted(move),
        move.wants or "",
        "yes" if move.fenced else "",
        move.stage_to or "",
        f"`{move.event}`",
        "yes" if move.may_be_held else "",
    )


def _wanted(move: Move | StageMove) -> str:
    return "any" if move.control == ANY_CONTROL else _any(move.control)


def _step(before: Sequence[str], after: str) -> str:
    return after if list(before) == [after] else f"{_any(before) or 'none'} → {after}"


def _any(names: Iterable[str]) -> str:
    return ", ".join(names)


def _edges() -> Iterator[str]:
    """One arrow for each pair of project states, with all the moves that lead along it."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for name, move in {"create": CREATE, **MOVES, **AGAIN}.items():
        for before in move.project or ("[*]",):
            arrows.setdefault((before, move.to), []).append(name)
            if move.may_be_held:
                arrows.setdefault((before, "pending"), []).append(name)
    return (f"    {before} --> {after}: {_any(names)}\n" for (before, after), names in arrows.items())


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (columns, ["---"] * len(columns), *rows):
        yield f"| {' | '.join(row)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page())
