"""Two processes over one store: what is asked of a reply through one reaches the other, in which it is written."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from nexus.jobs.lanes import Lanes
from tests.domain.sessions.test_sessions import talking
from tests.domain.sessions.test_turns import Talk, tags, told
from tests.fakes.heartbeat import MemoryHeartbeat
from tests.fakes.models import turn
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app


@asynccontextmanager
async def beside(app: MemoryApp) -> AsyncIterator[MemoryApp]:
    """Another process over the same store and log."""
    async with open_app(make_adapters(like=app.adapters, clock=app.clock, worker_id="w2"), serving=False) as other:
        yield other


async def beat(app: MemoryApp) -> None:
    assert isinstance(app.adapters.heartbeat, MemoryHeartbeat)
    await app.adapters.heartbeat.beat()


async def test_a_reply_is_followed_and_stopped_through_another_process_at_the_next_heartbeat() -> None:
    async with talking() as (app, session), beside(app) as other:
        talk = Talk(app, session)
        reply = await talk.begun()
        following = asyncio.ensure_future(told(other, reply))
        asked = await other.services.sessions.cancel(ANN, reply.session_id, reply.reply_id)
        assert (asked.status, asked.control_status) == ("running", "stopped"), "it is not this process' to end"
        await beat(app)
        assert tags(await following) == ["reply.started", "reply.delta", "reply.cancelled"]
        await app.queue.wait_until_idle()
        row = await talk.row(reply)
        assert (row.status, row.content, row.fence, row.dispatch) == ("cancelled", "one ", 1, None)
        assert (await other.services.sessions.get(ANN, session.session_id)).active_reply is None


async def test_one_that_waits_elsewhere_is_stopped_there_and_asks_no_model() -> None:
    async with talking(queue=Lanes(interactive=1)) as (app, session), beside(app) as other:
        talk = Talk(app, session)
        await talk.begun()
        _, reply = await talk.another()
        model: Any = app.adapters.default_model
        asked = len(model.requests)
        await other.services.sessions.cancel(ANN, reply.session_id, reply.reply_id)
        await beat(app)
        assert tags(await told(other, reply)) == ["reply.waiting", "reply.cancelled"]
        talk.gate.opened.set()
        await app.queue.wait_until_idle()
        assert (len(model.requests), (await talk.row(reply)).status) == (asked, "cancelled")


async def test_one_that_nobody_has_is_stopped_by_who_is_asked() -> None:
    async with talking(queue=Lanes(interactive=1)) as (app, session), beside(app) as other:
        talk = Talk(app, session)
        await talk.begun()
        _, reply = await talk.another()
        await app.queue.drain_jobs(0)
        assert (await talk.row(reply)).worker_id is None
        ended = await other.services.sessions.cancel(ANN, reply.session_id, reply.reply_id)
        assert (ended.status, ended.content) == ("cancelled", "")
        assert tags(await told(other, reply)) == ["reply.waiting", "reply.cancelled"]


async def test_one_that_was_taken_over_elsewhere_is_written_there_alone() -> None:
    async with talking() as (app, session), beside(app) as other:
        talk = Talk(app, session)
        reply = await talk.begun()
        assert await other.services.replies.take_over_reply(await talk.row(reply))
        await beat(app)
        await app.queue.wait_until_idle()
        talk.says(turn("All of it."))
        await other.services.replies.write_reply(reply.reply_id)
        row = await talk.row(reply)
        assert (row.status, row.content, row.worker_id, row.fence) == ("completed", "All of it.", "w2", 2)
