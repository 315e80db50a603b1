"""A long walk through the commands of users and the verbs of executors, by a seed, that looks after each step whether all still fits."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, get_args

from msgspec import Struct

from nexus.domain.core.errors import NotFound
from nexus.domain.events.tables import EVENTS
from nexus.domain.ports.database import Tables, Window
from nexus.domain.projects import rules
from nexus.domain.projects.leases import BuildLeases
from nexus.domain.projects.model import (
    BuildInterrupted,
    Command,
    FinishDeletion,
    Project,
    Run,
    Stage,
    StageResult,
    WrongState,
    make_feed_topic,
)
from nexus.domain.projects.tables import PROJECTS, STAGES
from nexus.domain.tallies.model import NOW
from nexus.domain.tallies.tables import TALLIES
from nexus.domain.tasks.execution import LeaseLost
from nexus.domain.tasks.model import ENDED, Task
from nexus.domain.tasks.tables import TASKS
from nexus.jobs.registry import encode
from nexus.jobs.runner import Runner
from tests.domain.builds.test_builds import WANTED
from tests.memory_app import ANN, MemoryApp
from tests.model.invariants import JOINT
from tests.model.state import DONE

COMMANDS: tuple[Command, ...] = get_args(Command)
WORKERS = ("w1", "w2")
PLACES = 25
"""Of the walk's tenant: fewer than it has projects, so that some are held."""
RESULT = StageResult(output_data={"summary": "done"}, input_tokens=3, output_tokens=2)
ERROR = {"code": "internal", "message": "It went wrong.", "retryable": True}

Rows = tuple[Project, Task, list[Stage]]


class Known(Struct):
    """A project as the walk knows it: the position it has read to, and all runs that anybody ever held, the newest last."""

    project_id: str
    position: int = 0
    runs: list[Run] = []
    last: Project | None = None


