"""More replies than there are places for: they wait, say so, and start by themselves."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.core.errors import QuotaExceeded
from nexus.domain.ports.database import Window
from nexus.domain.ports.log import Batch, EventLog
from nexus.domain.requests.model import make_idempotency_key
from nexus.domain.sessions.model import Reply, Session, WriteReply
from nexus.jobs.lanes import Lanes
from nexus.jobs.runner import Runner
from tests.domain.sessions.test_sessions import heard, talking
from tests.fakes.jobs import MemoryJobs
from tests.fakes.log import MemoryLog
from tests.fakes.models import Gate, turn
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app

WRITTEN = ["reply.started", "reply.delta", "usage.recorded", "reply.completed"]


class Talk:
    """Sessions with the one agent, and a first reply that stands at a gate: it has the only place."""

    def __init__(self, app: MemoryApp, session: Session) -> None:
        self.app, self.first, self.gate = app, session, Gate()

    async def begun(self) -> Reply:
        self.says(turn("one ", self.gate, "two"))
        reply = await self.app.services.sessions.send(ANN, self.first.session_id, "first")
        await self.gate.reached.wait()
        return reply

    def says(self, *turns: Any) -> None:
        model: Any = self.app.adapters.default_model
        model.add(*turns, purpose="reply")

    async def another(self, content: str = "hello") -> tuple[Session, Reply]:
        session = await self.app.services.sessions.create_session(ANN, self.first.agent_id)
        return session, await self.app.services.sessions.send(ANN, session.session_id, content)

    async def row(self, reply: Reply) -> Reply:
        return await self.app.services.sessions.get_reply(ANN, reply.session_id, reply.reply_id)


async def told(app: MemoryApp, reply: Reply) -> list[tuple[int, str]]:
    """Positions and tags of a reply to its end."""
    batches = await app.services.sessions.stream_reply_events(ANN, reply.session_id, reply.reply_id)
    assert batches is not None
    return [
        (position, msgspec.json.decode(event)["type"])
        async for batch in batches
        for position, event in enumerate(batch.events, batch.first)
    ]


def tags(events: Sequence[tuple[int, str]]) -> list[str]:
    return [tag for _, tag in events]


async def test_a_reply_without_a_place_is_accepted_says_that_it_waits_and_starts_by_itself() -> None:
    async with talking(queue=Lanes(interactive=1)) as (app, session):
        talk = Talk(app, session)
        await talk.begun()
        talk.says(turn("Second."), turn("Third."))
        (second_session, second), (third_session, third) = [await talk.another() for _ in range(2)]
        assert (second.status, (await app.services.sessions.get(ANN, second.session_id)).active_reply) == (
            "running",
            second.reply_id,
        )
        talk.gate.opened.set()
        assert await told(app, second) == list(enumerate(["reply.waiting", *WRITTEN], 1))
        assert await told(app, third) == list(enumerate(["reply.waiting", *WRITTEN], 1))
        waits = [(await heard(app, s, r.reply_id))[0] for s, r in ((second_session, second), (third_session, third))]
        assert [(event["reason"], event["position"], event["reply_id"]) for event in waits] == [
            ("queue", 0, second.reply_id),
            ("queue", 1, third.reply_id),
        ]
        assert [(await talk.row(reply)).content for reply in (second, third)] == ["Second.", "Third."]
        assert [(await talk.row(reply)).usage_unknown for reply in (second, third)] == [False, False]


async def test_a_reply_with_a_place_says_nothing_of_waiting_and_reads_no_log() -> None:
    class Log(MemoryLog):
        reads = 0

        async def read_events(self, topic: str, after: int, limit: int) -> Batch:
            self.reads += 1
            return await super().read_events(topic, after, limit)

        async def read_end_position(self, topic: str) -> int:
            self.reads += 1
            return await super().read_end_position(topic)

    class Tables(MemoryTables):
        writes = 0

        async def write_rows(self, writes: Any) -> None:
            self.writes += 1
            await super().write_rows(writes)

    log, tables = Log(), Tables()
    async with talking(log=EventLog(log), tables=tables) as (app, session):
        before = tables.writes
        Talk(app, session).says(turn("Good."))
        reply = await app.services.sessions.send(ANN, session.session_id, "hello")
        await app.queue.wait_until_idle()
        assert (log.reads, tables.writes - before) == (0, 4), "said, the journal's step, kept, left"
        assert tags(await told(app, reply)) == WRITTEN


@pytest.mark.parametrize("how", ["cancel", "delete"])
async def test_what_is_stopped_while_it_waits_ends_at_once_and_asks_no_model(how: str) -> None:
    async with talking(queue=Lanes(interactive=1)) as (app, session):
        talk = Talk(app, session)
        await talk.begun()
        model: Any = app.adapters.default_model
        asked = len(model.requests)
        _, reply = await talk.another()
        batches = await app.services.sessions.stream_reply_events(ANN, reply.session_id, reply.reply_id)
        assert batches is not None
        if how == "cancel":
            ended = await app.services.sessions.cancel(ANN, reply.session_id, reply.reply_id)
            assert (ended.status, ended.content) == ("cancelled", "")
            free = await app.services.sessions.get(ANN, reply.session_id)
            assert (free.active_reply, free.message_count) == (None, 2)
        else:
            await app.services.session_deletions.soft_delete_session(ANN, reply.session_id)
        events = [(b.first, msgspec.json.decode(event)["type"]) async for b in batches for event in b.events]
        assert [tag for _, tag in events] == ["reply.waiting", "reply.cancelled"]
        talk.gate.opened.set()
        await app.queue.wait_until_idle()
        assert len(model.requests) == asked


async def test_waiting_is_no_answering_and_what_never_began_is_no_call_of_the_agent() -> None:
    async with talking(queue=Lanes(interactive=1)) as (app, session):
        talk = Talk(app, session)
        first = await talk.begun()
        talk.says(turn("Good."))
        (_, second), (_, gone) = [await talk.another() for _ in range(2)]
        app.clock.now += 300
        await app.services.sessions.cancel(ANN, gone.session_id, gone.reply_id)
        talk.gate.opened.set()
        await app.queue.wait_until_idle()
        calls = (await app.services.invocations.list_caller_invocations(ANN, session.agent_id, Window())).items
        took = {call.session_id: call.duration_ms for call in calls}
        assert set(took) == {first.session_id, second.session_id}
        assert (took[first.session_id] >= 300_000, 0 < took[second.session_id] < 1_000) == (True, True)
        counted = await app.services.statistics.read_overview(ANN)
        assert (counted.invocations, counted.messages) == (2, 6)


async def test_one_that_was_cancelled_makes_room_and_the_next_one_starts() -> None:
    async with talking(queue=Lanes(interactive=1, waiting=1)) as (app, session):
        talk = Talk(app, session)
        await talk.begun()
        _, gone = await talk.another()
        await app.services.sessions.cancel(ANN, gone.session_id, gone.reply_id)
        talk.says(turn("Here."))
        _, reply = await talk.another()
        talk.gate.opened.set()
        assert tags(await told(app, reply)) == ["reply.waiting", *WRITTEN]


async def test_only_when_as_many_wait_as_may_one_is_refused_with_its_position_and_nothing_is_kept_of_it() -> None:
    async with talking(queue=Lanes(interactive=1, waiting=1)) as (app, session):
        talk = Talk(app, session)
        await talk.begun()
        talk.says(turn("Second."), turn("Third."))
        _, second = await talk.another()
        late = await app.services.sessions.create_session(ANN, session.agent_id)
        with pytest.raises(QuotaExceeded) as refused:
            await app.services.sessions.send(ANN, late.session_id, "late")
        assert refused.value.facts == {"position": 2, "limit": 2, "retry_after": 1}
        assert (await app.services.sessions.list_messages(ANN, late.session_id, Window())).items == []
        assert (await app.services.sessions.get(ANN, late.session_id)).active_reply is None
        talk.gate.opened.set()
        await told(app, second)
        reply = await app.services.sessions.send(ANN, late.session_id, "late")
        assert tags(await told(app, reply))[-1] == "reply.completed"


async def test_many_at_once_do_not_get_beyond_the_bound() -> None:
    class Slow(MemoryTables):
        async def write_rows(self, writes: Any) -> None:
            await asyncio.sleep(0)
            await super().write_rows(writes)

    async with talking(queue=Lanes(interactive=1, waiting=2), tables=Slow()) as (app, session):
        talk = Talk(app, session)
        talk.says(*(turn("Good.") for _ in range(3)))
        sessions = [await app.services.sessions.create_session(ANN, session.agent_id) for _ in range(10)]
        answers = await asyncio.gather(
            *(app.services.sessions.send(ANN, one.session_id, "now") for one in sessions), return_exceptions=True
        )
        let_in = [answer for answer in answers if isinstance(answer, Reply)]
        assert [type(answer) for answer in answers if answer not in let_in] == [QuotaExceeded] * 7
        assert len(let_in) == 3
        for reply in let_in:
            assert tags(await told(app, reply))[-1] == "reply.completed"


async def test_what_waits_longer_than_a_lease_stays_in_the_hands_of_its_process() -> None:
    async with talking(queue=Lanes(interactive=1)) as (app, session):
        talk = Talk(app, session)
        await talk.begun()
        talk.says(turn("Good."))
        _, reply = await talk.another()
        for _ in range(5):
            app.clock.now += 40
            await app.adapters.heartbeat.beat()
            await app.sweeper.recover_lost_jobs()
        row = await talk.row(reply)
        assert (row.fence, row.deaths, row.heartbeat) == (1, 0, 5)
        talk.gate.opened.set()
        assert tags(await told(app, reply)) == ["reply.waiting", *WRITTEN]


async def test_a_reply_that_waited_when_its_process_died_is_started_by_the_next_one() -> None:
    async with talking(queue=Lanes(interactive=1)) as (app, session):
        talk = Talk(app, session)
        first = await talk.begun()
        _, reply = await talk.another()
        talk.says(turn("First."), turn("Good."))
        async with open_app(make_adapters(like=app.adapters, clock=app.clock, worker_id="w2"), serving=False) as again:
            await again.sweeper.recover_jobs_at_start(alone=True)
            for _ in range(3):  # what was taken over waits as well
                app.clock.now += 60
                await again.adapters.heartbeat.beat()
                await again.sweeper.recover_lost_jobs()
            rows = [await talk.row(one) for one in (first, reply)]
            assert [(row.worker_id, row.fence, row.deaths) for row in rows] == [("w2", 2, 1), ("w2", 2, 0)]
            again.queue.start_running_jobs(Runner(services=again.services, worker_id="w2").run_job)
            events = await told(again, reply)
            assert tags(events) == ["reply.waiting", *WRITTEN]
            assert not (await talk.row(reply)).usage_unknown
            assert "reply.reset" in tags(await told(again, first))
            talk.gate.opened.set()
            await app.queue.drain_jobs(5)
            assert await told(again, reply) == events


async def test_a_drain_hands_back_what_waits_and_the_next_process_counts_no_death() -> None:
    async with talking(queue=Lanes(interactive=1)) as (app, session):
        talk = Talk(app, session)
        first = await talk.begun()
        waiting = [(await talk.another())[1] for _ in range(3)]
        await app.queue.drain_jobs(0)
        rows = [await talk.row(reply) for reply in (first, *waiting)]
        assert [(row.status, row.worker_id, row.fence, row.deaths) for row in rows] == [("running", None, 1, 0)] * 4
        talk.says(*(turn("Good.") for _ in range(5)))
        _, late = await talk.another()
        row = await talk.row(late)
        assert (row.status, row.worker_id, row.fence) == ("running", None, 1), "accepted, and handed back at once"
        async with open_app(make_adapters(like=app.adapters, clock=app.clock, worker_id="w2")) as again:
            await again.sweeper.recover_jobs_at_start(alone=True)
            for reply in waiting:
                assert tags(await told(again, reply)) == ["reply.waiting", *WRITTEN]
                row = await talk.row(reply)
                assert (row.content, row.deaths, row.usage_unknown) == ("Good.", 0, False)
            assert tags(await told(again, late)) == WRITTEN
            assert "reply.reset" in tags(await told(again, first))


async def test_after_a_drain_the_order_is_as_it_was() -> None:
    async with talking(queue=Lanes(interactive=1)) as (app, session):
        talk = Talk(app, session)
        asked = [await talk.begun(), *[(await talk.another())[1] for _ in range(3)]]
        await app.queue.drain_jobs(0)
        queue = MemoryJobs()
        on = make_adapters(like=app.adapters, clock=app.clock, worker_id="w2")
        async with open_app(msgspec.structs.replace(on, queue=queue), serving=False) as again:
            await again.sweeper.recover_jobs_at_start(alone=True)
            offered = [job.reply_id for job in queue.handed if isinstance(job, WriteReply)]
            assert offered == [reply.reply_id for reply in asked]


async def test_where_none_may_wait_and_others_have_all_places_one_is_refused_as_ever() -> None:
    async with talking() as (built, session):
        on = make_adapters(like=built.adapters, clock=built.clock, worker_id="w2")
        async with open_app(msgspec.structs.replace(on, queue=MemoryJobs(most=0))) as app:
            with pytest.raises(QuotaExceeded) as refused:
                await app.services.sessions.send(ANN, session.session_id, "hello")
            assert refused.value.facts == {"position": 0, "limit": 0, "retry_after": 1}


async def test_what_was_taken_over_and_waits_can_be_cancelled() -> None:
    async with talking(queue=Lanes(interactive=1)) as (app, session):
        talk = Talk(app, session)
        first = await talk.begun()
        async with open_app(make_adapters(like=app.adapters, clock=app.clock, worker_id="w2"), serving=False) as again:
            await again.sweeper.recover_jobs_at_start(alone=True)
            ended = await again.services.sessions.cancel(ANN, first.session_id, first.reply_id)
            assert (ended.status, ended.content) == ("cancelled", "one ")
            assert tags(await told(again, first)) == ["reply.started", "reply.delta", "reply.cancelled"]
            talk.gate.opened.set()
            await app.queue.drain_jobs(5)


async def test_the_same_request_twice_is_one_job_and_says_once_that_it_waits() -> None:
    queue = MemoryJobs()
    async with talking(queue=Lanes()) as (built, session):
        on = make_adapters(like=built.adapters, clock=built.clock, worker_id="w2")
        async with open_app(msgspec.structs.replace(on, queue=queue)) as app:
            Talk(app, session).says(turn("Good."))
            key = make_idempotency_key("k", "messages", b"hello")
            replies = [await app.services.sessions.send(ANN, session.session_id, "hello", once=key) for _ in range(3)]
            assert queue.handed == [WriteReply(reply_id=replies[0].reply_id)]
            await queue.wait_until_idle()
            assert await told(app, replies[0]) == list(enumerate(["reply.waiting", *WRITTEN], 1))
            again = await app.services.sessions.send(ANN, session.session_id, "hello", once=key)
            await queue.wait_until_idle()
            assert again.reply_id == replies[0].reply_id
            assert await told(app, again) == list(enumerate(["reply.waiting", *WRITTEN], 1))


async def test_an_answer_that_is_written_again_waits_its_turn_too() -> None:
    async with talking(queue=Lanes(interactive=1)) as (app, session):
        talk = Talk(app, session)
        talk.says(turn("Bad."))
        other, bad = await talk.another()
        await told(app, bad)
        await talk.begun()
        talk.says(turn("Better."))
        again = await app.services.sessions.regenerate(ANN, other.session_id, bad.reply_id)
        talk.gate.opened.set()
        assert tags(await told(app, again)) == ["reply.waiting", *WRITTEN]
