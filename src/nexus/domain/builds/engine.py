"""Runs the stages of a claimed build, and holds them to what their workflow declares."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import msgspec
import structlog
from msgspec import structs

from nexus.domain.builds.agent_build import WORKFLOWS
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
    failure_of,
    is_ours,
    poisonous,
)
from nexus.domain.builds.work import Rooms, Work
from nexus.domain.builds.workflow import Made, StageSpec, Workflow
from nexus.domain.core.errors import NexusError, NotFound
from nexus.domain.core.failpoints import hit
from nexus.domain.ports.repository import Fence, Overtaken, Writer
from nexus.domain.projects.model import JSON, Halted, Lost, Part, Run, Settled, Stage
from nexus.domain.projects.rules import progress_of
from nexus.domain.projects.runs import Runs
from nexus.domain.runtime.crowd import Crowd
from nexus.domain.runtime.journal import Journal, Journals
from nexus.domain.tasks.model import Control

DONE = ("completed", "skipped")
SETTLING = ":settle"
"""The part of a stage, beside its agents' (no slug has a colon), that turns what was made into rows."""

logger = structlog.get_logger()


class Wish:
    """What is wanted of a run, as its watch last saw it."""

    def __init__(self) -> None:
        self.control: Control = "running"
        self.lost = False

    async def step(self) -> None:
        """Called before each model call: a run that is to halt halts here."""
        if self.lost or self.control != "running":
            raise Halted("The run is to halt.", control=self.control)


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
        declared, stages = self._workflows[workflow], await self._runs.stages(run)
        try:
            outputs = await self._outputs(run, stages)
        except StageFailed as lost:
            await self._runs.fail(run, {"code": lost.facts["code"], "message": lost.detail, "retryable": False})
            return
        for stage in stages:
            if stage.status in DONE:
                continue
            if failure := await self._stage(run, declared, stage, (stages, outputs), wish):
                await self._runs.fail(run, failure.told(stage.stage_name))
                return
            stages = await self._runs.stages(run)
        await self._runs.finish(run)

    async def _stage(
        self, run: Run, declared: Workflow, stage: Stage, before: tuple[Sequence[Stage], dict[str, Any]], wish: Wish
    ) -> Failure | None:
        """One stage through its attempts. None when it is done or skipped."""
        (stages, outputs), spec = before, declared.stage(stage.stage_name)
        status = {other.stage_name: other.status for other in stages}
        if unmet := [need for need in spec.needs if status[need] not in DONE]:
            return Failure("prerequisite", f"{spec.name} needs {', '.join(unmet)}.")
        progress = progress_of(sum(other.status in DONE for other in stages) + 1, len(stages))
        if stage.fallen:
            stage = structs.replace(stage, deaths=await self._deaths(run, spec, stage, outputs))
        async with self._crowd.alone_with_parts() if stage.deaths >= SUSPICIOUS_DEATHS else nullcontext():
            failure = await self._attempts(run, spec, stage, outputs, (wish, progress))
        if failure and spec.optional:
            await self._runs.skip_stage(run, stage, failure.message, progress=progress)
            return None
        return failure

    async def _deaths(self, run: Run, spec: StageSpec, stage: Stage, outputs: Mapping[str, Any]) -> int:
        """How often in a row hosts died in this stage outside its steps: what happens inside them, their journal counts."""
        for part in self._parts(spec, outputs):
            if await self._journal(run, stage, part).is_open():
                return 0
        return stage.deaths + 1

    async def _attempts(
        self, run: Run, spec: StageSpec, stage: Stage, outputs: dict[str, Any], at: tuple[Wish, float]
    ) -> Failure | None:
        """None when the stage is done."""
        wish, _ = at
        while True:
            await wish.step()
            if stage.status != "running":
                stage = await self._runs.start_stage(run, stage)
            if stage.deaths >= STAGE_DEATHS:
                return poisonous(spec.name, stage.deaths)
            failure = await self._attempt(run, spec, stage, outputs, at)
            if failure is None:
                return None
            if failure.away and stage.waited < (self._patience if failure.outside else HOUSE_SECONDS):
                stage = await self._waited(run, stage, failure)
            elif failure.again and stage.attempt < spec.attempts:
                stage = await self._runs.retry_stage(run, stage, failure.message)
                await self._sleep(rest(stage.attempt - 1, told=None, jitter=self._jitter()))
            else:
                return failure

    async def _waited(self, run: Run, stage: Stage, failure: Failure) -> Stage:
        """After what is away was given time. Waits when that is long."""
        seconds = wait(stage.waited, told=failure.retry_after, jitter=self._jitter())
        line = f"{failure.message} It is tried again in {seconds:.0f} s."
        stage = await self._runs.note_wait(run, stage, line, seconds=seconds)
        if seconds > LONG_REST_SECONDS:
            raise Waits(failure.code, failure.message, seconds=seconds)
        await self._sleep(seconds)
        return stage

    async def _attempt(
        self, run: Run, spec: StageSpec, stage: Stage, outputs: dict[str, Any], at: tuple[Wish, float]
    ) -> Failure | None:
        try:
            async with asyncio.timeout(spec.seconds):
                await self._done(run, spec, stage, outputs, at)
        except (Halted, Lost):
            raise
        except TimeoutError:
            return Failure("timed_out", f"{spec.name} took longer than {spec.seconds:g} s.", again=True)
        except NexusError as error:
            if is_ours(error):
                raise
            return failure_of(error)
        except Exception:
            logger.exception("stage.crashed", stage=spec.name, project_id=run.project.project_id)
            return Failure("internal", f"Something went wrong inside {spec.name}.", again=True)
        return None

    async def _done(
        self, run: Run, spec: StageSpec, stage: Stage, outputs: dict[str, Any], at: tuple[Wish, float]
    ) -> None:
        """The stage's function, its files as one commit, then its rows: the row is what makes it done."""
        wish, progress = at
        hit("before:stage.call")
        made, parts = await self._made(run, spec, stage, outputs, wish)
        hit("after:stage.call")
        found = {agent: msgspec.to_builtins(part.output) for agent, part in made.items()}
        await wish.step()
        held = await self._runs.held(run)
        hit("before:stage.commit")
        commit_id = await self._kept(held, spec, stage, made)
        hit("after:stage.commit")
        settled = Settled()
        if spec.settle:
            work = self._work(held, spec, stage, ({**outputs, spec.name: found}, SETTLING), wish)
            settled = await spec.settle(work, made, commit_id)
        result = result_of(made, parts, commit_id, spec)
        await self._runs.complete_stage(run, stage, result, progress=progress, settled=settled)
        outputs[spec.name] = found

    async def _made(
        self, run: Run, spec: StageSpec, stage: Stage, outputs: dict[str, Any], wish: Wish
    ) -> tuple[dict[str, Made], list[Part]]:
        if spec.whole:
            work = self._work(run, spec, stage, (outputs, ""), wish)
            async with work.answers():
                return {"": await spec.whole(work)}, [part_of("", stage, work, 0.0)]
        made, parts = dict[str, Made](), list[Part]()
        for agent in planned(outputs):
            work, began = self._work(run, spec, stage, (outputs, agent.slug), wish), self._timer()
            assert spec.per_agent is not None
            async with work.answers():
                made[agent.slug] = await spec.per_agent(work, agent)
            parts.append(part_of(agent.slug, stage, work, self._timer() - began))
        return made, parts

    def _work(self, run: Run, spec: StageSpec, stage: Stage, known: tuple[Mapping[str, Any], str], wish: Wish) -> Work:
        (outputs, part), lines = known, list(stage.logs)

        async def tell(line: str) -> None:
            lines.append(line)
            await self._runs.tell(run, stage, "stage.log", {"line": line}, logs=lines)

        async def advance(done: int, of: int) -> None:
            await self._runs.tell(run, stage, "stage.progress", {"done": done, "of": of})

        return Work(
            project=run.project,
            stage=spec.name,
            rooms=self._rooms,
            outputs=outputs,
            step=wish.step,
            tell=tell,
            advance=advance,
            journal=self._journal(run, stage, part),
        )

    def _journal(self, run: Run, stage: Stage, part: str) -> Journal:
        """One for all attempts and retries: what was paid for in an earlier one is replayed."""
        scope = f"build:{run.project.project_id}/{stage.journal_no}/{stage.stage_name}/{part}"
        return self._journals(scope, lambda: (self._runs.guard(run),))

    def _parts(self, spec: StageSpec, outputs: Mapping[str, Any]) -> Sequence[str]:
        return [*([""] if spec.whole else [agent.slug for agent in planned(outputs)]), SETTLING]

    async def _kept(self, run: Run, spec: StageSpec, stage: Stage, made: Mapping[str, Made]) -> str:
        """One commit for what the stage made for all its agents: its typed output, and the files for people."""
        files = {path: text.encode() for part in made.values() for path, text in part.files.items()}
        output = msgspec.json.encode({agent: part.output for agent, part in made.items()})
        files[output_path(spec.name)] = msgspec.json.format(output, indent=2) + b"\n"
        build_no = run.task.build_no
        message = f"{spec.display_name}\n\nBuild {build_no}, stage {spec.name}, attempt {stage.attempt}"
        writer = Writer(fence=Fence(build_no, run.task.fence), held=partial(self._runs.held, run))
        project_id, key, commit = run.project.project_id, f"{build_no}/{spec.name}", self._rooms.repository.commit
        try:
            return await commit(project_id, files, message=message, key=key, writer=writer)
        except Overtaken as error:
            raise Lost(error.detail) from error

    async def _outputs(self, run: Run, stages: Sequence[Stage]) -> dict[str, Any]:
        """What completed stages gave, out of the files that their rows point to."""
        outputs = dict[str, Any]()
        for stage in stages:
            if stage.status == "completed":
                pointer: JSON = (stage.output_data or {})["artifact"]
                try:
                    text = await self._rooms.repository.read(
                        run.project.project_id, pointer["path"], at=pointer["commit"]
                    )
                except NotFound as error:
                    raise StageFailed(f"The files of {stage.stage_name} are gone.", code="files_lost") from error
                outputs[stage.stage_name] = msgspec.json.decode(text)
        return outputs
