"""Every state that a build can come to, breadth first, and the shortest way to one that must not be."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tests.model.actors import Actors
from tests.model.invariants import OF_STATES, broken_by, is_quiet
from tests.model.state import Bounds, State, Step, first, plain

STUCK = "from every state the build can come to rest without another command"


class Counterexample(NamedTuple):
    """The rule that is broken, and the shortest way there."""

    rule: str
    start: State
    steps: Sequence[Step]

    def __str__(self) -> str:
        lines = [f"Broken: {self.rule}.", f"  0. {'a build is started':<44} {told(self.start)}"]
        for number, step in enumerate(self.steps, 1):
            lines.append(f"{number:>3}. {f'{step.who}: {step.what}':<44} {told(step.after)}")
        return "\n".join(lines)


class Explored(NamedTuple):
    """What a search saw; `projects` and `verbs` show that it saw enough."""

    states: int
    steps: int
    projects: frozenset[str]
    verbs: frozenset[str]
    broken: Counterexample | None


class StateSpace:
    def __init__(self, bounds: Bounds) -> None:
        self._actors, self._start = Actors(bounds), first(bounds)
        self._seen: dict[State, int] = {}
        self._states: list[State] = []
        self._came: list[tuple[int, Step] | None] = []
        self._back: list[list[int]] = []
        self._verbs = set[str]()
        self._steps = 0

    def explore(self) -> Explored:
        """Stops at the first rule that is broken, which breadth first is the one with the shortest way."""
        broken = self._searched() or self._stuck()
        projects = frozenset(state.store.project for state in self._states)
        return Explored(len(self._states), self._steps, projects, frozenset(self._verbs), broken)

    def _searched(self) -> Counterexample | None:
        self._number(self._start, None)
        at = 0
        while at < len(self._states):
            state = self._states[at]
            for step in self._actors.steps(state):
                self._steps += 1
                self._verbs.add(step.what)
                if rule := next(broken_by(state, step), None):
                    return self._counterexample(rule, at, step)
                step = step._replace(after=plain(step.after))
                number, is_new = self._number(step.after, (at, step))
                if step.kind == "progress":
                    self._back[number].append(at)
                if is_new and (rule := next(_broken(step.after), None)):
                    return self._counterexample(rule, at, step)
            at += 1
        return None

    def _number(self, state: State, came: tuple[int, Step] | None) -> tuple[int, bool]:
        number = self._seen.setdefault(state, len(self._states))
        if is_new := number == len(self._states):
            self._states.append(state)
            self._came.append(came)
            self._back.append([])
        return number, is_new

    def _stuck(self) -> Counterexample | None:
        """The nearest state from which what happens by itself, without mishaps, never leads to rest."""
        resting = [number for number, state in enumerate(self._states) if is_quiet(state)]
        safe, waiting = set(resting), deque(resting)
        while waiting:
            for before in self._back[waiting.popleft()]:
                if before not in safe:
                    safe.add(before)
                    waiting.append(before)
        stuck = next((number for number in range(len(self._states)) if number not in safe), None)
        return None if stuck is None else Counterexample(STUCK, self._start, self._way(stuck))

    def _counterexample(self, rule: str, at: int, step: Step) -> Counterexample:
        return Counterexample(rule, self._start, [*self._way(at), step])

    def _way(self, to: int) -> list[Step]:
        steps = list[Step]()
        while came := self._came[to]:
            to, step = came
            steps.append(step)
        return steps[::-1]


def explore(bounds: Bounds) -> Explored:
    return StateSpace(bounds).explore()


def told(state: State) -> str:
    """A state on one line."""
    store = state.store
    stages = " ".join(f"{stage.status}{f'/{stage.fence}' if stage.fence else ''}" for stage in store.stages)
    hands = " ".join(
        f"{number}:{hand.mode}{f'@{hand.at + 1}/{hand.fence}' if hand.mode != 'idle' else ''}"
        for number, hand in enumerate(state.hands, 1)
    )
    gone = " deleted" if store.deleted else ""
    return f"{store.project}/{store.task} wants {store.control} fence {store.fence}{gone} | {stages} | {hands} | {state.hints} hints"


def _broken(state: State) -> Iterator[str]:
    return (rule for rule, holds in OF_STATES.items() if not holds(state))
