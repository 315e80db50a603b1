"""Thousands of commands in an order by chance: none does what the table does not say, and nobody who lost a run writes."""

import pytest
from msgspec import structs

from nexus.domain.core.errors import NexusError
from nexus.domain.ports.database import Tables
from nexus.domain.projects.admission import Limits
from nexus.domain.tallies.model import NOW
from nexus.domain.tallies.tables import TALLIES
from tests.domain.projects.walk import PLACES, Walk
from tests.memory_app import ANN, make_adapters, open_app

PROJECTS_IN_A_WALK, STEPS = 50, 6_000
NEEDED = {
    *(f"{command} {how}" for command in ("pause", "resume", "stop", "retry", "restart") for how in ("done", "refused")),
    *(f"late {verb}" for verb in ("complete", "fail", "finish", "pause_done", "release", "retry", "skip", "start")),
    *(
        "claimed",
        "claimed in vain",
        "take_over",
        "end_for",
        "finish",
        "skip",
        "start halted",
        "delete done",
        "purge waited",
        "pending",
    ),
}


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_walk_through_all_commands_stays_on_the_table(seed: int) -> None:
    async with open_app(structs.replace(make_adapters(), admission=Limits(PLACES)), serving=False) as app:
        walk = Walk(app, seed)
        await walk.start(PROJECTS_IN_A_WALK)
        for number in range(STEPS):
            try:
                await walk.step()
            except (AssertionError, NexusError) as error:
                error.add_note(f"seed {seed}, step {number}")
                raise
        assert NEEDED - walk.seen.keys() == set()
        tables = Tables(app.adapters.tables, secret=app.adapters.secret, clock=app.clock)
        tally = await tables.get(TALLIES, ANN.tenant_id, NOW)
        assert (tally.builds_active, tally.builds_held) == await walk.account()
