"""A stage as one process goes through it: what is at hand, what the present try paid for, and what it comes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import Struct, structs

from nexus.domain.builds.failures import Failure, classify_error
from nexus.domain.builds.stage_context import StageContext
from nexus.domain.builds.workflow import StageOutput, StageSpec
from nexus.domain.core.errors import NexusError, Unavailable
from nexus.domain.core.values import JSON
from nexus.domain.models.model import Spent
from nexus.domain.projects.model import DONE, BuildInterrupted, Lasting, Part, Run, Stage, StageResult
from nexus.domain.projects.rules import compute_progress_percent
from nexus.domain.tasks.model import Control

FINALIZING = ":settle"
"""What finalizes a stage has a journal of its own beside those of the parts, whose names have no colon."""


class ControlRequest:
    """What is wanted of a run, as its watch last saw it."""

    def __init__(self) -> None:
        self.control: Control = "running"
        self.lost = False

    async def check_still_running(self) -> None:
        """Called before each model call: a run that is to stop stops here."""
        if self.lost or self.control != "running":
            raise BuildInterrupted("The run is to halt.", control=self.control)


@dataclass(kw_only=True)
class StageAttempt:
    """`stages` are all of the build, `outputs` what completed ones gave, as far as they were read. Of the present try: its `contexts`, the
    one that is under way (`current`), the `parts` that are done, and the `lines` of the stage's log."""

    run: Run
    request: Struct
    spec: StageSpec
    stage: Stage
    stages: Sequence[Stage]
    outputs: dict[str, JSON]
    control: ControlRequest
    contexts: list[StageContext] = field(default_factory=list)
    current: StageContext | None = None
    parts: list[Part] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def build_progress_when_done(self) -> float:
        """Of the build, once this stage is done."""
        return compute_progress_percent(sum(other.status in DONE for other in self.stages) + 1, len(self.stages))

    @property
    def unmet_prerequisites(self) -> Sequence[str]:
        """What must be done before, and is not."""
        status = {other.stage_name: other.status for other in self.stages}
        return [need for need in self.spec.needs if status[need] not in DONE]

    @property
    def journaled_parts(self) -> Sequence[str]:
        return [*self.spec.parts(self.outputs), FINALIZING]

    def reset_try_state(self) -> None:
        self.contexts, self.parts, self.current, self.lines = [], [], None, list(self.stage.logs)

    def add_finished_part(self, context: StageContext, seconds: float) -> None:
        """A part of the present try is done."""
        done = Part(
            agent=context.part,
            status="completed",
            attempt=self.stage.attempt,
            duration_seconds=round(seconds, 3),
            input_tokens=context.spent.input_tokens,
            output_tokens=context.spent.output_tokens,
            usage_unknown=context.spent.unknown,
            tool_calls=context.tool_calls,
        )
        self.parts.append(done)

    def make_stage_result(self, outputs: Mapping[str, StageOutput], commit_id: str) -> StageResult:
        """What the stage leaves in its row."""
        data: JSON = {
            "summary": "; ".join(output.summary for output in outputs.values() if output.summary)[:500],
            "files": sorted({path for output in outputs.values() for path in output.files}),
            "artifact": {"commit": commit_id, "path": make_stage_output_path(self.spec.name)},
        }
        return StageResult(
            output_data=data,
            input_tokens=sum(part.input_tokens for part in self.parts),
            output_tokens=sum(part.output_tokens for part in self.parts),
            usage_unknown=any(part.usage_unknown for part in self.parts),
            tool_calls=sum(part.tool_calls for part in self.parts),
            parts=[part for part in self.parts if part.agent],
        )

    def make_stage_failure(self, error: Exception) -> Failure:
        """What the error that ended the try comes to."""
        spent = self._sum_token_usage(error)
        lasting = Lasting(
            input_tokens=spent.input_tokens,
            output_tokens=spent.output_tokens,
            usage_unknown=spent.unknown,
            journal_from=self._find_steps_to_redo(error),
        )
        progressed = any(context.journal.finished_step_count > context.journal.replayed for context in self.contexts)
        return structs.replace(self._classify_error(error), progressed=progressed, lasting=lasting)

    def _classify_error(self, error: Exception) -> Failure:
        if isinstance(error, NexusError):
            return classify_error(error)
        if isinstance(error, TimeoutError):
            told = f"{self.spec.name} took longer than {self.spec.seconds:g} s."
            return Failure(code="timed_out", message=told, again=True)
        return Failure(code="internal", message=f"Something went wrong inside {self.spec.name}.", again=True)

    def _sum_token_usage(self, error: Exception) -> Spent:
        """What is known; of a call that broke off, nothing is."""
        spent = Spent()
        for context in self.contexts:
            spent = spent.add_usage(context.spent)
        if isinstance(error, NexusError) and isinstance(told := error.facts.get("spent"), Spent):
            return spent.add_usage(told)
        cut = self.current is not None and isinstance(error, Unavailable | TimeoutError)
        return spent.add_usage(Spent(unknown=cut))

    def _find_steps_to_redo(self, error: Exception) -> dict[str, int]:
        if self.current is None or isinstance(error, Unavailable | TimeoutError):
            return {}
        return {self.current.part: self.current.get_first_step_to_redo(error)}


def make_stage_output_path(stage: str) -> str:
    return f"stages/{stage}.json"
