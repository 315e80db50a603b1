"""What the model remembers: the rows, what each executor believes, the hints under way, and what may still happen."""

from typing import NamedTuple

from nexus.domain.projects.model import ProjectStatus, StageStatus
from nexus.domain.tasks.model import Control, TaskStatus

DONE = ("completed", "skipped")
NOBODY = -1
EARLIER = 0
"""The fence of who holds nothing of the present build."""


class StageRow(NamedTuple):
    status: StageStatus = "pending"
    fence: int = EARLIER
    attempt: int = 0
    commits: int = 0


class Store(NamedTuple):
    """What is committed of one project: one row of the project and one of its task as one value, and the stages."""

    project: ProjectStatus
    task: TaskStatus
    control: Control
    fence: int
    worker: int
    stages: tuple[StageRow, ...]
    deleted: bool = False

    @property
    def told(self) -> tuple[object, ...]:
        """All of it that no one may change without telling."""
        return self[:4] + self[5:6]

    @property
    def begin(self) -> int:
        """The first stage that is not done."""
        return next((n for n, stage in enumerate(self.stages) if stage.status not in DONE), len(self.stages))

    def with_stage(self, at: int, **fields: object) -> "Store":
        changed = self.stages[at]._replace(**fields)  # type: ignore[arg-type]  # fields of a stage
        return self._replace(stages=(*self.stages[:at], changed, *self.stages[at + 1 :]))


class Hand(NamedTuple):
    """One run as its executor knows it. `at` is its next or present stage, `wish` what it heard when it began to halt."""

    mode: str = "idle"
    fence: int = EARLIER
    at: int = 0
    wish: Control = "running"


IDLE = Hand()


class Bounds(NamedTuple):
    """How much may happen. `processes`: executors of one process share its name. The flags are the rules that the table cannot hold."""

    executors: int = 2
    processes: int = 2
    stages: int = 2
    commands: int = 3
    crashes: int = 2
    failures: int = 1
    attempts: int = 2
    crowded: bool = True
    sweeper: bool = True
    stage_writes_fenced: bool = True
    delete_in_one_commit: bool = True


class State(NamedTuple):
    store: Store
    hands: tuple[Hand, ...]
    hints: int
    deleting: bool
    commands: int
    crashes: int
    failures: int
    crowded: bool = True
    """Whether the tenant may have too many builds for one more."""

    def with_hand(self, number: int, hand: Hand, store: Store | None = None) -> "State":
        hands = (*self.hands[:number], hand, *self.hands[number + 1 :])
        return self._replace(hands=hands, store=store or self.store)


class Step(NamedTuple):
    """`kind` is command, mishap or progress; `stale` says that who acts has lost the run, `anew` that a new build begins."""

    who: str
    what: str
    after: State
    kind: str = "progress"
    tells: bool = False
    stale: bool = False
    anew: bool = False


def first(bounds: Bounds) -> State:
    """T1: queued, and a hint under way. (T2, held from the first, is a resume that is held.)"""
    store = Store("queued", "queued", "running", 1, NOBODY, (StageRow(),) * bounds.stages)
    return State(
        store, (IDLE,) * bounds.executors, 1, False, bounds.commands, bounds.crashes, bounds.failures, bounds.crowded
    )


def plain(state: State) -> State:
    """The same state with small fences: only which of them are equal matters, and that the task's is the highest."""
    store = state.store
    used = {store.fence, *(stage.fence for stage in store.stages), *(hand.fence for hand in state.hands)} - {EARLIER}
    if len(used) == store.fence:
        return state
    rank = {fence: number for number, fence in enumerate(sorted(used), 1)} | {EARLIER: EARLIER}
    stages = tuple(stage._replace(fence=rank[stage.fence]) for stage in store.stages)
    hands = tuple(hand._replace(fence=rank[hand.fence]) for hand in state.hands)
    return state._replace(store=store._replace(fence=rank[store.fence], stages=stages), hands=hands)
