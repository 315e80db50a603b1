"""Runs the stages of a claimed build, and holds them to what their workflow declares."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial

import msgspec
import structlog
from msgspec import Struct, structs

from nexus.domain.builds.failures import (
    INTERNAL_SECONDS,
    LONG_REST_SECONDS,
    STAGE_DEATHS,
    SUSPICIOUS_DEATHS,
    Failure,
    Snooze,
    is_storage_fault,
    make_crash_failure,
)
from nexus.domain.builds.model import StageFailed
from nexus.domain.builds.rules import compute_outage_delay, compute_retry_delay
from nexus.domain.builds.stage_attempt import FINALIZING, ControlRequest, StageAttempt, make_stage_output_path
from nexus.domain.builds.stage_context import StageContext, StageHooks, StageServices
from nexus.domain.builds.workflow import Outputs, StageOutput, Workflow
from nexus.domain.core.errors import NexusError, NotFound, Unavailable
from nexus.domain.core.failpoints import hit_failpoint
from nexus.domain.core.values import JSON
from nexus.domain.ports.repository import Fence, Overtaken, Writer
from nexus.domain.ports.tracing import open_span
from nexus.domain.projects.leases import BuildLeases
from nexus.domain.projects.model import DONE, BuildInterrupted, Run, Stage, StageEffects
from nexus.domain.runtime.journal import Journal, Journals
from nexus.domain.runtime.quarantine import QuarantineGate, limit_work_time
from nexus.domain.tasks.execution import LeaseLost

logger = structlog.get_logger()


class Waiting(Struct, frozen=True, kw_only=True):
    """How time goes by. `patience`: the seconds in all that a stage may lie still because a part of the world is away."""

    patience: float = 3600.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    timer: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random


class BuildDriver:
    def __init__(
        self,
        *,
        runs: BuildLeases,
        services: StageServices,
        workflows: Sequence[Workflow],
        journals: Journals,
        gate: QuarantineGate,
        waiting: Waiting = Waiting(),
    ) -> None:
        self._runs, self._services, self._journals, self._gate = runs, services, journals, gate
        self._workflows = {workflow.name: workflow for workflow in workflows}
        self._patience, self._sleep = waiting.patience, waiting.sleep
        self._timer, self._jitter = waiting.timer, waiting.jitter

    async def run_pending_stages(self, run: Run, control: ControlRequest) -> None:
        """All stages that are not done, in order; the build is completed or failed when this returns. Raises BuildInterrupted and
        LeaseLost."""
        build, stages = await self._runs.build(run), await self._runs.list_stages(run)
        workflow, outputs = self._workflows[build.workflow], dict[str, JSON]()
        request = msgspec.convert(build.request, workflow.inputs)
        for stage in stages:
            if stage.status in DONE:
                continue
            spec = workflow.get_stage_spec(stage.stage_name)
            attempt = StageAttempt(
                run=run, request=request, spec=spec, stage=stage, stages=stages, outputs=outputs, control=control
            )
            if failure := await self._run_stage(attempt):
                await self._runs.fail_build(run, failure.make_error_info(spec.name), lasting=failure.lasting)
                return
            stages = await self._runs.list_stages(run)
        await self._runs.finish_build(run)

    async def _run_stage(self, attempt: StageAttempt) -> Failure | None:
        """One stage through its attempts. None when it is done or skipped."""
        if unmet := attempt.unmet_prerequisites:
            return Failure(code="prerequisite", message=f"{attempt.spec.name} needs {', '.join(unmet)}.")
        if attempt.stage.fallen:
            before, deaths = attempt.stage.deaths, await self._count_process_deaths(attempt)
            attempt.stage = structs.replace(attempt.stage, deaths=deaths)
            if deaths > before and deaths % SUSPICIOUS_DEATHS == 0:
                await self._invalidate_fatal_answer(attempt)
        async with self._gate.acquire_exclusive_reentrant() if _is_crash_prone(attempt.stage) else nullcontext():
            failure = await self._retry_stage_attempts(attempt)
        if failure and attempt.spec.optional and attempt.stage.deaths < STAGE_DEATHS:
            reason, lasting = failure.message, failure.lasting
            await self._runs.skip_stage(
                attempt.run, attempt.stage, reason, progress=attempt.build_progress_when_done, lasting=lasting
            )
            return None
        return failure

    async def _count_process_deaths(self, attempt: StageAttempt) -> int:
        """How often in a row processes died in this stage outside its steps: what happens inside them, their journal counts."""
        try:
            await self._read_stage_outputs(attempt)
        except (Unavailable, StageFailed):  # told when the stage begins; nobody can say where the process died
            return attempt.stage.deaths
        for part in attempt.journaled_parts:
            if await self._make_part_journal(attempt, part).has_unfinished_step():
                return 0
        return attempt.stage.deaths + 1

    async def _invalidate_fatal_answer(self, attempt: StageAttempt) -> None:
        """The answer that no process has outlived so far may be what kills them: it is not replayed to more of them."""
        for part in reversed(attempt.journaled_parts):
            if await self._make_part_journal(attempt, part).invalidate_last_answer():
                facts = {"stage": attempt.spec.name, "part": part, "task_id": attempt.run.task.task_id}
                logger.warning("stage.answer_forgotten", **facts)
                return

    async def _retry_stage_attempts(self, attempt: StageAttempt) -> Failure | None:
        """None when the stage is done."""
        while True:
            await attempt.control.check_still_running()
            if attempt.stage.status != "running":
                await self._mark_stage_started(attempt)
            if attempt.stage.deaths >= STAGE_DEATHS:
                return make_crash_failure(attempt.spec.name, attempt.stage.deaths)
            failure = await self._try_stage(attempt)
            if failure is None:
                return None
            limit = self._patience if failure.outside else INTERNAL_SECONDS
            if failure.away and _sum_waited_seconds(attempt.stage, failure) < limit:
                await self._wait_for_service(attempt, failure)
            elif failure.again and attempt.stage.attempt < attempt.spec.attempts:
                await self._schedule_stage_retry(attempt, failure)
            else:
                return failure

    async def _mark_stage_started(self, attempt: StageAttempt) -> None:
        """T6. What is to be asked anew is forgotten before, so that this is done once."""
        for part, step in attempt.stage.journal_from.items():
            await self._make_part_journal(attempt, part).delete_steps_since(step)
        attempt.stage = await self._runs.start_stage(attempt.run, attempt.stage)

    async def _schedule_stage_retry(self, attempt: StageAttempt, failure: Failure) -> None:
        anew = failure.lasting.journal_from
        attempt.stage = await self._runs.retry_stage(attempt.run, attempt.stage, failure.message, journal_from=anew)
        seconds = compute_retry_delay(attempt.stage.attempt - 1, told=failure.retry_after, jitter=self._jitter())
        await self._sleep_or_snooze_build(attempt, failure, seconds)

    async def _wait_for_service(self, attempt: StageAttempt, failure: Failure) -> None:
        """After what is away was given time."""
        waited = _sum_waited_seconds(attempt.stage, failure)
        seconds = compute_outage_delay(waited, told=failure.retry_after, jitter=self._jitter())
        line = f"{failure.message} It is tried again in {seconds:.0f} s."
        total = {"waited" if failure.outside else "stalled": waited + seconds}
        attempt.stage = await self._runs.record_stage_wait(attempt.run, attempt.stage, line, **total)
        await self._sleep_or_snooze_build(attempt, failure, seconds)

    async def _sleep_or_snooze_build(self, attempt: StageAttempt, failure: Failure, seconds: float) -> None:
        """Snoozes where that is long, or where others wait meanwhile."""
        if seconds > LONG_REST_SECONDS or _is_crash_prone(attempt.stage):
            raise Snooze(failure.code, failure.message, seconds=seconds)
        await self._sleep(seconds)

    async def _try_stage(self, attempt: StageAttempt) -> Failure | None:
        attempt.reset_try_state()
        try:
            async with limit_work_time(attempt.spec.seconds):
                await self._read_stage_outputs(attempt)
                with open_span(f"stage {attempt.spec.name}"):
                    await self._run_and_commit_stage(attempt)
        except (BuildInterrupted, LeaseLost):
            raise
        except NexusError as error:
            if is_storage_fault(error):
                raise
            return attempt.make_stage_failure(error)
        except Exception as error:
            if not isinstance(error, TimeoutError):
                project_id = attempt.run.project.project_id
                logger.exception("stage.crashed", stage=attempt.spec.name, project_id=project_id)
            return attempt.make_stage_failure(error)
        return None

    async def _run_and_commit_stage(self, attempt: StageAttempt) -> None:
        """The stage's function, its files as one commit, then its rows: the row is what makes it done."""
        hit_failpoint("before:stage.call")
        outputs = await self._run_stage_parts(attempt)
        hit_failpoint("after:stage.call")
        found = {part: msgspec.to_builtins(output.output) for part, output in outputs.items()}
        await attempt.control.check_still_running()
        hit_failpoint("before:stage.commit", about=attempt.run.project.requirement)
        commit_id = await self._commit_stage_files(attempt, outputs)
        hit_failpoint("after:stage.commit", about=attempt.run.project.requirement)
        effects = StageEffects()
        if attempt.spec.finalize:
            context = self._make_stage_context(attempt, FINALIZING, {**attempt.outputs, attempt.spec.name: found})
            effects = await attempt.spec.finalize(context, outputs, commit_id)
        result = attempt.make_stage_result(outputs, commit_id)
        await self._runs.complete_stage(
            attempt.run, attempt.stage, result, progress=attempt.build_progress_when_done, effects=effects
        )
        attempt.outputs[attempt.spec.name] = found

    async def _run_stage_parts(self, attempt: StageAttempt) -> Mapping[str, StageOutput]:
        outputs = dict[str, StageOutput]()
        for part in attempt.spec.parts(attempt.outputs):
            began = self._timer()
            attempt.current = self._make_stage_context(attempt, part, attempt.outputs)
            outputs[part] = await attempt.spec.run(attempt.current)
            attempt.add_finished_part(attempt.current, self._timer() - began)
        attempt.current = None
        return outputs

    def _make_stage_context(self, attempt: StageAttempt, part: str, outputs: Outputs) -> StageContext:
        run, stage = attempt.run, attempt.stage

        async def write_line(line: str) -> None:
            attempt.lines.append(line)
            await self._runs.report_progress(run, stage, "stage.log", {"line": line}, logs=attempt.lines)

        async def report_progress(done: int, of: int) -> None:
            await self._runs.report_progress(run, stage, "stage.progress", {"done": done, "of": of})

        context = StageContext(
            project=run.project,
            request=attempt.request,
            stage=attempt.spec.name,
            part=part,
            services=self._services,
            outputs=outputs,
            journal=self._make_part_journal(attempt, part),
            hooks=StageHooks(step=attempt.control.check_still_running, note=write_line, advance=report_progress),
        )
        attempt.contexts.append(context)
        return context

    def _make_part_journal(self, attempt: StageAttempt, part: str) -> Journal:
        """One for all attempts and retries: what was paid for in an earlier one is replayed."""
        scope = f"build:{attempt.run.project.project_id}/{attempt.stage.journal_no}/{attempt.spec.name}/{part}"
        return self._journals(scope=scope, guard=lambda: (self._runs.make_lease_guard(attempt.run),))

    async def _commit_stage_files(self, attempt: StageAttempt, outputs: Mapping[str, StageOutput]) -> str:
        """One commit for what the stage made of all its parts: its typed output, and the files for people."""
        spec, stage, task = attempt.spec, attempt.stage, attempt.run.task
        files = {path: text.encode() for output in outputs.values() for path, text in output.files.items()}
        encoded = msgspec.json.encode({part: output.output for part, output in outputs.items()})
        files[make_stage_output_path(spec.name)] = msgspec.json.format(encoded, indent=2) + b"\n"
        message = f"{stage.display_name}\n\nBuild {task.build_no}, stage {spec.name}, attempt {stage.attempt}"
        writer = Writer(fence=Fence(task.build_no, task.fence), held=partial(self._runs.reload_run, attempt.run))
        project_id, key = attempt.run.project.project_id, f"{task.build_no}/{spec.name}"
        try:
            return await self._services.repository.commit(project_id, files, message=message, key=key, writer=writer)
        except Overtaken as error:
            await self._runs.reload_run(attempt.run)
            told = "The history of the files is ahead of the database. Was an older database put back? Start a new project."
            raise StageFailed(told, code="history_ahead") from error

    async def _read_stage_outputs(self, attempt: StageAttempt) -> None:
        """What completed stages gave, out of the files that their rows point to."""
        for stage in attempt.stages:
            if stage.status == "completed" and stage.stage_name not in attempt.outputs:
                pointer: JSON = (stage.output_data or {})["artifact"]
                project_id, path = attempt.run.project.project_id, pointer["path"]
                try:
                    content = await self._services.repository.read(project_id, path, at=pointer["commit"])
                except NotFound as error:
                    raise StageFailed(f"The files of {stage.stage_name} are gone.", code="files_lost") from error
                attempt.outputs[stage.stage_name] = msgspec.json.decode(content)


def _is_crash_prone(stage: Stage) -> bool:
    return stage.deaths >= SUSPICIOUS_DEATHS


def _sum_waited_seconds(stage: Stage, failure: Failure) -> float:
    """For how long it was waited already, since something was last paid for."""
    if failure.progressed:
        return 0.0
    return stage.waited if failure.outside else stage.stalled
