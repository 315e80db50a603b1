"""Runs builds: what the job of a build does, from its claim until it is over, halted or somebody else's."""

import asyncio
import contextlib
from functools import partial

import structlog
from msgspec import Struct

from nexus.domain.builds.driver import BuildDriver
from nexus.domain.builds.failures import Snooze, is_storage_fault
from nexus.domain.builds.queue import BuildQueue
from nexus.domain.builds.stage_attempt import ControlRequest
from nexus.domain.core.cancellation import is_being_cancelled
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.tracing import open_span
from nexus.domain.projects.leases import BuildLeases
from nexus.domain.projects.model import BuildInterrupted, Run
from nexus.domain.tasks.execution import Control, Executions, LeaseLost
from nexus.domain.tasks.model import Task

logger = structlog.get_logger()


class BuildTimeouts(Struct, frozen=True, kw_only=True):
    """Seconds: how long a run waits that found the disk full, or the store away; between tries to tell such a store so; and for how long in
    all a stage waits for what is away outside, a provider say."""

    storage: float = 10.0
    store: float = 1.0
    patience: float = 3600.0
    retries: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)


class BuildRunner:
    def __init__(
        self,
        *,
        leases: BuildLeases,
        driver: BuildDriver,
        queue: BuildQueue,
        executions: Executions[Task],
        worker_id: str,
        timeouts: BuildTimeouts = BuildTimeouts(),
    ) -> None:
        self._leases, self._driver, self._queue = leases, driver, queue
        self._executions, self._worker_id, self._timeouts = executions, worker_id, timeouts

    async def take_over_build(self, seen: Task) -> bool:
        """Goes on with a build whose worker is gone, or ends it where that is what is wanted. True: its job is to be run here."""
        try:
            if seen.control_status != "running":
                await self._leases.end_build_for_lost_process(seen)
                self._executions.stop_lease_renewal(seen)
                await self._queue.enqueue_pending_builds(seen.tenant_id)
                return False
            run = await self._leases.take_over(seen, self._worker_id)
        except LeaseLost:
            return False
        self._executions.start_lease_renewal(
            run.task, lambda control: None
        )  # asked before its job begins: left unanswered
        return True

    async def run_build_job(self, task_id: str) -> None:
        """The job: claims the build, or goes on with one taken over, until it is over, halted or somebody else's."""
        claiming = asyncio.ensure_future(self._leases.resume_build(task_id, self._worker_id))
        try:
            run = await asyncio.shield(claiming)
            with open_span("builds.run", "consumer", traceparent=run.task.traceparent) as span:
                span.describe({"nexus.project_id": run.project.project_id, "nexus.task_id": task_id})
                while not await self._run_stages(run):
                    logger.info("build.goes_on", task_id=task_id)
            await self._queue.enqueue_pending_builds(run.project.tenant_id)
        except asyncio.CancelledError:  # this process ends; a claim that is under way would be kept for nothing
            with contextlib.suppress(LeaseLost):
                await self._release_build_lease(await claiming)
            raise
        except LeaseLost as lost:
            logger.info("build.not_ours", task_id=task_id, reason=lost.detail)

    async def release_unstarted_build(self, task_id: str) -> None:
        """A build that this process took over and could not begin goes back into the queue, or into the state that is wanted of it."""
        seen = await self._executions.find_row(task_id)
        if seen and seen.status == "running" and seen.worker_id == self._worker_id:
            with contextlib.suppress(LeaseLost):
                await self._release_build_lease(await self._leases.resume_build(seen.task_id, self._worker_id))
            self._executions.stop_lease_renewal(seen)

    async def _run_stages(self, run: Run) -> bool:
        """Runs stages until the build is over, handed back or halted; False when it was to halt and is wanted again. Raises LeaseLost."""
        wanted = ControlRequest()
        work = asyncio.ensure_future(self._driver.run_pending_stages(run, wanted))
        self._executions.start_lease_renewal(run.task, partial(self._handle_control_change, wanted, work))
        try:
            await work
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
        except (Snooze, Unavailable) as why:
            if is_being_cancelled():
                raise asyncio.CancelledError from why
            if (waits := self._convert_error_to_snooze(why)) is None:
                raise
            with contextlib.suppress(LeaseLost):
                await self._snooze_build(run, waits)
                return True
        except BuildInterrupted as halted:
            wanted.control = halted.facts["control"]
        else:
            return True
        finally:
            self._executions.stop_lease_renewal(run.task)
        return await self._apply_pause_or_stop(run)

    def _convert_error_to_snooze(self, why: Snooze | Unavailable) -> Snooze | None:
        """What the system's own trouble comes to: what it did to the last write is unknown, so the run is claimed and looked at anew."""
        if isinstance(why, Snooze):
            return why
        if not is_storage_fault(why):
            return None
        reason = str(why.facts.get("reason"))
        seconds = self._timeouts.storage if reason == "storage_full" else self._timeouts.store
        return Snooze(reason, why.detail, seconds=seconds)

    async def _snooze_build(self, run: Run, waits: Snooze) -> None:
        """Back into the queue; tried for a while, as the store may be what is away."""
        for pause in self._timeouts.retries:
            try:
                await self._leases.release_build(run, reason=waits.reason, message=waits.message, seconds=waits.seconds)
                return
            except Unavailable as error:
                logger.warning("build.not_released", task_id=run.task.task_id, reason=error.detail)
                await asyncio.sleep(pause)
        await self._leases.release_build(run, reason=waits.reason, message=waits.message, seconds=waits.seconds)

    async def _apply_pause_or_stop(self, run: Run) -> bool:
        """Writes the state that is wanted, now that nothing of the run goes on. False when that is to go on after all."""
        control = (await self._leases.reload_run(run)).task.control_status
        with contextlib.suppress(LeaseLost):  # the wanted changed once more: look again
            if control == "paused":
                await self._leases.mark_build_paused(run)
                return True
            if control == "stopped":
                await self._leases.mark_build_stopped(run)
                return True
        return False

    async def _release_build_lease(self, run: Run) -> None:
        """This process ends: the run goes back into the queue, or into the state that is wanted of it."""
        while not await self._apply_pause_or_stop(run):
            with contextlib.suppress(LeaseLost):  # another wanted came in between: look again
                await self._leases.release_build(run)
                return

    def _handle_control_change(
        self, wanted: ControlRequest, work: "asyncio.Future[None]", control: Control | None
    ) -> None:
        """What is wanted from now on: the work is cut at once to stop it or where it is lost, after some grace to pause it."""
        if control is None:
            wanted.lost = True
        else:
            wanted.control = control
        if control in (None, "stopped"):
            work.cancel()
        elif control == "paused":
            asyncio.get_running_loop().call_later(self._executions.times.grace, self._stop_work_if_paused, wanted, work)

    def _stop_work_if_paused(self, wanted: ControlRequest, work: "asyncio.Future[None]") -> None:
        if wanted.control == "paused":
            work.cancel()
