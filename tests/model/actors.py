"""Who acts on a build: users, executors, sweepers, the queue and bad luck. Changes of state are those of the table in the rules."""

from collections.abc import Iterator
from typing import Any, get_args

from nexus.domain.core.errors import NexusError
from nexus.domain.projects import rules
from nexus.domain.projects.model import Command, Project, Stage
from nexus.domain.tasks.model import Control, Task, TaskStatus
from tests.model.state import EARLIER, IDLE, NOBODY, Bounds, Hand, StageRow, State, Step, Store

NOW = "2027-01-15T08:00:00.000Z"
MOST_HINTS = 2
DIRECT: tuple[Command, ...] = tuple(command for command in get_args(Command) if command not in rules.AGAIN)
OWNED: dict[str, Any] = {"tenant_id": "tnt_one", "user_id": "usr_ann"}
PROJECT = Project(project_id="prj", project_name="p", requirement="r", active_task_id="tsk", created_at=NOW, updated_at=NOW, **OWNED)  # fmt: skip
TASK = Task(task_id="tsk", task_type="build_agent", created_at=NOW, **OWNED)


class Actors:
    def __init__(self, bounds: Bounds) -> None:
        self._bounds, self._moves = bounds, rules.MOVES
        self._raising = {verb for verb, move in self._moves.items() if move.starts_build}
        self._meant: dict[tuple[Command, TaskStatus, Control], str | None] = {}
        self._begins: dict[tuple[str, tuple[str, ...]], set[int]] = {}

    def steps(self, state: State) -> Iterator[Step]:
        """All that can happen next."""
        if state.commands and not state.store.deleted:
            yield from self._users(state)
        if state.deleting:
            gone = state._replace(store=state.store._replace(deleted=True), deleting=False)
            yield Step("the deletion", "commits", gone)
        for number, hand in enumerate(state.hands):
            yield from self._executor(state, number, hand)
        if self._bounds.sweeper:
            yield from self._sweeper(state)
        if state.hints:
            yield Step("the queue", "loses a hint", state._replace(hints=state.hints - 1), "mishap")
            yield Step("the queue", "doubles a hint", _hinted(state), "mishap")
        if state.crashes:
            yield from self._crashes(state)

    def _moved(self, store: Store, verb: str, *, fence: int = 0) -> Store | None:
        """The rows after a move of the table; None when its condition does not hold. `fence`: rises by this besides."""
        move = self._moves[verb]
        if store.project not in move.project or store.task not in move.task or store.control not in move.control:
            return None
        stages = store.stages
        if move.stage_to:
            halted: dict[str, object] = {"status": move.stage_to, "fence": EARLIER}
            stages = tuple(s._replace(**halted) if s.status == "running" else s for s in stages)  # type: ignore[arg-type]  # fields of a stage
        rises = fence + (verb in self._raising)
        wanted = move.wants or store.control
        return Store(move.to, move.task_to, wanted, store.fence + rises, store.worker, stages, store.deleted)

    # --- users

    def _users(self, state: State) -> Iterator[Step]:
        left = state._replace(commands=state.commands - 1)
        for command in DIRECT:
            if (after := self._commanded(state.store, command)) is not None:
                told = after.told != state.store.told or self._verb(state.store, command) is not None
                yield Step("the user", command, _offered(left._replace(store=after)), "command", told)
                if state.crowded and command == "resume" and after.project == "queued" != state.store.project:
                    held = after._replace(project="pending", task="pending")
                    yield Step("the user", "resume, and is held", left._replace(store=held), "command", told)
        for again, move in rules.AGAIN.items():
            if state.store.project in move.project:
                for begin in self._anew(again, state.store):
                    what = f"{again} from stage {begin + 1}"
                    yield Step("the user", what, _again(left, move, begin), "command", True, anew=True)
                    if state.crowded:
                        held = _again(left, rules.make_pending_move(move), begin)
                        yield Step("the user", f"{what}, and is held", held, "command", True, anew=True)
        yield from self._deletion(state.store, left)

    def _deletion(self, store: Store, left: State) -> Iterator[Step]:
        """T23, with `stop_first`."""
        stopped = self._commanded(store, "stop") if store.project in rules.STOPPABLE else store
        if stopped is None:
            return
        tells = stopped.told != store.told
        if self._bounds.delete_in_one_commit:
            yield Step("the user", "delete", left._replace(store=stopped._replace(deleted=True)), "command", tells)
        elif not left.deleting:
            yield Step("the user", "asks to delete", left._replace(store=stopped, deleting=True), "command", tells)

    def _commanded(self, store: Store, command: Command) -> Store | None:
        """None when the command is refused."""
        try:
            verb = self._verb(store, command)
        except NexusError:
            return None
        return self._moved(store, verb) if verb else store

    def _verb(self, store: Store, command: Command) -> str | None:
        asked = (command, store.task, store.control)
        if asked not in self._meant:
            task = Task(task_id="tsk", task_type="build_agent", created_at=NOW, status=store.task, control_status=store.control, **OWNED)  # fmt: skip
            self._meant[asked] = rules.find_move_for_command(command, task)
        return self._meant[asked]

    def _anew(self, command: str, store: Store) -> set[int]:
        """The stages from which a new build may begin."""
        asked = command, tuple(stage.status for stage in store.stages)
        if asked not in self._begins:
            stages = [
                Stage(project_id="prj", stage_name=str(n), stage_number=n, display_name="s", status=row.status, **OWNED)
                for n, row in enumerate(store.stages, 1)
            ]
            found = set[int]()
            for from_stage in (None, *(stage.stage_name for stage in stages)):
                try:
                    found.add(rules.find_first_stage_to_rerun(command, stages, from_stage))
                except NexusError:
                    continue
            self._begins[asked] = found
        return self._begins[asked]

    # --- executors

    def _executor(self, state: State, number: int, hand: Hand) -> Iterator[Step]:
        who, held = f"executor {number + 1}", _holds(hand, state.store)
        if hand.mode == "idle":
            if state.hints:
                yield self._hint_taken(state, number, who)
            return
        if hand.mode == "halting":
            yield self._ended(state, number, "pause_done" if hand.wish == "paused" else "stop_done")
            return
        if not held:
            yield Step(who, "sees that it lost the run", state.with_hand(number, IDLE))
        elif state.store.control != "running":
            halting = hand._replace(mode="halting", wish=state.store.control)
            yield Step(who, f"hears the wish {state.store.control}", state.with_hand(number, halting))
        yield self._ended(state, number, "release", "mishap")
        if hand.mode == "working":
            yield from self._in_stage(state, number, hand)
        elif hand.at == len(state.store.stages):
            yield self._ended(state, number, "finish")
        elif state.store.control == "running" or not held:
            yield self._stage_started(state, number, hand)

    def _hint_taken(self, state: State, number: int, who: str) -> Step:
        """A run that this process took over is gone on with; else it is claimed."""
        taken, store, process = state._replace(hints=state.hints - 1), state.store, number % self._bounds.processes
        adopted = store.task == "running" and store.worker == process
        after = store if adopted else self._moved(store, "claim")
        if after is None:
            return Step(who, "takes a hint in vain", taken)
        after = after._replace(worker=process)
        # The job reads its project as the user does, and so finds none that is deleted.
        hand = IDLE if after.deleted else Hand("ready", after.fence, after.begin)
        return Step(who, "goes on with the run" if adopted else "claims", taken.with_hand(number, hand, after), tells=not adopted)  # fmt: skip

    def _ended(self, state: State, number: int, verb: str, kind: str = "progress") -> Step:
        """A move of the table with which an executor lets go of its run, refused or not."""
        who, hand, store = f"executor {number + 1}", state.hands[number], state.store
        held = _holds(hand, store)
        allowed = hand.fence != EARLIER and (held or not self._moves[verb].fenced)
        if not allowed or (after := self._moved(store, verb)) is None:
            return Step(who, f"tries {verb} and is refused", state.with_hand(number, IDLE), kind)
        after = after._replace(worker=NOBODY)
        return Step(who, verb, state.with_hand(number, IDLE, after), kind, tells=True, stale=not held)

    def _stage_started(self, state: State, number: int, hand: Hand) -> Step:
        """T6."""
        stage = state.store.stages[hand.at]
        fields = {"fence": hand.fence, "attempt": max(1, stage.attempt)}
        return self._stage_written(state, number, ("start_stage", fields), f"starts stage {hand.at + 1}", "working")

    def _in_stage(self, state: State, number: int, hand: Hand) -> Iterator[Step]:
        """T7, and T9 to T11 while the work may fail."""
        stage, at = state.store.stages[hand.at], hand.at + 1
        fields = {"fence": EARLIER, "commits": stage.commits + 1}
        yield self._stage_written(state, number, ("complete_stage", fields), f"commits stage {at}", "ready", further=1)
        if not state.failures:
            return
        state = state._replace(failures=state.failures - 1)
        if stage.attempt < self._bounds.attempts:
            again = {"fence": EARLIER, "attempt": stage.attempt + 1}
            step = self._stage_written(
                state, number, ("retry_stage", again), f"fails in stage {at} and retries", "ready"
            )
            yield step._replace(kind="mishap")
        if _is_optional(hand.at, state.store):
            skip: dict[str, object] = {"fence": EARLIER}
            step = self._stage_written(state, number, ("skip_stage", skip), f"skips stage {at}", "ready", further=1)
            yield step._replace(kind="mishap")
        else:
            yield self._ended(state, number, "fail", "mishap")

    def _stage_written(
        self, state: State, number: int, change: tuple[str, dict[str, object]], what: str, then: str, *, further: int = 0
    ) -> Step:  # fmt: skip
        """A move of a stage out of the table, under the executor's fence."""
        (verb, fields), hand, store, who = change, state.hands[number], state.store, f"executor {number + 1}"
        move, held, stage = rules.STAGE_MOVES[verb], _holds(hand, store), store.stages[hand.at]
        ours = stage.fence == hand.fence or move.stage != ("running",)
        allowed = held and ours if self._bounds.stage_writes_fenced else hand.fence != EARLIER
        if not allowed or stage.status not in move.stage or store.control not in move.control:
            return Step(who, f"{what}, and is refused", state.with_hand(number, IDLE))
        after = store.with_stage(hand.at, status=move.to, **fields)
        hand = hand._replace(mode=then, at=hand.at + further)
        return Step(who, what, state.with_hand(number, hand, after), tells=True, stale=not held)

    # --- sweepers, crashes

    def _sweeper(self, state: State) -> Iterator[Step]:
        """Of a running task the lease may have expired at any moment."""
        if state.store.task == "queued":
            yield Step("the sweeper", "offers the task", _hinted(state))
        if (admitted := self._moved(state.store, "admit")) is not None:
            yield Step("the sweeper", "admit", _hinted(state._replace(store=admitted)), tells=True)
        for verb in ("take_over", "pause_done", "stop_done"):
            if "sweeper" not in self._moves[verb].who:
                continue
            going_on = verb in self._raising
            if (after := self._moved(state.store, verb, fence=0 if going_on else 1)) is None:
                continue
            for process in range(self._bounds.processes) if going_on else (NOBODY,):
                moved = state._replace(store=after._replace(worker=process))
                yield Step("the sweeper", f"{verb}", _hinted(moved) if going_on else moved, tells=True)

    def _crashes(self, state: State) -> Iterator[Step]:
        for process in range(self._bounds.processes):
            worker = NOBODY if state.store.worker == process else state.store.worker
            hands = tuple(
                IDLE if number % self._bounds.processes == process else hand for number, hand in enumerate(state.hands)
            )
            if (hands, worker) != (state.hands, state.store.worker):
                store, left = state.store._replace(worker=worker), state.crashes - 1
                yield Step(f"process {process + 1}", "dies", state._replace(store=store, hands=hands, crashes=left), "mishap")  # fmt: skip


def _holds(hand: Hand, store: Store) -> bool:
    return hand.fence == store.fence and store.task == "running"


def _is_optional(at: int, store: Store) -> bool:
    """The last of several, as deployment is."""
    return 0 < at == len(store.stages) - 1


def _hinted(state: State) -> State:
    return state._replace(hints=min(MOST_HINTS, state.hints + 1))


def _offered(state: State) -> State:
    return _hinted(state) if state.store.project == "queued" else state


def _again(state: State, move: rules.Move, begin: int) -> State:
    """T21, T22, T24: a new task under a new number; whoever holds the old one, and every hint of it, means nothing any more."""
    kept = tuple(stage if n < begin else StageRow() for n, stage in enumerate(state.store.stages))
    store = Store(move.to, move.task_to, "running", 1, NOBODY, kept, state.store.deleted)
    hands = tuple(hand._replace(fence=EARLIER) for hand in state.hands)
    return state._replace(store=store, hands=hands, hints=int(move.to == "queued"))
