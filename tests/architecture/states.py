"""Writes docs/states.md from the rules: `python -m tests.architecture.states`."""

from collections.abc import Iterable, Iterator, Sequence

from nexus.domain.projects.rules import AGAIN, ANY_CONTROL, MOVES, Move
from tests.architecture.sources import ROOT

PAGE = ROOT / "docs" / "states.md"
AGAIN_CODES = {"retry": "T21", "restart": "T22", "update": "T24"}

HEAD = """# States of a project and its task

Generated from `nexus.domain.projects.rules` by `make docs`; do not edit.

A build is one row that the user sees (the project) and one that an executor holds (its task). Every move changes both in one
commit, and the condition of that commit is the move itself: from which states, under which wish, and, where it is fenced, under
which fence. Who comes too late is refused and reads again.

What is *wanted* (`control_status`: running, paused, stopped) is a field of its own. A user's command on a running build only
writes the wish; the executor takes it up at its next step, or the sweeper does when no executor answers.
"""

MOVES_TEXT = """
## Moves

`who`: the sweeper acts in place of an executor that has gone. `fenced`: holds only for the fence that was read.
`stage`: what becomes of the running stage.
"""

AGAIN_TEXT = """
## A new build of the same project

These write a new build and queue it: the project is `queued` again, and completed stages before the first one are kept.
"""

ROW_COLUMNS = ("", "move", "who", "project", "task", "wanted", "then wanted", "fenced", "stage", "event", "counts")


def page() -> str:
    moves = [_cells(name, move) for name, move in MOVES.items()]
    again = [(AGAIN_CODES[name], f"`{name}`", _any(statuses)) for name, statuses in AGAIN.items()]
    parts = [HEAD, "\n## Picture\n\n```mermaid\nstateDiagram-v2\n", *_edges(), "```\n", MOVES_TEXT, "\n"]
    return "".join([*parts, *_table(ROW_COLUMNS, moves), AGAIN_TEXT, "\n", *_table(("", "command", "from"), again)])


def _cells(name: str, move: Move) -> Sequence[str]:
    return (
        move.code,
        f"`{name}`",
        _any(move.who),
        _step(move.project, move.to),
        _step(move.task, move.task_to),
        "any" if move.control == ANY_CONTROL else _any(move.control),
        move.wants or "",
        "yes" if move.fenced else "",
        move.stage_to or "",
        f"`{move.event}`" if move.event else "",
        f"`{move.counts}`" if move.counts else "",
    )


def _step(before: Sequence[str], after: str) -> str:
    return after if list(before) == [after] else f"{_any(before)} → {after}"


def _any(names: Iterable[str]) -> str:
    return ", ".join(names)


def _edges() -> Iterator[str]:
    """One arrow for each pair of project states, with all the moves that lead along it."""
    arrows: dict[tuple[str, str], list[str]] = {("[*]", "queued"): ["create"]}
    for name, move in MOVES.items():
        for before in move.project:
            arrows.setdefault((before, move.to), []).append(name)
    for name, statuses in AGAIN.items():
        for before in statuses:
            arrows.setdefault((before, "queued"), []).append(name)
    return (f"    {before} --> {after}: {_any(names)}\n" for (before, after), names in arrows.items())


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (columns, ["---"] * len(columns), *rows):
        yield f"| {' | '.join(row)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page())
