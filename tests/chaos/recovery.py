"""How long builds lay still after the end of a server, one by one: each that was in flight is measured by its own events."""

import time
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

from nexus.domain.core.instants import parse_instant
from tests.chaos.evidence import Evidence, in_rows, opened
from tests.chaos.experiments import Figures, percentile
from tests.chaos.harness import Bench, must

RECOVERY_SECONDS = 5.0
_OF_STAGES = ("stage.", "build.completed", "build.failed", "build.cancelled", "build.paused")


class Cut(NamedTuple):
    """The end of a server: the builds that were in flight, by their topics, and when the next server was started."""

    flying: tuple[str, ...]
    began: float


class Recoveries:
    """Ends and starts again, and remembers whom that met."""

    def __init__(self, world: Bench) -> None:
        self._world = world
        self.cuts: list[Cut] = []

    @property
    def flying(self) -> list[int]:
        """How many were in flight at each cut."""
        return [len(cut.flying) for cut in self.cuts]

    async def begin_again(self, flying: Sequence[str], **environ: str) -> None:
        """Starts the next server, whose predecessor left these."""
        self.cuts.append(Cut(tuple(flying), time.time()))
        await self._world.nexus.start(**environ)

    def figures(self, evidence: Evidence) -> Figures:
        """What was measured, which must be within bounds."""
        own, stages = measured(evidence, self.cuts)
        slowest = percentile(own, 0.95)
        must(slowest <= RECOVERY_SECONDS, f"Builds that were in flight went on after {slowest:.2f} s (p95).")
        return {
            "cut builds": len(own),
            "went on p50": f"{percentile(own, 0.5):.2f} s",
            "p95": f"{slowest:.2f} s",
            "in a stage p50": f"{percentile(stages, 0.5):.2f} s",
            "in a stage p95": f"{percentile(stages, 0.95):.2f} s",
        }


def measured(evidence: Evidence, cuts: Sequence[Cut]) -> tuple[list[float], list[float]]:
    """For each build at each cut: seconds from the start of the next server to the build's first event of its own, and to the first one
    of a stage of it or of its end. Where yet another cut came first, the clock runs on."""
    own, stages = list[float](), list[float]()
    for cut in cuts:
        for topic in cut.flying:
            told = [(parse_instant(event["created_at"]), event["tag"]) for event in evidence.topics[topic]]
            after = [(at, tag) for at, tag in told if at >= cut.began]
            must(after, f"{topic} was in flight, and nothing was ever heard of it again.")
            own.append(after[0][0] - cut.began)
            stages.append(next(at for at, tag in after if tag.startswith(_OF_STAGES)) - cut.began)
    return own, stages


def builds_in(world: Bench, *statuses: str) -> list[str]:
    """The builds whose tasks are in such a state, by their topics."""
    with closing(opened(world.data)) as store:
        tasks = in_rows(store, "tasks")
    return [
        f"build:{task['project_id']}/{task['build_no']}"
        for task in tasks
        if task["status"] in statuses and task["task_type"] != "purge"
    ]
