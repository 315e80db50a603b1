"""Runs the stages of a claimed build, and holds them to what their workflow declares."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from nexus.domain.builds.agent_build import WORKFLOWS
from nexus.domain.builds.model import StageFailed
from nexus.domain.builds.outputs import Architecture
from nexus.domain.builds.rules import rest
from nexus.domain.builds.work import Rooms, Work
from nexus.domain.builds.workflow import Made, StageSpec, Workflow
from nexus.domain.core.errors import NexusError, NotFound, Unavailable
from nexus.domain.core.failpoints import hit
from nexus.domain.models.model import Spent
from nexus.domain.projects.model import JSON, Halted, Lost, Part, Run, Settled, Stage, StageResult
from nexus.domain.projects.rules import progress_of
from nexus.domain.projects.runs import Runs
from nexus.domain.runtime.journal import Journals
from nexus.domain.tasks.model import Control

DONE = ("completed", "skipped")
OURS = ("storage_full", "database")
"""Reasons of Unavailable that are the house's own, that pass, and that are no fault of the work: they cost no attempt."""

LONG_REST_SECONDS = 15.0
logger = structlog.get_logger()


class Failure(Struct, frozen=True):
    """Why an attempt gave nothing, and whether another one may."""

    code: str
    message: str
    retryable: bool
    retry_after: float | None = None


class Waits(Exception):
    """The run is to lie still for some seconds and go on by itself: it keeps no executor busy meanwhile."""

    def __init__(self, reason: str, *, seconds: float) -> None:
        super().__init__(reason)
        self.reason, self.seconds = reason, seconds


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
    def __init__(
        self,
        *,
        runs: Runs,
        rooms: Rooms,
        journals: Journals,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        timer: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        workflows: Mapping[str, Workflow] = WORKFLOWS,
    ) -> None:
        self._runs, self._rooms, self._journals = runs, rooms, journals
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
                error = {"code": failure.code, "message": failure.message, "retryable": failure.retryable}
                await self._runs.fail(run, error | {"stage": stage.stage_name})
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
            return Failure("prerequisite", f"{spec.name} needs {', '.join(unmet)}.", retryable=False)
        progress = progress_of(sum(other.status in DONE for other in stages) + 1, len(stages))
        while True:
            await wish.step()
            stage = await self._runs.start_stage(run, stage)
            failure = await self._attempt(run, spec, stage, outputs, (wish, progress))
            if failure is None:
                return None
            if failure.retryable and stage.attempt < spec.attempts:
                stage = await self._runs.retry_stage(run, stage, failure.message)
                await self._rested(stage, failure)
                continue
            if not spec.optional:
                return failure
            await self._runs.skip_stage(run, stage, failure.message, progress=progress)
            return None

    async def _rested(self, stage: Stage, failure: Failure) -> None:
        """Before the next attempt. Waits when that is far off."""
        seconds = rest(stage.attempt - 1, told=failure.retry_after, jitter=self._jitter())
        if seconds > LONG_REST_SECONDS:
            raise Waits(failure.code, seconds=seconds)
        await self._sleep(seconds)

    async def _attempt(
        self, run: Run, spec: StageSpec, stage: Stage, outputs: dict[str, Any], at: tuple[Wish, float]
    ) -> Failure | None:
        try:
            async with asyncio.timeout(spec.seconds):
                await self._done(run, spec, stage, outputs, at)
        except (Halted, Lost):
            raise
        except TimeoutError:
            return Failure("timed_out", f"{spec.name} took longer than {spec.seconds:g} s.", retryable=True)
        except NexusError as error:
            if is_ours(error):
                raise
            code = str(error.facts.get("code", type(error).__name__))
            told = error.facts.get("retry_after")
            return Failure(code, error.detail, isinstance(error, Unavailable), None if told is None else float(told))
        except Exception:
            logger.exception("stage.crashed", stage=spec.name, project_id=run.project.project_id)
            return Failure("internal", f"Something went wrong inside {spec.name}.", retryable=True)
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
            work = self._work(held, spec, stage, ({**outputs, spec.name: found}, "settle"), wish)
            settled = await spec.settle(work, made, commit_id)
        result = _result(made, parts, commit_id, spec)
        await self._runs.complete_stage(run, stage, result, progress=progress, settled=settled)
        outputs[spec.name] = found

    async def _made(
        self, run: Run, spec: StageSpec, stage: Stage, outputs: dict[str, Any], wish: Wish
    ) -> tuple[dict[str, Made], list[Part]]:
        if spec.whole:
            work = self._work(run, spec, stage, (outputs, ""), wish)
            return {"": await spec.whole(work)}, [_part("", stage, work, 0.0)]
        made, parts = dict[str, Made](), list[Part]()
        planned = msgspec.convert(outputs["architecture"][""], Architecture).agents
        for agent in planned:
            work, began = self._work(run, spec, stage, (outputs, agent.slug), wish), self._timer()
            assert spec.per_agent is not None
            made[agent.slug] = await spec.per_agent(work, agent)
            parts.append(_part(agent.slug, stage, work, self._timer() - began))
        return made, parts

    def _work(self, run: Run, spec: StageSpec, stage: Stage, known: tuple[Mapping[str, Any], str], wish: Wish) -> Work:
        (outputs, part), lines = known, list(stage.logs)
        scope = f"build:{run.project.project_id}/{run.project.build_no}/{spec.name}/{part}#{stage.attempt}"

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
            journal=self._journals(scope, lambda: (self._runs.guard(run),)),
        )

    async def _kept(self, run: Run, spec: StageSpec, stage: Stage, made: Mapping[str, Made]) -> str:
        """One commit for what the stage made for all its agents: its typed output, and the files for people."""
        files = {path: text.encode() for part in made.values() for path, text in part.files.items()}
        output = msgspec.json.encode({agent: part.output for agent, part in made.items()})
        files[_output_path(spec.name)] = msgspec.json.format(output, indent=2) + b"\n"
        build_no = run.project.build_no
        message = f"{spec.display_name}\n\nBuild {build_no}, stage {spec.name}, attempt {stage.attempt}"
        project_id = run.project.project_id
        return await self._rooms.repository.commit(project_id, files, message=message, key=f"{build_no}/{spec.name}")

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


def is_ours(error: NexusError) -> bool:
    return isinstance(error, Unavailable) and error.facts.get("reason") in OURS


def _output_path(stage: str) -> str:
    return f"stages/{stage}.json"


def _part(agent: str, stage: Stage, work: Work, seconds: float) -> Part:
    return Part(
        agent=agent,
        status="completed",
        attempt=stage.attempt,
        duration_seconds=round(seconds, 3),
        input_tokens=work.spent.input_tokens,
        output_tokens=work.spent.output_tokens,
        usage_unknown=work.spent.unknown,
        tool_calls=work.tool_calls,
    )


def _result(made: Mapping[str, Made], parts: list[Part], commit_id: str, spec: StageSpec) -> StageResult:
    summary = "; ".join(part.summary for part in made.values() if part.summary)[:500]
    files = sorted(path for part in made.values() for path in part.files)
    artifact = {"commit": commit_id, "path": _output_path(spec.name)}
    data: JSON = {"summary": summary, "files": files, "artifact": artifact}
    spent = Spent()
    for part in parts:
        spent = spent.plus(
            Spent(input_tokens=part.input_tokens, output_tokens=part.output_tokens, unknown=part.usage_unknown)
        )
    return StageResult(
        output_data=data,
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        usage_unknown=spent.unknown,
        tool_calls=sum(part.tool_calls for part in parts),
        parts=[part for part in parts if part.agent],
    )
