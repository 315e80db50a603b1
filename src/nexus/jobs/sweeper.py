"""The loop that finishes what a crash left. Every process may run it: what it does may be done twice."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import cycle, islice
from typing import Any, NamedTuple

import structlog

from nexus.domain.core.batches import split_batches
from nexus.domain.ports.jobs import JobQueue, Lane, LocalJobs
from nexus.domain.services import Services
from nexus.domain.tasks.execution import Executions, LeaseRow, LeaseTimes
from nexus.jobs.failures import await_and_log_failure
from nexus.jobs.outcomes import Outcome
from nexus.jobs.registry import REGISTRY, JobSpec, Registry
from nexus.jobs.runner import make_outcome_write

STUCK_SECONDS = 60.0
TICK_SECONDS = 0.25
FOLD_EVERY = 12

logger = structlog.get_logger()


class ChangeWatch:
    """What does not change while it is watched, by this process' own monotonic clock: no wall clock can hurry it."""

    def __init__(self, *, seconds: float, timer: Callable[[], float]) -> None:
        self._seconds, self._timer = seconds, timer
        self._seen: dict[str, tuple[object, float]] = {}

    def is_unchanged(self, key: str, state: object) -> bool:
        """Whether it has been in this state for the whole lease."""
        now = self._timer()
        seen, since = self._seen.get(key, (None, now))
        if seen != state:
            self._seen[key] = (state, now)
            return False
        return now - since >= self._seconds

    def keep_only_keys(self, keys: Collection[str]) -> None:
        """Forgets all others."""
        self._seen = {key: seen for key, seen in self._seen.items() if key in keys}


LOST = Outcome(verb="retry", reason="its worker died")


class Ledger(NamedTuple):
    """A table of lease rows, and the kinds of work in it."""

    executions: Executions[Any]
    specs: Sequence[JobSpec]

    @property
    def name(self) -> str:
        return self.executions.table_name

    def get_job_spec(self, row: LeaseRow) -> JobSpec:
        return next(spec for spec in self.specs if spec.takes(row))

    def get_row_id(self, row: LeaseRow) -> str:
        return str(self.executions.get_row_key(row)[-1])


