"""What does not hold yet: every test here is expected to fail, and fails the run on the day it does not; then it moves to
`test_known_failures.py` or its neighbour."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec
import pytest
from msgspec import structs

from nexus.adapters.memory.models import Gate, Turn, turn
from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.core.errors import InvalidInput, NotFound
from nexus.domain.ports.database import Window
from nexus.domain.ports.models import ToolCall, Usage
from nexus.domain.ports.rows import Write, insert
from nexus.domain.projects.model import Project
from nexus.domain.runtime.tables import STEPS
from nexus.domain.sessions import rules
from nexus.domain.sessions.model import Message, Reply, Session
from nexus.domain.sessions.tables import MESSAGES, REPLIES, SESSIONS
from nexus.domain.tallies.model import Tally
from nexus.domain.tallies.tables import TALLIES
from tests.domain.builds.scripts import AGENT, ARCHITECTURE, doubling, said, script
from tests.domain.builds.test_builds import over
from tests.domain.test_known_failures_of_stores import built, calls_of, deleted, left, scripted, store, talked
from tests.house import ANN, House, open_house, world


def gap(reason: str, raises: type[Exception] = AssertionError) -> pytest.MarkDecorator:
    return pytest.mark.xfail(strict=True, raises=raises, reason=reason)


# --- what is deleted


async def swept(house: House) -> None:
    for _ in range(3):
        house.clock.now += 60
        await house.sweeper.sweep()
        await house.queue.settled()


async def caught_up(house: House, writes: int) -> None:
    """So many writes later an index shows everything that was written before."""
    for _ in range(writes):
        tally = Tally(tenant_id="tnt_none", day=house.world.new_id("day"))
        await store(house).commit(insert(TALLIES, tally))


@gap("the purge takes an empty page of a list that lags for its end")
async def test_a_purge_finds_all_sessions_though_the_index_lags() -> None:
    async with open_house(structs.replace(world(script()), tables=MemoryTables(lag=300))) as house:
        project = await built(house)
        for _ in range(120):
            await house.services.sessions.open(ANN, project.agent_ids[0])
        await caught_up(house, 300)
        await house.services.deletions.delete(ANN, project.project_id)
        await caught_up(house, 300)
        await swept(house)
        assert await left(house, SESSIONS) == {}


class Between(MemoryTables):
    """A store in which something happens just before the first deletion from a table."""

    def __init__(self) -> None:
        super().__init__()
        self._table, self._act = "", None

    _act: Callable[[], Awaitable[object]] | None

    def before(self, table: str, act: Callable[[], Awaitable[object]]) -> None:
        self._table, self._act = table, act

    async def write(self, writes: Sequence[Write]) -> None:
        if self._act and any((write.verb, write.table.name) == ("delete", self._table) for write in writes):
            act, self._act = self._act, None
            await act()
        await super().write(writes)

    @property
    def has_happened(self) -> bool:
        return self._act is None


async def speaking(house: House, agent_id: str, gate: Gate) -> Reply:
    """A reply that is held in its middle."""
    session = await house.services.sessions.open(ANN, agent_id)
    scripted(house).add(turn("half ", gate, "whole"), purpose="reply")
    reply = await house.services.sessions.send(ANN, session.session_id, "Say something.")
    await gate.reached.wait()
    return reply


@gap("messages are emptied before the reply that still brings one")
async def test_a_reply_that_ends_while_its_session_is_purged_leaves_no_message() -> None:
    between, gate = Between(), Gate()
    async with open_house(structs.replace(world(script()), tables=between)) as house:
        project = await built(house)
        reply = await speaking(house, project.agent_ids[0], gate)

        async def ends() -> None:
            gate.opened.set()
            while (await store(house).get(REPLIES, reply.session_id, reply.reply_id)).status == "running":
                await house.services.events_pause() if False else None

        between.before("replies", ends)
        await deleted(house, "project", project)
        assert between.has_happened
        assert await left(house, SESSIONS, MESSAGES, REPLIES) == {}
