"""What must hold of every state, and of every step from one to the next."""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from nexus.domain.projects.rules import STOPPABLE
from nexus.domain.tasks.model import ENDED
from tests.model.state import DONE, State, Step

JOINT = {
    "pending": {("pending", "running")},
    "queued": {("queued", "running")},
    "building": {("running", "running"), ("running", "paused"), ("running", "stopped")},
    "paused": {("pending", "paused")},
    "completed": {("completed", "running"), ("completed", "paused"), ("completed", "stopped")},
    "failed": {("failed", "running"), ("failed", "paused"), ("failed", "stopped")},
    "cancelled": {("cancelled", "stopped")},
}
"""Which states of a task, and which wishes, go with a project's."""


def _joint(state: State) -> bool:
    store = state.store
    return (store.task, store.control) in JOINT.get(store.project, ())


def _in_order(state: State) -> bool:
    stages = state.store.stages
    return all(before.status in DONE or after.status == "pending" for before, after in pairwise(stages))


def _one_commit(state: State) -> bool:
    return all(stage.commits <= 1 for stage in state.store.stages)


def _complete(state: State) -> bool:
    return state.store.project != "completed" or all(stage.status in DONE for stage in state.store.stages)


def _one_at_work(state: State) -> bool:
    """A stage runs only while the task does."""
    running = [stage for stage in state.store.stages if stage.status == "running"]
    return len(running) <= (state.store.task == "running")


OF_STATES: Mapping[str, Callable[[State], bool]] = {
    "project, task and wish go together": _joint,
    "stages run in order": _in_order,
    "a stage is committed at most once in a build": _one_commit,
    "what is completed has all its stages completed or skipped": _complete,
    "at most one stage runs, and only while the task does": _one_at_work,
}


def broken_by(before: State, step: Step) -> Iterator[str]:
    """The rules that a step breaks, by name."""
    old, new = before.store, step.after.store
    changed = old.told != new.told
    if changed != step.tells:
        yield "every change tells one event, and nothing else does: positions grow by one"
    if not changed:
        return
    if step.stale:
        yield "nothing is written under an old fence"
    if step.anew:
        return
    if old.task in ENDED:
        yield "what has ended changes only by a new build"
    if any(was.status in DONE and now.status != was.status for was, now in zip(old.stages, new.stages, strict=True)):
        yield "a finished stage is not lost"
    if old.control == "stopped" != new.control:
        yield "who wants a build stopped is not overruled"
    if new.task == "running" and new.fence != old.fence and new.control != "running":
        yield "no run begins while something else is wanted"


def is_quiet(state: State) -> bool:
    """Over, or waiting for its user: nothing more need happen."""
    store = state.store
    if store.deleted or state.deleting:
        return store.deleted and store.project not in STOPPABLE
    return store.task in ENDED or (store.project, store.control) == ("paused", "paused")