class Sweeper:
    """Takes over what gave no sign of life for a lease, offers what lies queued, and ends what nobody alive will end, whatever kind of work
    it is. `lanes`: those that this process serves, whose work it sweeps; what was asked through it, it ends in any.

    `stuck_runs`: how much work has been unfinished, unowned and unexplained for a minute. It must be 0. `waiting_since`: since when the
    row waits that waits longest, by lane; empty where none does. A row is seen once it is due."""

    def __init__(
        self,
        *,
        services: Services,
        queue: JobQueue,
        local: LocalJobs,
        worker_id: str,
        times: LeaseTimes = LeaseTimes(),
        registry: Registry = REGISTRY,
        lanes: Collection[Lane] = ("interactive", "background"),
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services, self._queue, self._local, self._worker_id = services, queue, local, worker_id
        self._ledgers = _group_specs_by_table(registry, services)
        self._swept = [ledger for ledger in self._ledgers if ledger.specs[0].lane in lanes]
        self._still = ChangeWatch(seconds=times.lease, timer=timer)
        self._answered = ChangeWatch(seconds=times.answer, timer=timer)
        self._stuck = ChangeWatch(seconds=STUCK_SECONDS, timer=timer)
        self._turns = cycle((ledger.name, place) for ledger in self._swept for place in ledger.executions.places)
        self._is_idle = False
        self._rounds = self.stuck_runs = 0
        self.waiting_since = dict[Lane, str]()

    async def recover_jobs_at_start(self, *, alone: bool) -> None:
        """The first look. `alone`: this process holds the store for itself, so whoever else ran anything is dead."""
        for ledger in self._swept:
            rows = sorted(await ledger.executions.list_unfinished_rows(), key=partial(_make_row_sort_key, ledger))
            await self._recover_and_enqueue_rows(
                ledger, rows, [row for row in rows if self._is_orphaned_at_start(ledger, row, alone=alone)]
            )

    async def recover_jobs_forever(self, every: float, *, idle_queries: int | None = None) -> None:
        """Sweeps for ever, with so many queries a round while nothing is due. What was asked through this process and is not answered is
        looked at more often."""
        while True:
            for _ in range(max(1, round(every / TICK_SECONDS))):
                await asyncio.sleep(min(every, TICK_SECONDS))
                await await_and_log_failure(self.apply_unanswered_controls(), "sweep.failed", "sweep.crashed")
            await await_and_log_failure(self.recover_lost_jobs(idle_queries), "sweep.failed", "sweep.crashed")

    async def recover_lost_jobs(self, idle_queries: int | None = None) -> None:
        """One round. After one in which something was due it asks all places, and after an idle one so many, whose turn it is."""
        now_and_then = self._rounds % FOLD_EVERY == 0
        self._rounds += 1
        places = self._choose_places(idle_queries if self._is_idle else None)
        states, due, self._is_idle = dict[str, object](), 0, False
        for ledger in self._swept:
            rows = await self._recover_table_jobs(ledger, places[ledger.name], all_held=now_and_then)
            states |= {ledger.get_row_id(row): _describe_row_state(row) for row in rows if row.status != "pending"}
            self.waiting_since[ledger.specs[0].lane] = _find_oldest_wait(ledger, rows)
            due += len(rows)
        self._is_idle = not due
        self._still.keep_only_keys(states)
        self._answered.keep_only_keys(states)
        self._count_stuck_jobs({name: state for name, state in states.items() if not self._local.has_job(name)})
        if now_and_then:
            await self._run_and_log_failure(self._services.tools.update_all_use_counts(), "library")

    async def apply_unanswered_controls(self) -> None:
        """Does what was asked through this process in place of workers that did not do it in time."""
        for ledger in self._ledgers:
            await self._recover_and_enqueue_rows(ledger, rows := await ledger.executions.list_unanswered_rows(), rows)

    def _choose_places(self, most: int | None) -> Mapping[str, Sequence[str]]:
        """The places of this round by table: all, or the next ones in turn."""
        if most is None:
            return {ledger.name: ledger.executions.places for ledger in self._swept}
        chosen = dict.fromkeys(islice(self._turns, most))
        return {ledger.name: [place for name, place in chosen if name == ledger.name] for ledger in self._swept}

    async def _recover_table_jobs(self, ledger: Ledger, places: Sequence[str], *, all_held: bool) -> Sequence[LeaseRow]:
        """What was due."""
        executions = ledger.executions
        rows = await executions.list_due_rows(places)
        await self._recover_and_enqueue_rows(ledger, rows, [row for row in rows if self._is_row_lost(ledger, row)])
        if all_held:
            await self._run_and_log_failure(executions.reset_future_due_times(), executions.table_name)
            await self._enqueue_pending_jobs(ledger, await executions.list_unfinished_rows("pending"))
        return rows

    async def _recover_and_enqueue_rows(
        self, ledger: Ledger, rows: Sequence[LeaseRow], lost: Sequence[LeaseRow]
    ) -> None:
        """Takes over, or ends, what is lost, some at a time; what is to be run here comes into the queue in the order of the rows."""
        taken = set[str]()
        for some in split_batches(lost):
            await asyncio.gather(
                *(
                    self._run_and_log_failure(self._take_over_row(ledger, row, taken), ledger.get_row_id(row))
                    for row in some
                )
            )
        for row in rows:
            if ledger.executions.is_row_waiting(row) or ledger.get_row_id(row) in taken:
                await self._run_and_log_failure(self._enqueue_row_job(ledger, row), ledger.get_row_id(row))
        await self._enqueue_pending_jobs(ledger, rows)

    async def _take_over_row(self, ledger: Ledger, row: LeaseRow, taken: set[str]) -> None:
        spec, executions = ledger.get_job_spec(row), ledger.executions
        logger.info("work.taken_over", kind=spec.name, key=executions.get_row_key(row), from_worker=row.worker_id)
        if spec.on_lost is None:
            await executions.commit_writes(make_outcome_write(spec, executions, row, LOST))
        elif await spec.on_lost(self._services, row):
            taken.add(ledger.get_row_id(row))

    async def _enqueue_row_job(self, ledger: Ledger, row: LeaseRow) -> None:
        """Work whose hint may have been lost."""
        spec, priority = ledger.get_job_spec(row), row.priority
        job = spec.make_job(ledger.executions, row)
        await self._queue.enqueue_job(
            job, key=ledger.get_row_id(row), priority=spec.priority or priority, group=row.tenant_id
        )

    async def _enqueue_pending_jobs(self, ledger: Ledger, rows: Sequence[LeaseRow]) -> None:
        """Work that is held, where a place was left and nobody said so."""
        held = {(ledger.get_job_spec(row), row.tenant_id) for row in rows if row.status == "pending"}
        for spec, tenant_id in sorted(held, key=lambda one: one[1]):
            if spec.on_held:
                await self._run_and_log_failure(spec.on_held(self._services, tenant_id), tenant_id)

    def _is_orphaned_at_start(self, ledger: Ledger, row: LeaseRow, *, alone: bool) -> bool:
        """At the start: whether who had it is dead, or left before all was done."""
        executions = ledger.executions
        is_others = executions.is_row_running(row) and row.worker_id != self._worker_id
        return executions.has_row_ended(row) or (alone and is_others)

    def _is_row_lost(self, ledger: Ledger, row: LeaseRow) -> bool:
        """Whether its lease is over; or it was told to halt and does not, as nobody may be alive to hear it; or it has ended and who had it
        left before all was done."""
        if not ledger.executions.is_row_running(row):
            return ledger.executions.has_row_ended(row) and not ledger.executions.is_row_leased_here(row)
        name, sign = ledger.get_row_id(row), (row.fence, row.heartbeat)
        still = self._still.is_unchanged(name, sign)
        dead = not ledger.executions.is_row_leased_here(row) if row.worker_id == self._worker_id else still
        return dead or (row.control_status != "running" and self._answered.is_unchanged(name, sign))

    def _count_stuck_jobs(self, states: Mapping[str, object]) -> None:
        """What is held waits for its tenant, and what is in the queue for its turn: those are not stuck."""
        self._stuck.keep_only_keys(states)
        stuck = [name for name, state in states.items() if self._stuck.is_unchanged(name, state)]
        self.stuck_runs = len(stuck)
        if stuck:
            logger.error("stuck_runs", count=len(stuck), first=stuck[:5])

    async def _run_and_log_failure(self, act: Awaitable[None], about: str) -> None:
        """One that cannot be helped keeps no other from it."""
        await await_and_log_failure(act, "sweep.failed_for", "sweep.crashed_for", about=about)


def _group_specs_by_table(registry: Registry, services: Services) -> list[Ledger]:
    found = dict[int, Ledger]()
    for spec in registry.specs:
        executions = spec.executions(services)
        known = found.get(id(executions), Ledger(executions, []))
        found[id(executions)] = Ledger(executions, [*known.specs, spec])
    return list(found.values())


def _describe_row_state(row: LeaseRow) -> object:
    """What changes while somebody has it in hand."""
    return row.status, row.fence, row.heartbeat, row.worker_id


def _find_oldest_wait(ledger: Ledger, rows: Sequence[LeaseRow]) -> str:
    """Since when the row waits that waits longest. Work that was never begun waits from its creation on, other work since it has been due."""
    waiting = [row for row in rows if ledger.executions.is_row_waiting(row)]
    return min((row.due_at if row.fence and row.due_at else row.created_at for row in waiting), default="")


def _make_row_sort_key(ledger: Ledger, row: LeaseRow) -> tuple[int, bool, str]:
    """The most urgent first; of equals, what had begun goes on before what is new; of those, what was asked for first."""
    return -row.priority, row.fence == 0, ledger.get_row_id(row)
