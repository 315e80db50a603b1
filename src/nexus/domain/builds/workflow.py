"""What a workflow is: declared stages, and what the driver holds them to."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from nexus.domain.builds.stage_context import StageContext
from nexus.domain.projects.model import StageEffects, StagePlan, WorkflowPlan
from nexus.domain.tasks.model import TaskType

WHOLE = ""
"""The only part of a stage that does not fan out."""


class StageOutput(Struct, frozen=True, kw_only=True):
    """What a stage function gives: its typed output, files by path from the project's root, and a line for people."""

    output: Struct
    files: Mapping[str, str] = {}
    summary: str = ""


Outputs = Mapping[str, Any]
"""By the name of a completed stage and that of its part, what it gave, as JSON values."""

RunStage = Callable[[StageContext], Awaitable[StageOutput]]
Finalize = Callable[[StageContext, Mapping[str, StageOutput], str], Awaitable[StageEffects]]


def list_single_part(outputs: Outputs) -> Sequence[str]:
    return (WHOLE,)


class StageSpec(Struct, frozen=True):
    """One stage. `run` makes one part of it, which its context names; `parts` are those that it fans out to, by what came before;
    `finalize` gets what each part made, and the commit that holds it, and says what else is written.

    `needs`: stages that must be completed or skipped before; `attempts` and `seconds` bound one build; what is `optional` and fails, is skipped.
    """

    name: str
    run: RunStage
    parts: Callable[[Outputs], Sequence[str]] = list_single_part
    finalize: Finalize | None = None
    needs: tuple[str, ...] = ()
    optional: bool = False
    attempts: int = 3
    seconds: float = 900.0

    @property
    def plan(self) -> StagePlan:
        return StagePlan(name=self.name, display_name=self.name.capitalize(), optional=self.optional)


class Workflow(Struct, frozen=True, kw_only=True):
    """Stages in the order in which they run; `inputs` is what a build of it is begun with, `task_type` what its users see of it."""

    name: str
    task_type: TaskType
    inputs: type[Struct]
    stages: tuple[StageSpec, ...]

    def __post_init__(self) -> None:
        seen = set[str]()
        for stage in self.stages:
            if missing := set(stage.needs) - seen:
                raise TypeError(f"{self.name}: {stage.name} needs {sorted(missing)}, which do not come before it")
            seen.add(stage.name)

    @property
    def plan(self) -> WorkflowPlan:
        return WorkflowPlan(self.name, self.task_type, tuple(stage.plan for stage in self.stages))

    def get_stage_spec(self, name: str) -> StageSpec:
        return next(stage for stage in self.stages if stage.name == name)
