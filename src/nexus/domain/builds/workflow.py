"""What a workflow is: declared stages, and what the engine holds them to."""

from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from nexus.domain.builds.outputs import PlannedAgent
from nexus.domain.builds.work import Work
from nexus.domain.projects.model import Settled, StagePlan


class Made(Struct, frozen=True, kw_only=True):
    """What a stage function gives: its typed output, files by path from the project's root, and a line for people."""

    output: Struct
    files: Mapping[str, str] = {}
    summary: str = ""


Whole = Callable[[Work], Awaitable[Made]]
PerAgent = Callable[[Work, PlannedAgent], Awaitable[Made]]
Settle = Callable[[Work, Mapping[str, Made], str], Awaitable[Settled]]


class StageSpec(Struct, frozen=True, kw_only=True):
    """One stage. Exactly one of `whole` and `per_agent` is its function; `settle` gets what each agent's part made (a whole
    stage's under the key ""), and the commit that holds it.

    `needs`: stages that must be completed or skipped before; `attempts` and `seconds` bound one build; what is `optional` and fails, is skipped.
    """

    name: str
    display_name: str
    output: type[Struct]
    whole: Whole | None = None
    per_agent: PerAgent | None = None
    settle: Settle | None = None
    needs: tuple[str, ...] = ()
    optional: bool = False
    attempts: int = 3
    seconds: float = 900.0

    @property
    def plan(self) -> StagePlan:
        return StagePlan(name=self.name, display_name=self.display_name, optional=self.optional)


class Workflow(Struct, frozen=True, kw_only=True):
    """Stages in the order in which they run."""

    name: str
    stages: tuple[StageSpec, ...]

    def __post_init__(self) -> None:
        seen = set[str]()
        for stage in self.stages:
            if missing := set(stage.needs) - seen:
                raise TypeError(f"{self.name}: {stage.name} needs {sorted(missing)}, which do not come before it")
            if (stage.whole is None) == (stage.per_agent is None):
                raise TypeError(f"{self.name}: {stage.name} has not exactly one function")
            seen.add(stage.name)

    def stage(self, name: str) -> StageSpec:
        return next(stage for stage in self.stages if stage.name == name)
