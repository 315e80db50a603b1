"""What a message costs at the store: how often it is asked, one after the other."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import structs

from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.core.errors import NotFound
from nexus.domain.ports.database import Query
from nexus.domain.ports.rows import Item, Place, Write
from nexus.domain.requests.model import make_idempotency_key
from nexus.domain.requests.service import KeyReused
from tests.domain.builds.scripts import doubling
from tests.domain.sessions.test_sessions import heard, talking
from tests.fakes.models import Gate, turn
from tests.memory_app import ANN, BEN, EVE

BEFORE_THE_MODEL, FOR_A_TOOL_CALL = 4, 12


class Counting(MemoryTables):
    """`calls` of the driver, by what they are about."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = list[str]()

    async def read_rows(self, places: Sequence[Place]) -> list[Item | None]:
        self.calls.append("read " + "+".join(table.name for table, _ in places))
        return await super().read_rows(places)

    async def query_rows(self, query: Query[Any]) -> tuple[list[Item], bool]:
        self.calls.append(f"query {query.table.name}")
        return await super().query_rows(query)

    async def write_rows(self, writes: Sequence[Write]) -> None:
        self.calls.append("write " + "+".join(write.table.name for write in writes))
        await super().write_rows(writes)


@pytest.mark.parametrize("first", [True, False], ids=["the first message", "a later one"])
async def test_the_model_is_asked_after_few_round_trips_and_a_tool_call_costs_few_more(first: bool) -> None:
    tables = Counting()
    async with talking(tables=tables) as (app, session):
        model: Any = app.adapters.default_model
        if not first:
            model.add(turn("Good."), purpose="reply")
            await heard(app, session, (await app.services.sessions.send(ANN, session.session_id, "hello")).reply_id)
        await app.queue.wait_until_idle()
        gate = Gate()
        [call, said] = doubling()
        model.add(structs.replace(call, pieces=(gate, *call.pieces)), said, purpose="reply")
        tables.calls.clear()
        key = make_idempotency_key("k", "messages", b"double 2")
        reply = await app.services.sessions.send(ANN, session.session_id, "double 2", once=key)
        await gate.reached.wait()
        before = list(tables.calls)
        following = asyncio.ensure_future(heard(app, session, reply.reply_id))
        gate.opened.set()
        assert (await following)[-1]["type"] == "reply.completed"
        await app.queue.wait_until_idle()
        assert len(before) <= BEFORE_THE_MODEL, before
        assert len(tables.calls) <= FOR_A_TOOL_CALL, tables.calls
        if not first:
            assert before == [
                "read sessions+agents",
                "write messages+sessions+tallies+tallies+replies+requests",
                "query messages",
            ]


async def test_the_same_request_again_is_told_so_by_what_stands_against_it() -> None:
    tables = Counting()
    async with talking(tables=tables) as (app, session):
        app.adapters.default_model.add(turn("Good."), purpose="reply")
        key = make_idempotency_key("k", "messages", b"hello")
        replies = [await app.services.sessions.send(ANN, session.session_id, "hello", once=key) for _ in range(2)]
        await heard(app, session, replies[0].reply_id)
        replies.append(await app.services.sessions.send(ANN, session.session_id, "hello", once=key))
        assert len({reply.reply_id for reply in replies}) == 1
        assert (await app.services.sessions.get(ANN, session.session_id)).message_count == 2
        with pytest.raises(KeyReused):
            await app.services.sessions.send(
                ANN, session.session_id, "hello", once=make_idempotency_key("k", "messages", b"other")
            )


async def test_one_who_follows_a_reply_where_it_is_written_reads_no_row_and_sees_no_others() -> None:
    tables = Counting()
    async with talking(tables=tables) as (app, session):
        gate = Gate()
        app.adapters.default_model.add(turn(gate, "Good."), purpose="reply")
        reply = await app.services.sessions.send(ANN, session.session_id, "hello")
        await gate.reached.wait()
        tables.calls.clear()
        assert await app.services.sessions.stream_reply_events(ANN, session.session_id, reply.reply_id) is not None
        assert tables.calls == []
        for caller, session_id in ((BEN, session.session_id), (EVE, session.session_id), (ANN, None), (ANN, "ses_x")):
            with pytest.raises(NotFound):
                await app.services.sessions.stream_reply_events(caller, session_id, reply.reply_id)
        gate.opened.set()
