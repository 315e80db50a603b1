"""Runs the stages of a claimed build, and holds them to what their workflow declares."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import msgspec
import structlog
from msgspec import structs

from nexus.domain.builds.agent_build import WORKFLOWS
from nexus.domain.builds.attempts import SETTLING, Attempt, Wish
from nexus.domain.builds.model import StageFailed
from nexus.domain.builds.results import output_path, part_of, planned, result_of
from nexus.domain.builds.rules import rest, wait
from nexus.domain.builds.troubles import (
    HOUSE_SECONDS,
    LONG_REST_SECONDS,
    STAGE_DEATHS,
    SUSPICIOUS_DEATHS,
    Failure,
    Waits,
    is_ours,
    poisonous,
)
from nexus.domain.builds.work import Rooms, Work
from nexus.domain.builds.workflow import Made, Workflow
from nexus.domain.core.errors import NexusError, NotFound, Unavailable
from nexus.domain.core.failpoints import hit
from nexus.domain.core.values import JSON
from nexus.domain.ports.repository import Fence, Overtaken, Writer
from nexus.domain.projects.model import DONE, Halted, Lost, Part, Run, Settled, Stage
from nexus.domain.projects.runs import Runs
from nexus.domain.runtime.crowd import Crowd, work_time
from nexus.domain.runtime.journal import Journal, Journals

logger = structlog.get_logger()


class Engine:
    """`patience`: the seconds in all that a stage may lie still because a part of the world is away."""

    def __init__(
        self,
        *,
        runs: Runs,
        rooms: Rooms,
        journals: Journals,
        crowd: Crowd,
        patience: float = 3600.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        timer: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        workflows: Mapping[str, Workflow] = WORKFLOWS,
    ) -> None:
        self._runs, self._rooms, self._journals, self._crowd, self._patience = runs, rooms, journals, crowd, patience
        self._sleep, self._timer, self._jitter, self._workflows = sleep, timer, jitter, workflows

    async def run(self, run: Run, workflow: str, wish: Wish) -> None:
        """All stages that are not done, in order; the build is completed or failed when this returns. Raises Halted and Lost."""
        declared, stages, outputs = self._workflows[workflow], await self._runs.stages(run), dict[str, Any]()
        for stage in stages:
            if stage.status in DONE:
                continue
            spec = declared.stage(stage.stage_name)
            at = Attempt(run=run, spec=spec, stage=stage, stages=stages, outputs=outputs, wish=wish)
            if failure := await self._stage(at):
                await self._runs.fail(run, failure.told(spec.name), lasting=failure.lasting)
                return
            stages = await self._runs.stages(run)
        await self._runs.finish(run)

    async def _stage(self, at: Attempt) -> Failure | None:
        """One stage through its attempts. None when it is done or skipped."""
        if unmet := at.unmet:
            return Failure(code="prerequisite", message=f"{at.spec.name} needs {', '.join(unmet)}.")
        if at.stage.fallen:
            before, deaths = at.stage.deaths, await self._deaths(at)
            at.stage = structs.replace(at.stage, deaths=deaths)
            if deaths > before and deaths % SUSPICIOUS_DEATHS == 0:
                await self._forget_unsurvived(at)
        async with self._crowd.alone_with_parts() if _is_suspicious(at.stage) else nullcontext():
            failure = await self._attempts(at)
        if failure and at.spec.optional and at.stage.deaths < STAGE_DEATHS:
            reason, lasting = failure.message, failure.lasting
            await self._runs.skip_stage(at.run, at.stage, reason, progress=at.progress, lasting=lasting)
            return None
        return failure

    async def _deaths(self, at: Attempt) -> int:
        """How often in a row hosts died in this stage outside its steps: what happens inside them, their journal counts."""
        try:
            await self._read(at)
        except (Unavailable, StageFailed):  # which is told when the stage begins; nobody can say where the host died
            return at.stage.deaths
        for part in at.parts:
            if await self._journal(at, part).is_open():
                return 0
        return at.stage.deaths + 1

    async def _forget_unsurvived(self, at: Attempt) -> None:
        """The answer that no host has outlived so far may be what kills them: it is not replayed to more of them."""
        for part in reversed(at.parts):
            if await self._journal(at, part).forget_answer():
                logger.warning("stage.answer_forgotten", stage=at.spec.name, part=part, task_id=at.run.task.task_id)
                return

    async def _attempts(self, at: Attempt) -> Failure | None:
        """None when the stage is done."""
        while True:
            await at.wish.step()
            if at.stage.status != "running":
                await self._begun(at)
            if at.stage.deaths >= STAGE_DEATHS:
                return poisonous(at.spec.name, at.stage.deaths)
            failure = await self._tried(at)
            if failure is None:
                return None
            if failure.away and _waited(at.stage, failure) < (self._patience if failure.outside else HOUSE_SECONDS):
                await self._rested(at, failure)
            elif failure.again and at.stage.attempt < at.spec.attempts:
                told, anew = failure.message, failure.lasting.journal_from
                at.stage = await self._runs.retry_stage(at.run, at.stage, told, journal_from=anew)
                seconds = rest(at.stage.attempt - 1, told=failure.retry_after, jitter=self._jitter())
                await self._slept(at, failure, seconds)
            else:
                return failure

    async def _begun(self, at: Attempt) -> None:
        """T6. What is to be asked anew is forgotten before, so that this is done once."""
        for part, step in at.stage.journal_from.items():
            await self._journal(at, part).forget(step)
        at.stage = await self._runs.start_stage(at.run, at.stage)

    async def _rested(self, at: Attempt, failure: Failure) -> None:
        """After what is away was given time."""
        waited = _waited(at.stage, failure)
        seconds = wait(waited, told=failure.retry_after, jitter=self._jitter())
        line = f"{failure.message} It is tried again in {seconds:.0f} s."
        total = {"waited" if failure.outside else "stalled": waited + seconds}
        at.stage = await self._runs.note_wait(at.run, at.stage, line, **total)
        await self._slept(at, failure, seconds)

    async def _slept(self, at: Attempt, failure: Failure, seconds: float) -> None:
        """Waits where that is long, or where others wait meanwhile."""
        if seconds > LONG_REST_SECONDS or _is_suspicious(at.stage):
            raise Waits(failure.code, failure.message, seconds=seconds)
        await self._sleep(seconds)

    async def _tried(self, at: Attempt) -> Failure | None:
        at.begins()
        try:
            async with work_time(at.spec.seconds):
                await self._read(at)
                await self._done(at)
        except (Halted, Lost):
            raise
        except NexusError as error:
            if is_ours(error):
                raise
            return at.failed(error)
        except Exception as error:
            if not isinstance(error, TimeoutError):
                logger.exception("stage.crashed", stage=at.spec.name, project_id=at.run.project.project_id)
            return at.failed(error)
        return None

    async def _done(self, at: Attempt) -> None:
        """The stage's function, its files as one commit, then its rows: the row is what makes it done."""
        hit("before:stage.call")
        made, parts = await self._made(at)
        hit("after:stage.call")
        found = {agent: msgspec.to_builtins(part.output) for agent, part in made.items()}
        await at.wish.step()
        hit("before:stage.commit", about=at.run.project.requirement)
        commit_id = await self._kept(at, made)
        hit("after:stage.commit", about=at.run.project.requirement)
        settled = Settled()
        if at.spec.settle:
            work = self._work(at, SETTLING, {**at.outputs, at.spec.name: found})
            settled = await at.spec.settle(work, made, commit_id)
        result = result_of(made, parts, commit_id, at.spec)
        await self._runs.complete_stage(at.run, at.stage, result, progress=at.progress, settled=settled)
        at.outputs[at.spec.name] = found

    async def _made(self, at: Attempt) -> tuple[dict[str, Made], list[Part]]:
        made, parts = dict[str, Made](), list[Part]()
        if at.spec.whole:
            at.current = self._work(at, "", at.outputs)
            made[""] = await at.spec.whole(at.current)
            parts.append(part_of("", at.stage, at.current, 0.0))
        elif at.spec.per_agent:
            for agent in planned(at.outputs):
                at.current, began = self._work(at, agent.slug, at.outputs), self._timer()
                made[agent.slug] = await at.spec.per_agent(at.current, agent)
                parts.append(part_of(agent.slug, at.stage, at.current, self._timer() - began))
        at.current = None
        return made, parts

    def _work(self, at: Attempt, part: str, outputs: Mapping[str, Any]) -> Work:
        run, stage, lines = at.run, at.stage, list(at.stage.logs)

        async def tell(line: str) -> None:
            lines.append(line)
            await self._runs.tell(run, stage, "stage.log", {"line": line}, logs=lines)

        async def advance(done: int, of: int) -> None:
            await self._runs.tell(run, stage, "stage.progress", {"done": done, "of": of})

        work = Work(
            project=run.project,
            stage=at.spec.name,
            part=part,
            rooms=self._rooms,
            outputs=outputs,
            step=at.wish.step,
            tell=tell,
            advance=advance,
            journal=self._journal(at, part),
        )
        at.works.append(work)
        return work

    def _journal(self, at: Attempt, part: str) -> Journal:
        """One for all attempts and retries: what was paid for in an earlier one is replayed."""
        scope = f"build:{at.run.project.project_id}/{at.stage.journal_no}/{at.spec.name}/{part}"
        return self._journals(scope, lambda: (self._runs.guard(at.run),))

    async def _kept(self, at: Attempt, made: Mapping[str, Made]) -> str:
        """One commit for what the stage made for all its agents: its typed output, and the files for people."""
        spec, task = at.spec, at.run.task
        files = {path: text.encode() for part in made.values() for path, text in part.files.items()}
        output = msgspec.json.encode({agent: part.output for agent, part in made.items()})
        files[output_path(spec.name)] = msgspec.json.format(output, indent=2) + b"\n"
        message = f"{spec.display_name}\n\nBuild {task.build_no}, stage {spec.name}, attempt {at.stage.attempt}"
        writer = Writer(fence=Fence(task.build_no, task.fence), held=partial(self._runs.held, at.run))
        project_id, key, repository = at.run.project.project_id, f"{task.build_no}/{spec.name}", self._rooms.repository
        try:
            return await repository.commit(project_id, files, message=message, key=key, writer=writer)
        except Overtaken as error:
            await self._runs.held(at.run)
            told = "The history of the files is ahead of the database. Was an older database put back? Start a new project."
            raise StageFailed(told, code="history_ahead") from error

    async def _read(self, at: Attempt) -> None:
        """What completed stages gave, out of the files that their rows point to."""
        for stage in at.stages:
            if stage.status == "completed" and stage.stage_name not in at.outputs:
                pointer: JSON = (stage.output_data or {})["artifact"]
                read = self._rooms.repository.read(at.run.project.project_id, pointer["path"], at=pointer["commit"])
                try:
                    at.outputs[stage.stage_name] = msgspec.json.decode(await read)
                except NotFound as error:
                    raise StageFailed(f"The files of {stage.stage_name} are gone.", code="files_lost") from error


def _is_suspicious(stage: Stage) -> bool:
    return stage.deaths >= SUSPICIOUS_DEATHS


def _waited(stage: Stage, failure: Failure) -> float:
    """The seconds for which it was waited already, since something was last paid for."""
    if failure.progressed:
        return 0.0
    return stage.waited if failure.outside else stage.stalled
