"""The experiments: each a module with `run(seed, runs)`, which gives its figures or raises Violation. Skipped: what this machine cannot do."""

from collections.abc import Awaitable, Callable, Sequence

from tests.chaos.evidence import Evidence
from tests.chaos.harness import Bench, must
from tests.chaos.invariants import hold

Figures = dict[str, object]
Run = Callable[[int, int], Awaitable[Figures]]


class Skipped(Exception):
    """This machine cannot do it; the text says what it lacks."""


def percentile(values: Sequence[float], share: float) -> float:
    must(values, "Nothing was measured.")
    return sorted(values)[min(len(values) - 1, round(share * (len(values) - 1)))]


def examined(world: Bench, acknowledged: Sequence[dict[str, object]], *, accounts: bool = True) -> tuple[Evidence, int]:
    """The evidence, all invariants held, and how many things they looked at. The server must have ended."""
    must(not world.nexus.alive, "The server must have ended before the evidence is read.")
    evidence = Evidence(world)
    seen = hold(evidence, acknowledged=acknowledged, known=world.known, accounts=accounts)
    return evidence, sum(seen.values())
