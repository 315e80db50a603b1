"""A stage as one executor goes through it: what is at hand, what the present try paid for, and what its failure comes to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from nexus.domain.builds.results import planned
from nexus.domain.builds.troubles import Failure, failure_of
from nexus.domain.builds.work import Work
from nexus.domain.builds.workflow import StageSpec
from nexus.domain.core.errors import NexusError, Unavailable
from nexus.domain.models.model import Spent
from nexus.domain.projects.model import DONE, Halted, Lasting, Run, Stage
from nexus.domain.projects.rules import progress_of
from nexus.domain.tasks.model import Control

SETTLING = ":settle"
"""The part of a stage, beside its agents' (no slug has a colon), that turns what was made into rows."""


class Wish:
    """What is wanted of a run, as its watch last saw it."""

    def __init__(self) -> None:
        self.control: Control = "running"
        self.lost = False

    async def step(self) -> None:
        """Called before each model call: a run that is to halt halts here."""
        if self.lost or self.control != "running":
            raise Halted("The run is to halt.", control=self.control)


@dataclass(kw_only=True)
class Attempt:
    """`stages` are all of the build, `outputs` what completed ones gave, as far as they were read. `works` are those of the present
    try, `current` the one that is under way."""

    run: Run
    spec: StageSpec
    stage: Stage
    stages: Sequence[Stage]
    outputs: dict[str, Any]
    wish: Wish
    works: list[Work] = field(default_factory=list)
    current: Work | None = None

    @property
    def progress(self) -> float:
        """Of the build, once this stage is done."""
        return progress_of(sum(other.status in DONE for other in self.stages) + 1, len(self.stages))

    @property
    def unmet(self) -> Sequence[str]:
        """What must be done before, and is not."""
        status = {other.stage_name: other.status for other in self.stages}
        return [need for need in self.spec.needs if status[need] not in DONE]

    @property
    def parts(self) -> Sequence[str]:
        agents = [""] if self.spec.whole else [agent.slug for agent in planned(self.outputs)]
        return [*agents, SETTLING]

    def begins(self) -> None:
        """One more try."""
        self.works, self.current = [], None

    def failed(self, error: Exception) -> Failure:
        """What the error that ended the try comes to."""
        spent = self._spent(error)
        lasting = Lasting(
            input_tokens=spent.input_tokens,
            output_tokens=spent.output_tokens,
            usage_unknown=spent.unknown,
            journal_from=self._blamed(error),
        )
        progressed = any(work.journal.done > work.journal.replayed for work in self.works)
        return structs.replace(self._kind_of(error), progressed=progressed, lasting=lasting)

    def _kind_of(self, error: Exception) -> Failure:
        if isinstance(error, NexusError):
            return failure_of(error)
        if isinstance(error, TimeoutError):
            told = f"{self.spec.name} took longer than {self.spec.seconds:g} s."
            return Failure(code="timed_out", message=told, again=True)
        return Failure(code="internal", message=f"Something went wrong inside {self.spec.name}.", again=True)

    def _spent(self, error: Exception) -> Spent:
        """What is known; of a call that broke off, nothing is."""
        spent = Spent()
        for work in self.works:
            spent = spent.plus(work.spent)
        if isinstance(error, NexusError) and isinstance(told := error.facts.get("spent"), Spent):
            return spent.plus(told)
        cut = self.current is not None and isinstance(error, Unavailable | TimeoutError)
        return spent.plus(Spent(unknown=cut))

    def _blamed(self, error: Exception) -> dict[str, int]:
        if self.current is None or isinstance(error, Unavailable | TimeoutError):
            return {}
        return {self.current.part: self.current.blamed(error)}
