"""Conversations with a built agent, on a scripted model."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from msgspec import structs

from nexus.domain.core.errors import NotFound, Unavailable
from nexus.domain.ports.database import Window
from nexus.domain.requests.model import make_idempotency_key
from nexus.domain.requests.service import KeyReused
from nexus.domain.sessions.model import NotLast, ReplyRunning, Session
from tests.domain.builds.scripts import doubling, script
from tests.domain.builds.test_builds import WANTED, over
from tests.fakes.models import Gate, turn
from tests.memory_app import ANN, BEN, EVE, MemoryApp, make_adapters, open_app


@asynccontextmanager
async def talking(**adapters: Any) -> AsyncIterator[tuple[MemoryApp, Session]]:
    """An app with a deployed agent and an open session; the model's script for replies is empty again."""
    async with open_app(structs.replace(make_adapters(script()), **adapters)) as app:
        started = await app.services.builds.start(ANN, WANTED)
        assert (await over(app, started.project_id)).status == "completed"
        [agent] = (await app.services.agents.list_agents(ANN, Window())).items
        yield app, await app.services.sessions.create_session(ANN, agent.agent_id)


async def heard(app: MemoryApp, session: Session, reply_id: str, after: int = 0) -> list[dict[str, object]]:
    batches = await app.services.sessions.stream_reply_events(ANN, session.session_id, reply_id, after)
    assert batches is not None
    return [msgspec.json.decode(event) async for batch in batches for event in batch.events]


async def test_a_reply_streams_its_tool_calls_and_is_kept_once() -> None:
    async with talking() as (app, session):
        app.adapters.default_model.add(*doubling(), purpose="reply")
        reply = await app.services.sessions.send(ANN, session.session_id, "double 2")
        events = await heard(app, session, reply.reply_id)
        assert [event["type"] for event in events] == [
            "reply.started", "usage.recorded", "tool.called", "tool.finished",
            "reply.delta", "reply.delta", "usage.recorded", "reply.completed",
        ]  # fmt: skip
        assert events[3]["result"] == "4"
        messages = (await app.services.sessions.list_messages(ANN, session.session_id, Window())).items
        assert [(message.role, message.content) for message in messages] == [
            ("user", "double 2"),
            ("assistant", "That is 4."),
        ]
        now = await app.services.sessions.get(ANN, session.session_id)
        assert (now.message_count, now.active_reply, now.display_name) == (2, None, "double 2")
        [invocation] = (await app.services.invocations.list_caller_invocations(ANN, session.agent_id, Window())).items
        assert (invocation.status, invocation.session_id, invocation.output_text) == (
            "success",
            session.session_id,
            "That is 4.",
        )
        assert (await app.services.statistics.read_overview(ANN)).invocations == 1


async def test_two_readers_see_the_same_and_one_may_come_back_at_any_position() -> None:
    async with talking() as (app, session):
        gate = Gate()
        app.adapters.default_model.add(turn("one ", gate, "two"), purpose="reply")
        reply = await app.services.sessions.send(ANN, session.session_id, "count")
        readers = [asyncio.ensure_future(heard(app, session, reply.reply_id)) for _ in range(2)]
        await gate.reached.wait()
        gate.opened.set()
        first, second = await asyncio.gather(*readers)
        assert first == second
        assert await heard(app, session, reply.reply_id, after=2) == first[2:]
        assert (
            await app.services.sessions.stream_reply_events(ANN, session.session_id, reply.reply_id, len(first)) is None
        )


async def test_cancel_keeps_what_was_written_and_the_session_goes_on() -> None:
    async with talking() as (app, session):
        gate = Gate()
        app.adapters.default_model.add(turn("half ", gate, "never"), turn("again"), purpose="reply")
        reply = await app.services.sessions.send(ANN, session.session_id, "talk")
        await gate.reached.wait()
        with pytest.raises(ReplyRunning) as refused:
            await app.services.sessions.send(ANN, session.session_id, "me too")
        assert refused.value.facts["reply_id"] == reply.reply_id
        await app.services.sessions.cancel(ANN, session.session_id, reply.reply_id)
        events = await heard(app, session, reply.reply_id)
        assert events[-1]["type"] == "reply.cancelled"
        ended = await app.services.sessions.cancel(ANN, session.session_id, reply.reply_id)
        assert (ended.status, ended.content) == ("cancelled", "half ")
        assert app.adapters.default_model.open == 0
        reply = await app.services.sessions.send(ANN, session.session_id, "go on")
        assert (await heard(app, session, reply.reply_id))[-1]["type"] == "reply.completed"


async def test_a_failing_model_ends_the_reply_with_its_reason() -> None:
    async with talking() as (app, session):
        app.adapters.default_model.add(turn("begun ", Unavailable("The provider is away.")), purpose="reply")
        reply = await app.services.sessions.send(ANN, session.session_id, "talk")
        events = await heard(app, session, reply.reply_id)
        assert (events[-1]["type"], events[-1]["reason"]) == ("reply.failed", "The provider is away.")
        ended = await app.services.sessions.get_reply(ANN, session.session_id, reply.reply_id)
        assert (ended.status, ended.content) == ("failed", "begun ")
        assert (await app.services.statistics.read_overview(ANN)).invocations_failed == 1


