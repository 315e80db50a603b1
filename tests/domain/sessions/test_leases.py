"""In whose hands a reply is: asked for twice, stopped, lost and taken over in awkward moments. Nothing stays in hands that let go of it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.log import Append, EventLog
from nexus.domain.ports.rows import Item, Place, Write
from nexus.domain.requests.model import make_idempotency_key
from nexus.domain.sessions.model import Reply, WriteReply
from nexus.jobs.lanes import Lanes
from tests.domain.sessions.test_sessions import talking
from tests.domain.sessions.test_turns import WRITTEN, Talk, tags, told
from tests.fakes.jobs import MemoryJobs
from tests.fakes.log import MemoryLog
from tests.fakes.models import Gate, turn
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app

KEY = make_idempotency_key("k", "messages", b"hello")
GONE = Reply(
    session_id="ses", reply_id="msg", agent_id="agt", tenant_id="t", user_id="u", asked="msg_0", created_at="2026"
)


class Halting(MemoryTables):
    """Stands still once at a write, or at a read of replies, until it is let go on; `refuses` then."""

    def __init__(self) -> None:
        super().__init__()
        self.at_write: Callable[[Write], bool] = lambda write: False
        self.at_read = self.refuses = False
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    async def write_rows(self, writes: Sequence[Write]) -> None:
        if not self.reached.is_set() and any(map(self.at_write, writes)):
            await self._halt()
        await super().write_rows(writes)

    async def read_rows(self, places: Sequence[Place]) -> list[Item | None]:
        if not self.reached.is_set() and self.at_read and any(table.name == "replies" for table, _ in places):
            await self._halt()
        return await super().read_rows(places)

    async def _halt(self) -> None:
        self.reached.set()
        if self.refuses:
            raise Unavailable("away")
        await self.opened.wait()


async def asked(app: MemoryApp, talk: Talk) -> Reply:
    """In a session of its own, or again, under the one key."""
    return await app.services.sessions.send(ANN, talk.first.session_id, "hello", once=KEY)


def keeping(status: str) -> Callable[[Write], bool]:
    return lambda write: write.table.name == "replies" and bool(write.fields and write.fields.get("status") == status)


async def test_one_that_is_over_and_asked_for_again_takes_no_place_in_the_line() -> None:
    async with talking(queue=Lanes(interactive=1, waiting=1)) as (app, session):
        old = Talk(app, session)
        old.says(turn("Done."))
        reply = await asked(app, old)
        await told(app, reply)
        await app.queue.wait_until_idle()
        talk = Talk(app, await app.services.sessions.create_session(ANN, session.agent_id))
        await talk.begun()
        assert (await asked(app, old)).reply_id == reply.reply_id
        assert app.queue.get_job_capacity(WriteReply, group=ANN.tenant_id).taken == 1
        assert app.services.replies.register_local_reply(reply), "in nobody's hands"
        await talk.another()
        talk.says(turn("Good."))
        talk.gate.opened.set()


async def test_one_that_is_asked_for_again_in_the_first_step_of_its_job_is_left_to_that() -> None:
    tables = Halting()
    async with talking(tables=tables, queue=Lanes(interactive=1)) as (app, session):
        other = Talk(app, await app.services.sessions.create_session(ANN, session.agent_id))
        await other.begun()
        talk = Talk(app, session)
        talk.says(turn("Good."))
        reply = await asked(app, talk)
        tables.at_read = True
        other.gate.opened.set()
        await tables.reached.wait()
        await asked(app, talk)
        tables.opened.set()
        await app.queue.wait_until_idle()
        assert tags(await told(app, reply)) == ["reply.waiting", *WRITTEN]
        assert app.services.replies.register_local_reply(reply), "in nobody's hands"


async def test_one_whose_job_was_cut_is_not_held_by_who_asks_again_and_can_be_cancelled() -> None:
    async with talking(queue=Lanes(interactive=1)) as (app, session):
        old, gate = Talk(app, session), Gate()
        old.says(turn("half ", gate))
        reply = await asked(app, old)
        await gate.reached.wait()
        app.queue.stop_job(reply.reply_id)  # as the time limit of a job does: nobody wants it stopped
        await app.queue.wait_until_idle()
        talk = Talk(app, await app.services.sessions.create_session(ANN, session.agent_id))
        await talk.begun()
        await asked(app, old)
        await app.services.sessions.cancel(ANN, session.session_id, reply.reply_id)
        async with open_app(make_adapters(like=app.adapters, clock=app.clock, worker_id="w2"), serving=False) as again:
            await again.sweeper.recover_jobs_at_start(alone=True)
            assert (await old.row(reply)).status == "cancelled"
            assert tags(await told(again, reply)) == ["reply.started", "reply.delta", "reply.cancelled"]
        assert app.services.replies.register_local_reply(reply), "in nobody's hands"


async def test_one_whose_job_could_not_begin_goes_on_when_it_is_asked_for_again() -> None:
    tables = Halting()
    async with talking(tables=tables, queue=Lanes(interactive=1)) as (app, session):
        talk = Talk(app, await app.services.sessions.create_session(ANN, session.agent_id))
        await talk.begun()
        old = Talk(app, session)
        reply = await asked(app, old)
        tables.at_read = tables.refuses = True
        talk.says(turn("Good."))
        talk.gate.opened.set()
        await app.queue.wait_until_idle()
        assert (tables.reached.is_set(), (await talk.row(reply)).status) == (True, "running")
        await asked(app, old)
        await app.queue.wait_until_idle()
        assert tags(await told(app, reply)) == ["reply.waiting", *WRITTEN]
        row = await talk.row(reply)
        assert (row.status, row.deaths, row.fence, row.usage_unknown) == ("completed", 0, 1, False)


async def test_a_cancel_that_saw_it_before_it_was_taken_over_ends_it_in_the_new_hands() -> None:
    class Moving(MemoryTables):
        moved: Any = None

        async def read_rows(self, places: Sequence[Place]) -> list[Item | None]:
            found = await super().read_rows(places)
            if self.moved and any(table.name == "replies" for table, _ in places):
                move, self.moved = self.moved, None
                await move()
            return found

    tables = Moving()
    async with talking(queue=Lanes(interactive=1), tables=tables) as (app, session):
        talk = Talk(app, session)
        await talk.begun()
        _, reply = await talk.another()
        async with open_app(make_adapters(like=app.adapters, clock=app.clock, worker_id="w2"), serving=False) as again:

            async def take() -> None:
                assert await again.services.replies.take_over_reply(await talk.row(reply))
                await again.queue.enqueue_job(WriteReply(reply_id=reply.reply_id), key=reply.reply_id)

            tables.moved = take
            ended = await again.services.sessions.cancel(ANN, reply.session_id, reply.reply_id)
            assert (ended.status, again.queue.has_job(reply.reply_id)) == ("cancelled", False)
            assert tags(await told(again, reply)) == ["reply.waiting", "reply.cancelled"]
            talk.gate.opened.set()


@pytest.mark.parametrize("status", ["cancelled", "completed"])
async def test_a_cancel_while_it_is_kept_cuts_nothing(status: str) -> None:
    tables = Halting()
    async with talking(tables=tables) as (app, session):
        talk = Talk(app, session)
        reply = await talk.begun()
        tables.at_write = keeping(status)
        hearing = asyncio.ensure_future(told(app, reply))
        if status == "cancelled":
            await app.services.sessions.cancel(ANN, reply.session_id, reply.reply_id)
        else:
            talk.gate.opened.set()
        await tables.reached.wait()
        await app.services.sessions.cancel(ANN, reply.session_id, reply.reply_id)
        await asyncio.sleep(0)
        tables.opened.set()
        async with asyncio.timeout(50):
            assert tags(await hearing)[-1] == f"reply.{status}"
        await app.queue.wait_until_idle()
        row = await talk.row(reply)
        assert (row.status, row.dispatch) == (status, None)


@pytest.mark.parametrize("how", ["it begins", "it is cancelled"])
async def test_that_it_waits_was_lost_on_the_way_to_the_log_and_nothing_else_is(how: str) -> None:
    class Log(MemoryLog):
        away = False

        def append_events(self, append: Append) -> None:
            if self.away:
                asyncio.get_running_loop().call_soon(append.finish, Unavailable("away"))
            else:
                super().append_events(append)

    log = Log()
    async with talking(queue=Lanes(interactive=1), log=EventLog(log)) as (app, session):
        talk = Talk(app, session)
        await talk.begun()
        talk.says(turn("Good."))
        log.away = True
        _, reply = await talk.another()
        await asyncio.sleep(0)
        log.away = False
        if how == "it is cancelled":
            await app.services.sessions.cancel(ANN, reply.session_id, reply.reply_id)
        talk.gate.opened.set()
        await app.queue.wait_until_idle()
        expected = ["reply.cancelled"] if how == "it is cancelled" else WRITTEN
        assert await told(app, reply) == list(enumerate(expected, 1))
        assert (await talk.row(reply)).dispatch is None


async def test_a_reply_is_finished_while_the_log_is_away_and_its_log_is_made_whole_afterwards() -> None:
    class Log(MemoryLog):
        away = False

        def append_events(self, append: Append) -> None:
            if self.away:
                asyncio.get_running_loop().call_soon(append.finish, Unavailable("away"))
            else:
                super().append_events(append)

    log = Log()
    async with talking(queue=Lanes(interactive=1), log=EventLog(log)) as (app, session):
        talk = Talk(app, session)
        await talk.begun()
        talk.says(turn("Good."))
        _, reply = await talk.another()
        log.away = True
        talk.gate.opened.set()
        await app.queue.wait_until_idle()
        row = await talk.row(reply)
        assert (row.status, row.content) == ("completed", "Good.") and row.dispatch
        log.away = False
        await app.services.replies.take_over_reply(row)
        assert (await talk.row(reply)).dispatch is None
        assert tags(await told(app, reply))[-3:] == ["reply.reset", "reply.delta", "reply.completed"]


async def test_what_only_waited_is_not_given_up_however_many_processes_die() -> None:
    async with talking(queue=Lanes(interactive=1)) as (app, session):
        talk = Talk(app, session)
        await talk.begun()
        _, reply = await talk.another()
        for number in range(2, 5):
            on = make_adapters(like=app.adapters, clock=app.clock, worker_id=f"w{number}")
            async with open_app(msgspec.structs.replace(on, queue=MemoryJobs()), serving=False) as dead:
                await dead.sweeper.recover_jobs_at_start(alone=True)
                row = await talk.row(reply)
                assert (row.status, row.worker_id, row.deaths, row.fence) == ("running", f"w{number}", 0, number)
        talk.gate.opened.set()


async def test_a_job_that_this_process_lost_is_no_death() -> None:
    tables = Halting()
    async with talking(tables=tables) as (app, session):
        talk = Talk(app, session)
        reply = await talk.begun()
        tables.at_write, tables.refuses = keeping("completed"), True
        talk.gate.opened.set()
        await app.queue.wait_until_idle()
        talk.says(turn("Again."))
        app.clock.now += 60
        await app.sweeper.recover_lost_jobs()
        await app.queue.wait_until_idle()
        row = await talk.row(reply)
        assert (row.status, row.fence, row.deaths, row.content) == ("completed", 2, 0, "one two")


async def test_one_whose_end_could_not_be_told_in_full_is_completed_by_the_next_look() -> None:
    tables = Halting()
    async with talking(tables=tables) as (app, session):
        talk = Talk(app, session)
        reply = await talk.begun()
        tables.at_write = lambda write: write.table.name == "replies" and "dispatch" in write.fields
        tables.refuses = True
        talk.gate.opened.set()
        await app.queue.wait_until_idle()
        row = await talk.row(reply)
        assert (tables.reached.is_set(), row.status, row.dispatch is None) == (True, "completed", False)
        app.clock.now += 60
        await app.sweeper.recover_lost_jobs()
        row = await talk.row(reply)
        assert (row.status, row.dispatch, row.fence) == ("completed", None, 1)
        assert tags(await told(app, reply))[-1] == "reply.completed"


async def test_what_an_answer_cost_is_in_the_log_before_its_row_says_that_it_is_over() -> None:
    tables = Halting()
    tables.at_write = lambda write: write.table.name == "replies" and write.fields.get("status") == "completed"
    async with talking(tables=tables) as (app, session):
        model: Any = app.adapters.default_model
        model.add(turn("Good."), purpose="reply")
        reply = await app.services.sessions.send(ANN, session.session_id, "hello")
        await tables.reached.wait()
        found = (await app.adapters.log.read_events(f"reply:{reply.reply_id}")).events
        tables.opened.set()
        await app.queue.wait_until_idle()
    assert [msgspec.json.decode(event)["type"] for event in found][-2:] == ["reply.delta", "usage.recorded"]
