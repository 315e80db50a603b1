"""Builds: started and commanded by users, run by jobs."""

import asyncio
import contextlib
from functools import partial

import structlog
from msgspec import Struct

from nexus.domain.builds import rules
from nexus.domain.builds.driver import BuildDriver
from nexus.domain.builds.failures import Snooze, is_internal
from nexus.domain.builds.model import RunBuild, Started
from nexus.domain.builds.stage_attempt import ControlRequest
from nexus.domain.builds.workflow import Workflow
from nexus.domain.core.cancellation import is_being_cancelled
from nexus.domain.core.errors import InvalidInput, NexusError, QuotaExceeded, Unavailable
from nexus.domain.core.failpoints import hit
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import Tables, retry_stale
from nexus.domain.ports.jobs import JobQueue
from nexus.domain.projects.admission import Admission
from nexus.domain.projects.deletions import Deletions
from nexus.domain.projects.leases import BuildLeases
from nexus.domain.projects.model import BuildInterrupted, Command, Project, ProjectStatus, Run
from nexus.domain.projects.service import Projects
from nexus.domain.projects.starts import BuildStarter, Opening
from nexus.domain.requests.model import Once
from nexus.domain.requests.service import KeyedRequest, Requests
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


class Builds:
    def __init__(
        self,
        *,
        tables: Tables,
        projects: Projects,
        starter: BuildStarter,
        deletions: Deletions,
        admission: Admission,
        runs: BuildLeases,
        driver: BuildDriver,
        requests: Requests,
        queue: JobQueue,
        workflow: Workflow,
        executions: Executions[Task],
        worker_id: str,
        timeouts: BuildTimeouts = BuildTimeouts(),
    ) -> None:
        self._tables, self._projects, self._starter = tables, projects, starter
        self._deletions, self._admission, self._runs, self._driver = deletions, admission, runs, driver
        self._requests, self._queue, self._workflow = requests, queue, workflow
        self._executions, self._worker_id, self._timeouts = executions, worker_id, timeouts

    async def start(self, caller: Principal, wanted: Opening, *, once: Once | None = None) -> Started:
        """A project and its first build, held where there is no place for it; InvalidInput when the requirement cannot be one."""
        rules.check_requirement(wanted.requirement)

        async with self._requests.begin(caller, once, Started) as request:
            if request.answer is None:
                request.answer = await self._start(caller, wanted, request)
        await self._offer_or_admit(request.result.status, request.result.task_id, wanted.priority, caller.tenant_id)
        return request.result

    @retry_stale
    async def _start(self, caller: Principal, wanted: Opening, request: KeyedRequest[Started]) -> Started:
        project, before, writes = await self._starter.start(caller, wanted, self._workflow.plan)
        started = _answer_start(project, before)
        hit("before:project.create")
        await self._tables.of(caller).commit(*writes, *request.record(started))
        hit("after:project.create")
        return started

    async def command(
        self,
        caller: Principal,
        project_id: str,
        command: Command,
        *,
        from_stage: str | None = None,
        once: Once | None = None,
    ) -> Project:
        """Pause, resume, stop, retry or restart, which alone may begin at a stage. Idempotent, or WrongState with the present one."""
        if from_stage is not None and command != "restart":
            message = "Only a restart begins at a stage."
            raise InvalidInput(message, errors=[{"pointer": "/from_stage", "message": message}])
        if command in ("retry", "restart"):
            async with self._requests.begin(caller, once, Project) as request:
                if request.answer is None:
                    restarted = self._starter.restart(caller, project_id, command, request, from_stage=from_stage)
                    request.answer = await restarted
            project = request.result
        else:
            project = await self._projects.command(caller, project_id, command)
        await self._offer_or_admit(project.status, project.active_task_id, project.priority, project.tenant_id)
        return project

    async def stop_task(self, caller: Principal, task_id: str) -> Task:
        """Stops the build of a task; quiet where it was stopped. WrongState for a task that is over, or of another kind."""
        task = await self._projects.get_stoppable(caller, task_id)
        if task.status == "cancelled" or task.project_id is None:
            return task
        await self.command(caller, task.project_id, "stop")
        return await self._projects.task(caller, task.project_id)

    async def delete(self, caller: Principal, project_id: str, *, stop_first: bool = False) -> Project:
        """As `Deletions.delete`; the place of a build that was stopped by it is left to the next one."""
        deleted = await self._deletions.delete(caller, project_id, stop_first=stop_first)
        if deleted.status != "building":
            await self.admit(deleted.tenant_id)
        return deleted

    async def _offer_or_admit(self, status: ProjectStatus, task_id: str, priority: int, tenant_id: str) -> None:
        """After a change: what is queued may run; and where a place may have become free, what is held may."""
        if status == "queued":
            await self._enqueue(task_id, priority, tenant_id)
        elif status != "building":
            await self.admit(tenant_id)

    async def admit(self, tenant_id: str) -> None:
        """Lets builds of a tenant that are held into the queue while there is room."""
        try:
            while await self._admission.has_room(tenant_id) and await self._next_admitted(tenant_id):
                pass
        except QuotaExceeded:  # somebody else was faster
            return
        except NexusError as error:  # what was asked for is done all the same; the sweeper admits
            logger.warning("builds.not_admitted", tenant_id=tenant_id, reason=error.detail)

    async def _next_admitted(self, tenant_id: str) -> bool:
        for project in await self._projects.list_held(tenant_id):
            with contextlib.suppress(LeaseLost):  # the index lags: it is not held any more
                run = await self._runs.admit(project.active_task_id)
                await self.offer(run.task)
                return True
        return False

    async def offer(self, task: Task) -> None:
        """Hints a queued task again: what the sweeper does when a hint was lost."""
        await self._enqueue(task.task_id, task.priority, task.tenant_id)

    async def _enqueue(self, task_id: str, priority: int, tenant_id: str) -> None:
        await self._queue.enqueue(RunBuild(task_id=task_id), key=task_id, priority=priority, group=tenant_id)

    async def take_over(self, seen: Task) -> bool:
        """Goes on with a build whose worker is gone, or ends it where that is what is wanted. True: its job is to be run here."""
        try:
            if seen.control_status != "running":
                await self._runs.end_for(seen)
                self._executions.drop(seen)
                await self.admit(seen.tenant_id)
                return False
            run = await self._runs.take_over(seen, self._worker_id)
        except LeaseLost:
            return False
        self._executions.hold(run.task, lambda control: None)  # what comes before its job begins is left unanswered
        return True

    async def run(self, task_id: str) -> None:
        """The job: claims the build, or goes on with one taken over, until it is over, halted or somebody else's."""
        claiming = asyncio.ensure_future(self._runs.resume(task_id, self._worker_id))
        try:
            run = await asyncio.shield(claiming)
            while not await self._drive(run):
                logger.info("build.goes_on", task_id=task_id)
            await self.admit(run.project.tenant_id)
        except asyncio.CancelledError:  # this process ends; a claim that is under way would be kept for nothing
            with contextlib.suppress(LeaseLost):
                await self._release(await claiming)
            raise
        except LeaseLost as lost:
            logger.info("build.not_ours", task_id=task_id, reason=lost.detail)

    async def hand_back(self, task_id: str) -> None:
        """A build that this process took over and could not begin goes back into the queue, or into the state that is wanted of it."""
        seen = await self._executions.find(task_id)
        if seen and seen.status == "running" and seen.worker_id == self._worker_id:
            with contextlib.suppress(LeaseLost):
                await self._release(await self._runs.resume(seen.task_id, self._worker_id))
            self._executions.drop(seen)

    async def _drive(self, run: Run) -> bool:
        """Runs stages until the build is over, handed back or halted; False when it was to halt and is wanted again. Raises LeaseLost."""
        wanted = ControlRequest()
        work = asyncio.ensure_future(self._driver.run(run, wanted))
        self._executions.hold(run.task, partial(self._obey, wanted, work))
        try:
            await work
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
        except (Snooze, Unavailable) as why:
            if is_being_cancelled():
                raise asyncio.CancelledError from why
            if (waits := self._waits(why)) is None:
                raise
            with contextlib.suppress(LeaseLost):
                await self._snooze(run, waits)
                return True
        except BuildInterrupted as halted:
            wanted.control = halted.facts["control"]
        else:
            return True
        finally:
            self._executions.drop(run.task)
        return await self._apply_control(run)

    def _waits(self, why: Snooze | Unavailable) -> Snooze | None:
        """What the system's own trouble comes to: what it did to the last write is unknown, so the run is claimed and looked at anew."""
        if isinstance(why, Snooze):
            return why
        reason = str(why.facts.get("reason"))
        return (
            Snooze(
                reason, why.detail, seconds=self._timeouts.storage if reason == "storage_full" else self._timeouts.store
            )
            if is_internal(why)
            else None
        )

    async def _snooze(self, run: Run, waits: Snooze) -> None:
        """Back into the queue; tried for a while, as the store may be what is away."""
        for pause in self._timeouts.retries:
            try:
                await self._runs.release(run, reason=waits.reason, message=waits.message, seconds=waits.seconds)
                return
            except Unavailable as error:
                logger.warning("build.not_released", task_id=run.task.task_id, reason=error.detail)
                await asyncio.sleep(pause)
        await self._runs.release(run, reason=waits.reason, message=waits.message, seconds=waits.seconds)

    async def _apply_control(self, run: Run) -> bool:
        """Writes the state that is wanted, now that nothing of the run goes on. False when that is to go on after all."""
        control = (await self._runs.reload(run)).task.control_status
        with contextlib.suppress(LeaseLost):  # the wanted changed once more: look again
            if control == "paused":
                await self._runs.pause_done(run)
                return True
            if control == "stopped":
                await self._runs.stop_done(run)
                return True
        return False

    async def _release(self, run: Run) -> None:
        """This process ends: the run goes back into the queue, or into the state that is wanted of it."""
        while not await self._apply_control(run):
            with contextlib.suppress(LeaseLost):  # another wanted came in between: look again
                await self._runs.release(run)
                return

    def _obey(self, wanted: ControlRequest, work: "asyncio.Future[None]", control: Control | None) -> None:
        """What is wanted from now on: the work is cut at once to stop it or where it is lost, after some grace to pause it."""
        if control is None:
            wanted.lost = True
        else:
            wanted.control = control
        if control in (None, "stopped"):
            work.cancel()
        elif control == "paused":
            asyncio.get_running_loop().call_later(self._executions.times.grace, self._cancel_paused, wanted, work)

    def _cancel_paused(self, wanted: ControlRequest, work: "asyncio.Future[None]") -> None:
        if wanted.control == "paused":
            work.cancel()


def _answer_start(project: Project, before: int | None) -> Started:
    return Started(
        position=before,
        project_id=project.project_id,
        task_id=project.active_task_id,
        project_name=project.project_name,
        status=project.status,
        created_at=project.created_at,
    )
