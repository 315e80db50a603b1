"""The one way a job is run, and what its outcome does to its row."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

import structlog

from nexus.domain.core.cancellation import is_being_cancelled
from nexus.domain.core.errors import NexusError, Stale, Unavailable
from nexus.domain.core.failpoints import hit_failpoint
from nexus.domain.ports.database import retry_stale
from nexus.domain.ports.heartbeat import Lease
from nexus.domain.ports.jobs import Job
from nexus.domain.ports.rows import Write
from nexus.domain.ports.tracing import open_span
from nexus.domain.services import Services
from nexus.domain.tasks.execution import Control, Executions, LeaseLost, LeaseRow
from nexus.jobs.failures import await_and_log_failure
from nexus.jobs.outcomes import COMPLETE, Outcome
from nexus.jobs.registry import REGISTRY, JobSpec, Registry, get_job_row_key

LONGEST_PAUSE = 60.0

logger = structlog.get_logger()


class Runner:
    def __init__(self, *, services: Services, worker_id: str, registry: Registry = REGISTRY) -> None:
        self._services, self._worker_id, self._registry = services, worker_id, registry

    async def run_job(self, body: bytes) -> Outcome:
        """Runs a job to its outcome. One that is to be retried comes again, as its row has not ended."""
        spec, job = self._registry.decode_job(body)
        with structlog.contextvars.bound_contextvars(job=spec.name):
            if spec.on_lost:
                outcome = await self._run_job_to_outcome(spec, job)
            else:
                outcome = await self._run_job_under_lease(spec, job, spec.executions(self._services))
            if outcome.verb != "complete":
                logger.info(f"job.{outcome.verb}", reason=outcome.reason)
            return outcome

    async def release_unstarted_job(self, body: bytes) -> None:
        """What is done with a job that waited when this process ended. One that cannot be helped keeps no other from it: the sweeper of
        the next process finds it as after a crash."""
        spec, job = self._registry.decode_job(body)
        if spec.hand_back is None:
            return
        with structlog.contextvars.bound_contextvars(job=spec.name):
            await await_and_log_failure(
                spec.hand_back(self._services, job), "job.not_handed_back", "job.not_handed_back"
            )

    async def _run_job_to_outcome(self, spec: JobSpec, job: Job) -> Outcome:
        try:
            async with asyncio.timeout(spec.timeout):
                return await spec.run(self._services, job) or COMPLETE
        except (Unavailable, TimeoutError) as error:
            return Outcome(verb="retry", reason=str(error) or "timed out")
        except NexusError as error:
            return Outcome(verb="discard", reason=error.detail)
        except Exception as error:
            logger.exception("job.crashed")
            return Outcome(verb="retry", reason=f"crashed: {type(error).__name__}")

    async def _run_traced_job(self, spec: JobSpec, job: Job, row: LeaseRow) -> Outcome:
        with open_span(spec.name, "consumer", traceparent=row.traceparent):
            return await self._run_job_to_outcome(spec, job)

    async def _run_job_under_lease(self, spec: JobSpec, job: Job, executions: Executions[Any]) -> Outcome:
        """Claims the row, and runs while nothing else is wanted and the lease holds."""
        try:
            row = await executions.get_row(*get_job_row_key(job))
            claim = executions.make_claim_write(row, self._worker_id)
            await executions.commit_writes(claim)
        except (LeaseLost, Stale) as lost:
            return Outcome(verb="discard", reason=lost.detail)
        row = executions.apply_write_to_row(row, claim)
        work = asyncio.ensure_future(self._run_traced_job(spec, job, row))
        executions.start_lease_renewal(row, partial(_cancel_on_control_change, work))
        outcome = Outcome(verb="snooze", reason="it was cut")
        try:
            with suppress(asyncio.CancelledError):
                outcome = await work
            if is_being_cancelled():  # this process ends: whoever comes next goes on with it
                raise asyncio.CancelledError
        finally:
            executions.stop_lease_renewal(row)
            await self._commit_job_outcome(spec, executions, executions.make_lease(row), outcome)
        return outcome

    @retry_stale
    async def _commit_job_outcome(
        self, spec: JobSpec, executions: Executions[Any], lease: Lease, outcome: Outcome
    ) -> None:
        row = await executions.find_row(*lease.key)
        if row is None or not executions.is_row_running(row) or row.fence != lease.fence:
            logger.info("job.lost", key=lease.key)
            return
        hit_failpoint("before:job.end")
        await executions.commit_writes(make_outcome_write(spec, executions, row, outcome))
        hit_failpoint("after:job.end")


def _cancel_on_control_change(work: "asyncio.Future[Outcome]", control: Control | None) -> None:
    if control != "running":
        work.cancel()


def make_outcome_write(spec: JobSpec, executions: Executions[Any], row: LeaseRow, outcome: Outcome) -> Write:
    """What becomes of a row that the runner claimed; what its user wants comes before what may be tried again."""
    if outcome.verb == "complete":
        return executions.make_status_write(row, "completed")
    if row.control_status == "stopped":
        return executions.make_status_write(row, "cancelled")
    if outcome.verb == "discard" or (outcome.verb == "retry" and row.deaths + 1 == spec.attempts):
        return executions.make_status_write(row, "failed", error_message=outcome.reason, deaths=row.deaths + 1)
    if row.control_status == "paused":
        return executions.make_release_write(row)
    if outcome.verb == "retry":
        pause = min(LONGEST_PAUSE, 2.0**row.deaths)
        return executions.make_snooze_write(row, pause, deaths=row.deaths + 1)
    return executions.make_snooze_write(row, outcome.seconds)