async def test_a_reply_whose_process_died_is_taken_over_once_and_begins_anew() -> None:
    async with talking() as (app, session):
        gate = Gate()
        app.adapters.default_model.add(turn("so far ", gate, "never"), turn("whole"), purpose="reply")
        reply = await app.services.sessions.send(ANN, session.session_id, "talk")
        await gate.reached.wait()
        async with open_app(make_adapters(like=app.adapters, clock=app.clock, worker_id="w2")) as again:
            await again.sweeper.recover_jobs_at_start(alone=True)
            events = await heard(again, session, reply.reply_id)
            assert [event["type"] for event in events] == [
                "reply.started", "reply.delta", "reply.reset", "reply.delta", "usage.recorded", "reply.completed",
            ]  # fmt: skip
            ended = await again.services.sessions.get_reply(ANN, session.session_id, reply.reply_id)
            assert (ended.status, ended.content, ended.usage_unknown) == ("completed", "whole", True)
            gate.opened.set()
            await app.queue.drain_jobs(5)
            assert await heard(again, session, reply.reply_id) == events
            assert (await again.services.sessions.get(ANN, session.session_id)).message_count == 2


async def test_steps_that_were_finished_before_the_process_died_are_not_paid_again() -> None:
    async with talking() as (app, session):
        gate = Gate()
        call, words = doubling()
        app.adapters.default_model.add(call, turn("so far ", gate, "never"), words, purpose="reply")
        before = len(app.adapters.default_model.requests)
        reply = await app.services.sessions.send(ANN, session.session_id, "double 2")
        await gate.reached.wait()
        async with open_app(make_adapters(like=app.adapters, clock=app.clock, worker_id="w2")) as again:
            await again.sweeper.recover_jobs_at_start(alone=True)
            events = await heard(again, session, reply.reply_id)
            assert (
                await again.services.sessions.get_reply(ANN, session.session_id, reply.reply_id)
            ).content == "That is 4."
            assert [event["type"] for event in events].count("tool.finished") == 2
            assert len(app.adapters.default_model.requests) - before == 3


async def test_the_second_death_interrupts_a_reply_with_its_text_and_it_can_be_written_again() -> None:
    async with talking() as (app, session):
        first, second = Gate(), Gate()
        app.adapters.default_model.add(
            turn("one ", first, ""), turn("two ", second, ""), turn("whole"), purpose="reply"
        )
        reply = await app.services.sessions.send(ANN, session.session_id, "talk")
        await first.reached.wait()
        async with open_app(make_adapters(like=app.adapters, clock=app.clock, worker_id="w2")) as again:
            await again.sweeper.recover_jobs_at_start(alone=True)
            await second.reached.wait()
            async with open_app(make_adapters(like=app.adapters, clock=app.clock, worker_id="w3")) as last:
                await last.sweeper.recover_jobs_at_start(alone=True)
                events = await heard(last, session, reply.reply_id)
                assert events[-1]["type"] == "reply.interrupted"
                ended = await last.services.sessions.get_reply(ANN, session.session_id, reply.reply_id)
                assert (ended.status, ended.content) == ("interrupted", "two ")
                anew = await last.services.sessions.regenerate(ANN, session.session_id, reply.reply_id)
                await heard(last, session, anew.reply_id)
                messages = (await last.services.sessions.list_messages(ANN, session.session_id, Window())).items
                assert [message.content for message in messages] == ["talk", "whole"]
                assert (await last.services.sessions.get(ANN, session.session_id)).message_count == 2
                with pytest.raises((NotLast, NotFound)):
                    await last.services.sessions.regenerate(ANN, session.session_id, messages[0].message_id)


async def test_the_same_request_twice_is_said_once() -> None:
    async with talking() as (app, session):
        app.adapters.default_model.add(turn("yes"), purpose="reply")
        key = make_idempotency_key("k1", "stream", b"hello")
        first = await app.services.sessions.send(ANN, session.session_id, "hello", once=key)
        second = await app.services.sessions.send(ANN, session.session_id, "hello", once=key)
        assert first.reply_id == second.reply_id
        await heard(app, session, first.reply_id)
        with pytest.raises(KeyReused):
            await app.services.sessions.send(
                ANN, session.session_id, "other", once=make_idempotency_key("k1", "stream", b"other")
            )
        assert (await app.services.sessions.get(ANN, session.session_id)).message_count == 2


async def test_sessions_are_private_to_their_user() -> None:
    async with talking() as (app, session):
        for stranger in (BEN, EVE):
            for verb in (
                app.services.sessions.get(stranger, session.session_id),
                app.services.sessions.send(stranger, session.session_id, "hi"),
                app.services.sessions.list_messages(stranger, session.session_id, Window()),
                app.services.session_deletions.soft_delete_session(stranger, session.session_id),
            ):
                with pytest.raises(NotFound):
                    await verb
        assert (await app.services.sessions.list_sessions(BEN, Window())).items == []


async def test_a_deleted_session_is_gone() -> None:
    async with talking() as (app, session):
        await app.services.session_deletions.soft_delete_session(ANN, session.session_id)
        with pytest.raises(NotFound):
            await app.services.sessions.get(ANN, session.session_id)
        assert (await app.services.sessions.list_sessions(ANN, Window())).items == []


async def test_an_invocation_is_recorded_and_its_key_answers_again() -> None:
    async with talking() as (app, session):
        app.adapters.default_model.add(*doubling(), purpose="reply")
        key = make_idempotency_key("inv", "invoke", b"double 2")
        first = await app.services.invocations.invoke(ANN, session.agent_id, "double 2", once=key)
        again = await app.services.invocations.invoke(ANN, session.agent_id, "double 2", once=key)
        assert (first.output_text, first.status, again.invocation_id) == ("That is 4.", "success", first.invocation_id)