class Walk:
    def __init__(self, app: MemoryApp, seed: int) -> None:
        self._services, self._clock = app.services, app.clock
        self._runs: BuildLeases = app.services.build_runner._leases
        self._tables = Tables(app.adapters.tables, secret=app.adapters.secret, clock=app.clock)
        self._random = random.Random(seed)
        self._known: list[Known] = []
        self.seen = Counter[str]()

    async def start(self, projects: int) -> None:
        for _ in range(projects):
            self._known.append(await self._started())

    async def _started(self) -> Known:
        known = Known((await self._services.builds.start(ANN, WANTED)).project_id)
        await self._looked(known)
        return known

    async def step(self) -> None:
        """Something happens to one of the projects; then everything about it must fit."""
        at = self._random.randrange(len(self._known))
        known = self._known[at]
        acts: list[tuple[Callable[[Known], Awaitable[None]], int]] = [
            (self._command, 5), (self._claim, 3), (self._work, 40), (self._end, 2), (self._sweep, 2), (self._late, 4),
        ]  # fmt: skip
        if self._random.random() < 0.01:
            runs = (await self._rows(known))[0].status == "building"
            await self._delete(known)
            del self._known[at]
            if runs:  # nobody is there to end it and let others in
                await self._services.build_queue.enqueue_pending_builds(ANN.tenant_id)
            await self._nobody_waits_in_vain()
            self._known.append(await self._started())
            return
        [act] = self._random.choices([act for act, _ in acts], [weight for _, weight in acts])
        await act(known)
        await self._looked(known)
        if act != self._command:  # those let in whom they left a place for
            await self._services.build_queue.enqueue_pending_builds(ANN.tenant_id)
        await self._nobody_waits_in_vain()

    # --- users

    async def _command(self, known: Known) -> None:
        """Twice: the second answer is that of a command whose wish is met, or the same refusal."""
        [command] = self._random.choices(COMMANDS, [4 if command != "stop" else 1 for command in COMMANDS])
        project, _, stages = await self._rows(known)
        from_stage = None
        if command in rules.AGAIN and self._random.random() < 0.5:
            chosen = self._random.choice(stages[: _begin(stages) + 1]).stage_name
            from_stage = chosen if command == "restart" else None
        first, second = [await self._answer(known, command, from_stage) for _ in range(2)]
        self.seen[f"{command} {'refused' if isinstance(first, WrongState) else 'done'}"] += 1
        if command in rules.AGAIN and isinstance(first, Project):
            assert first.build_no == project.build_no + 1
            assert isinstance(second, WrongState), "a second build begins only once the first has ended"
        elif isinstance(first, WrongState):
            assert isinstance(second, WrongState)
            assert first.facts == second.facts
            assert first.facts["status"] in (project.status, (await self._rows(known))[1].status)
        else:
            assert first == second == (await self._rows(known))[0]

    async def _answer(self, known: Known, command: Command, from_stage: str | None) -> Project | WrongState:
        try:
            return await self._services.builds.execute_build_command(
                ANN, known.project_id, command, from_stage=from_stage
            )
        except WrongState as refused:
            return refused

    async def _delete(self, known: Known) -> None:
        project, _, _ = await self._rows(known)
        if project.status in ("queued", "building"):
            try:
                await self._services.builds.delete(ANN, known.project_id)
            except WrongState as refused:
                assert refused.facts["status"] == project.status
                self.seen["delete refused"] += 1
        deleted = await self._services.builds.delete(ANN, known.project_id, stop_first=True)
        self.seen["delete done"] += 1
        await self._purged(known, deleted.active_task_id)
        for verb in (self._services.projects.get(ANN, known.project_id), self._answer(known, "stop", None)):
            try:
                await verb
            except NotFound:
                continue
            raise AssertionError("what is deleted is gone")

    async def _purged(self, known: Known, purge_id: str) -> None:
        """A purge waits for the end of the build; afterwards nothing is left."""
        _, task, _ = await self._rows(known)
        deleting = Runner(services=self._services, worker_id="w1"), encode(FinishDeletion(task_id=purge_id))
        if task.status == "running":
            assert (await deleting[0].run_job(deleting[1])).verb == "snooze"
            await self._runs.end_build_for_lost_process(task)
            self._clock.now += 3
            self.seen["purge waited"] += 1
        assert (await deleting[0].run_job(deleting[1])).verb == "complete"
        assert await self._tables.find(PROJECTS, known.project_id) is None
        assert (await self._tables.read_page(STAGES, known.project_id)).items == []

    # --- executors and sweepers

    async def _claim(self, known: Known) -> None:
        """Two workers hear the same hint: one has the run, if it is to be had at all."""
        project, task, _ = before = await self._rows(known)
        free = project.status == "queued"
        won = list[Run]()
        for worker in self._random.sample(WORKERS, 2):
            try:
                won.append(await self._runs.claim_build(task.task_id, worker))
            except LeaseLost:
                continue
        assert len(won) == free
        known.runs += won
        self.seen["claimed" if won else "claimed in vain"] += 1
        if not won:
            assert await self._rows(known) == before

    async def _work(self, known: Known) -> None:
        """The executor goes on: a stage is started, told about, completed, tried again or skipped."""
        if not (run := await self._holding(known)):
            return
        _, task, stages = await self._rows(known)
        begin, worker = _begin(stages), self._runs
        if begin == len(stages):
            await worker.finish_build(run)
            self.seen["finish"] += 1
            return
        stage, progress = stages[begin], rules.compute_progress_percent(begin + 1, len(stages))
        if stage.status == "pending":
            await self._stage_started(run, task, stage)
            return
        what = self._random.choice(("complete", "complete", "complete", "tell", "retry", "skip"))
        self.seen[what] += 1
        if what == "complete":
            await worker.complete_stage(run, stage, RESULT, progress=progress)
        elif what == "tell":
            await worker.report_progress(run, stage, "stage.log", {"line": "so far, so good"}, logs=["so far, so good"])
        elif what == "retry":
            await worker.retry_stage(run, stage, "It went wrong.")
        elif stage.optional:
            await worker.skip_stage(run, stage, "It went wrong.", progress=progress)
        else:
            await self._refused(known, lambda: worker.skip_stage(run, stage, "no", progress=progress), WrongState)
        if what in ("complete", "skip") and (stage.optional or what == "complete"):
            assert (await self._rows(known))[0].progress == progress

    async def _stage_started(self, run: Run, task: Task, stage: Stage) -> None:
        try:
            started = await self._runs.start_stage(run, stage)
        except BuildInterrupted as halted:
            assert halted.facts["control"] == task.control_status != "running"
            self.seen["start halted"] += 1
        else:
            assert task.control_status == "running"
            assert started.attempt == max(1, stage.attempt)
            self.seen["start"] += 1

    async def _end(self, known: Known) -> None:
        """The executor lets go: as is wanted, or because it fails or its host is drained. What does not fit the wish is refused."""
        if not (run := await self._holding(known)):
            return
        control = (await self._rows(known))[1].control_status
        verb = self._random.choice(("pause_done", "stop_done", "release", "fail"))
        fits = control in rules.MOVES[verb].control
        self.seen[f"{verb} {'done' if fits else 'refused'}"] += 1
        if fits:
            await self._act(run, verb)
        else:
            await self._refused(known, lambda: self._act(run, verb), LeaseLost)

    async def _sweep(self, known: Known) -> None:
        """The lease is over, whether or not its holder is dead."""
        _, task, _ = before = await self._rows(known)
        worker = self._random.choice(WORKERS)
        if task.status == "running" and task.control_status != "running":
            await self._refused(known, lambda: self._runs.take_over(task, worker), LeaseLost)
            await self._runs.end_build_for_lost_process(task)
            self.seen["end_for"] += 1
        elif task.status == "running":
            known.runs.append(await self._runs.take_over(task, worker))
            self.seen["take_over"] += 1
        else:
            for verb in (
                lambda: self._runs.take_over(task, worker),
                lambda: self._runs.end_build_for_lost_process(task),
            ):
                await self._refused(known, verb, LeaseLost)
            assert await self._rows(known) == before

    async def _late(self, known: Known) -> None:
        """Whoever lost the run tries to write all the same."""
        _, task, stages = await self._rows(known)
        stale = [run for run in known.runs if not _holds(run, task)]
        if not stale:
            return
        run, stage, runs = self._random.choice(stale), self._random.choice(stages), self._runs
        optional = next(stage for stage in stages if stage.optional)
        verbs: Mapping[str, Callable[[], Awaitable[Any]]] = {
            "start": lambda: runs.start_stage(run, stage),
            "complete": lambda: runs.complete_stage(run, stage, RESULT, progress=99.0),
            "retry": lambda: runs.retry_stage(run, stage, "late"),
            "skip": lambda: runs.skip_stage(run, optional, "late", progress=99.0),
            "tell": lambda: runs.report_progress(run, stage, "stage.log", {"line": "late"}, logs=["late"]),
            "finish": lambda: runs.finish_build(run),
        } | {verb: partial(self._act, run, verb) for verb in ("fail", "release", "pause_done", "stop_done")}
        verb = self._random.choice(sorted(verbs))
        await self._refused(known, verbs[verb], LeaseLost)
        executions = self._services.tasks.executions
        assert await executions.renew_leases([executions.make_lease(run.task)]) == [None]
        self.seen[f"late {verb}"] += 1

    async def _act(self, run: Run, verb: str) -> None:
        if verb == "fail":
            await self._runs.fail_build(run, ERROR)
        else:
            runs = self._runs
            await {
                "release": runs.release_build,
                "pause_done": runs.mark_build_paused,
                "stop_done": runs.mark_build_stopped,
            }[verb](run)

    async def _refused(self, known: Known, verb: Callable[[], Awaitable[Any]], error: type[Exception]) -> None:
        """The verb raises, and changes nothing."""
        before = await self._rows(known)
        try:
            await verb()
        except error:
            assert await self._rows(known) == before
            return
        raise AssertionError(f"{error.__name__} was to be raised in {before}")

    async def _holding(self, known: Known) -> Run | None:
        _, task, _ = await self._rows(known)
        return next((run for run in reversed(known.runs) if _holds(run, task)), None)

    # --- looking

    async def _rows(self, known: Known) -> Rows:
        project = await self._tables.get(PROJECTS, known.project_id)
        stages = (await self._tables.read_page(STAGES, known.project_id, window=Window(limit=100))).items
        task = await self._tables.get(TASKS, project.active_task_id)
        return project, task, sorted(stages, key=lambda stage: stage.stage_number)

    async def _looked(self, known: Known) -> None:
        """The joint state is one of the table's; stages are in order; each new position was told exactly once; neither an end nor a
        stop is undone but by a new build."""
        project, task, stages = await self._rows(known)
        if known.last and known.last.build_no == project.build_no:
            assert known.last.status not in ENDED or known.last == project
            assert known.last.control_status != "stopped" or project.control_status == "stopped"
        assert (task.status, task.control_status) in JOINT[project.status]
        assert project.control_status == task.control_status
        assert {stage.build_no for stage in stages} == {project.build_no} == {task.build_no}
        begin = _begin(stages)
        assert all(stage.status == "pending" for stage in stages[begin + 1 :])
        assert project.status != "completed" or begin == len(stages)
        self.seen[project.status] += 1
        positions = await self._told(project, known.position)
        assert sorted(positions) == list(range(known.position + 1, project.events + 1))
        known.position, known.last = project.events, project

    async def _told(self, project: Project, after: int) -> Sequence[int]:
        """The positions behind one, in the feed of this build and of the one before it."""
        positions = list[int]()
        for build_no in {max(1, project.build_no - 1), project.build_no}:
            window = Window(limit=100, since=after + 1)
            page = await self._tables.read_page(EVENTS, make_feed_topic(project.project_id, build_no), window=window)
            positions += [event.position for event in page.items]
        return positions

    async def _nobody_waits_in_vain(self) -> None:
        tally = await self._tables.get(TALLIES, ANN.tenant_id, NOW)
        active, held = tally.builds_active, tally.builds_held
        assert not held or active >= PLACES, f"{active} of {PLACES} places are taken, and {held} builds wait"

    async def account(self) -> tuple[int, int]:
        """How many builds are under way, and how many are held."""
        found = [(await self._rows(known))[0].status for known in self._known]
        return sum(status in rules.ACTIVE for status in found), found.count("pending")


def _begin(stages: Sequence[Stage]) -> int:
    return next((n for n, stage in enumerate(stages) if stage.status not in DONE), len(stages))


def _holds(run: Run, task: Task) -> bool:
    return (run.task.task_id, run.task.fence, "running") == (task.task_id, task.fence, task.status)
