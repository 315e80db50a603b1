"""What is not asked of the store."""

import pytest

from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.core.errors import NotFound
from nexus.domain.requests.model import make_idempotency_key
from nexus.domain.requests.service import KeyReused
from tests.domain.sessions.test_sessions import heard, talking
from tests.fakes.counting import CountingTables
from tests.fakes.models import Gate, turn
from tests.memory_app import ANN, BEN, EVE


async def test_the_same_request_again_is_told_so_by_what_stands_against_it() -> None:
    tables = CountingTables(MemoryTables())
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
    tables = CountingTables(MemoryTables())
    async with talking(tables=tables) as (app, session):
        gate = Gate()
        app.adapters.default_model.add(turn(gate, "Good."), purpose="reply")
        reply = await app.services.sessions.send(ANN, session.session_id, "hello")
        await gate.reached.wait()
        tables.reset()
        assert await app.services.sessions.stream_reply_events(ANN, session.session_id, reply.reply_id) is not None
        assert tables.calls == []
        for caller, session_id in ((BEN, session.session_id), (EVE, session.session_id), (ANN, None), (ANN, "ses_x")):
            with pytest.raises(NotFound):
                await app.services.sessions.stream_reply_events(caller, session_id, reply.reply_id)
        gate.opened.set()
