"""What replies and messages are made of, and replies that belong to no session."""

import msgspec
import pytest

from nexus.domain.core.instants import format_instant
from nexus.domain.core.texts import truncate_to_bytes
from nexus.domain.ports.database import Tables, Window
from nexus.domain.ports.rows import ROW_BYTES, insert
from nexus.domain.sessions import rules
from nexus.domain.sessions.model import Message, Part, Reply, TextPart, ToolCallPart, WriteReply
from nexus.domain.sessions.tables import REPLIES
from tests.domain.builds.scripts import doubling
from tests.domain.sessions.test_sessions import heard, talking
from tests.fakes.models import turn
from tests.memory_app import ANN

ESCAPED = '"\\\n\x01'
AWKWARD = [ESCAPED * 30_000, "税" * 150_000, "😀é" * 90_000, "\x00" * 110_000]


async def test_an_answer_keeps_which_tools_were_called_and_where_in_it() -> None:
    async with talking() as (app, session):
        [call, said] = doubling()
        app.adapters.default_model.add(
            msgspec.structs.replace(call, pieces=("Let me see. ", *call.pieces)), said, purpose="reply"
        )
        reply = await app.services.sessions.send(ANN, session.session_id, "double 2")
        events = await heard(app, session, reply.reply_id)
        called = next(event for event in events if event["type"] == "tool.called")
        kept = await app.services.sessions.get_reply(ANN, session.session_id, reply.reply_id)
        assert kept.output == (
            TextPart("Let me see. "),
            ToolCallPart(str(called["call_id"]), str(called["name"]), True),
            TextPart("That is 4."),
        )
        assert (kept.input, kept.content) == ((TextPart("double 2"),), "Let me see. That is 4.")
        messages = (await app.services.sessions.list_messages(ANN, session.session_id, Window())).items
        assert [message.parts for message in messages] == [kept.input, kept.output]


async def test_parts_that_a_user_sends_are_paragraphs_for_the_model() -> None:
    async with talking() as (app, session):
        app.adapters.default_model.add(turn("Good."), purpose="reply")
        said = [TextPart("A report."), TextPart("What does it say?")]
        reply = await app.services.sessions.send(ANN, session.session_id, said)
        await heard(app, session, reply.reply_id)
        assert app.adapters.default_model.requests[-1].messages[-1].content == "A report.\nWhat does it say?"
        again = await app.services.sessions.get(ANN, session.session_id)
        assert again.display_name == "A report. What does it say?"


async def test_a_reply_without_a_session_is_written_followed_and_accounted_for_like_every_other() -> None:
    async with talking() as (app, session):
        app.adapters.default_model.add(turn("Good."), purpose="reply")
        template = app.services.replies.make_reply(
            session, await app.services.agents.read(session.agent_id), "msg_x", "", []
        )
        reply = msgspec.structs.replace(template, session_id=None, asked=None, input=(TextPart("hello"),))
        before = (await app.services.statistics.read_overview(ANN)).messages
        await Tables(app.adapters.tables, secret=b"s", clock=app.clock).commit(insert(REPLIES, reply))
        assert app.services.replies.register_local_reply(reply)
        await app.queue.enqueue_job(WriteReply(reply_id=reply.reply_id), key=reply.reply_id, group=ANN.tenant_id)
        batches = await app.services.sessions.stream_reply_events(ANN, None, reply.reply_id)
        assert batches is not None
        events = [msgspec.json.decode(event) async for batch in batches for event in batch.events]
        assert [event["type"] for event in events][-1] == "reply.completed"
        await app.queue.wait_until_idle()
        kept = await app.services.sessions.get_reply(ANN, None, reply.reply_id)
        assert (kept.status, kept.content, kept.dispatch) == ("completed", "Good.", None)
        assert [message.content for message in app.adapters.default_model.requests[-1].messages][1:] == ["hello"]
        [call] = (await app.services.invocations.list_caller_invocations(ANN, session.agent_id, Window())).items
        assert (call.session_id, call.input_text, call.output_text) == (None, "hello", "Good.")
        assert (await app.services.statistics.read_overview(ANN)).messages == before


@pytest.mark.parametrize("text", AWKWARD, ids=["escapes", "chinese", "emoji", "control"])
def test_whatever_is_said_and_answered_a_row_holds_both(text: str) -> None:
    said: list[Part] = [TextPart(text[:50_000])]
    calls: list[Part] = [ToolCallPart(f"call_{number}", "look_it_up", True) for number in range(3_000)]
    output = rules.truncate_output_parts([TextPart(text), *calls, TextPart(text)], beside=said)
    reply = Reply(
        reply_id="msg",
        agent_id="agt",
        tenant_id="t",
        user_id="u",
        created_at=format_instant(0),
        input=tuple(said),
        output=output,
    )
    assert ROW_BYTES - 40_000 < len(msgspec.json.encode(REPLIES.encode_row(reply))) < ROW_BYTES


@pytest.mark.parametrize("text", AWKWARD, ids=["escapes", "chinese", "emoji", "control"])
def test_a_text_is_cut_by_what_it_takes_where_it_is_stored(text: str) -> None:
    for most in range(1000, 1020):
        cut = truncate_to_bytes(text, most)
        assert text.startswith(cut.removesuffix("…"))
        assert most - 9 < len(msgspec.json.encode(cut)) - 2 <= most
    assert truncate_to_bytes("short", 1000) == "short"


def test_a_message_is_its_text_to_who_asks_for_that() -> None:
    parts = (TextPart("one"), ToolCallPart("c", "tool", False), TextPart("two"))
    kept = [
        Message(
            session_id="s", message_id="m", tenant_id="t", user_id="u", role=role, parts=parts, created_at="now"
        ).content
        for role in ("user", "assistant")
    ]
    assert kept == ["one\ntwo", "onetwo"]
