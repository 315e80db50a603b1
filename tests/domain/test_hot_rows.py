"""Many of one tenant at once, on a store that lets one write at a time have a row: nobody sees it, and every counter is exact."""

import asyncio

import pytest
from msgspec import structs

from nexus.adapters.dynamodb.retries import Retries
from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.database import Tables
from nexus.domain.ports.rows import insert
from nexus.domain.tallies.model import NOW, Tally
from nexus.domain.tallies.tables import TALLIES
from tests.domain.builds.scripts import script
from tests.domain.builds.test_builds import WANTED
from tests.domain.sessions.test_sessions import heard, talking
from tests.fakes.conflicts import ConflictingTables
from tests.fakes.models import turn
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app

CHATS, BUILDS = 500, 50


async def chat(app: MemoryApp, agent_id: str) -> str:
    """A whole conversation: the type of its last event."""
    session = await app.services.sessions.create_session(ANN, agent_id)
    reply = await app.services.sessions.send(ANN, session.session_id, "hello")
    return str((await heard(app, session, reply.reply_id))[-1]["type"])


async def test_five_hundred_chats_at_once_of_one_tenant_meet_no_conflict_that_anybody_sees() -> None:
    tables = ConflictingTables(MemoryTables())
    async with talking(tables=tables) as (app, session):
        app.adapters.default_model.add(*(turn("Hello.") for _ in range(CHATS)), purpose="reply")
        ends = await asyncio.gather(*(chat(app, session.agent_id) for _ in range(CHATS)))
        assert set(ends) == {"reply.completed"}
        seen = await app.services.statistics.read_overview(ANN)
        assert (seen.sessions, seen.messages, seen.invocations) == (CHATS + 1, 2 * CHATS, CHATS)
        assert seen.today.messages == 2 * CHATS
        assert tables.conflicts["tallies"], "the store was asked for one row by many at once"


async def test_fifty_builds_started_at_once_by_one_tenant_meet_no_conflict_that_anybody_sees() -> None:
    tables = ConflictingTables(MemoryTables())
    on = structs.replace(make_adapters(script()), tables=tables)
    async with open_app(on, serving=False) as app:
        started = await asyncio.gather(*(app.services.builds.start(ANN, WANTED) for _ in range(BUILDS)))
        assert len({one.project_id for one in started}) == BUILDS
        seen = await app.services.statistics.read_overview(ANN)
        assert (seen.projects, seen.builds_started) == (BUILDS, BUILDS)
        now = await Tables(tables, secret=b"s", clock=app.clock).get(TALLIES, ANN.tenant_id, NOW)
        assert now.builds_active == BUILDS
        assert tables.conflicts["tallies"], "all of them change the one row that bears the limit"


async def test_a_row_that_stays_in_other_hands_is_said_to_be_away() -> None:
    store = ConflictingTables(MemoryTables(), seconds=3600, retries=Retries(conflicts=[0.0] * 3))
    tables = Tables(store, secret=b"s", clock=lambda: 0.0)
    first = asyncio.ensure_future(tables.commit(insert(TALLIES, Tally(tenant_id="t", day=NOW))))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await tables.commit(insert(TALLIES, Tally(tenant_id="t", day=NOW)))
    assert store.conflicts["tallies"] == 4
    first.cancel()
