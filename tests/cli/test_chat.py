"""`nexus chat`: streamed replies, and what Ctrl-C does to them."""

import asyncio

import pytest
from aiohttp import web

from tests.cli.conftest import Nexus
from tests.cli.interrupts import press
from tests.client import fake as say
from tests.client.fake import Fake, frame
from tests.client.things import reply, session

STREAM = "/api/v2/sessions/ses_1/stream"
REPLY = "/api/v2/sessions/ses_1/replies/msg_1/events"
CANCEL = "/api/v2/sessions/ses_1/replies/msg_1/cancel"
BEGUN = frame(1, "reply.started", session_id="ses_1", reply_id="msg_1")
CALLED = frame(2, "tool.called", call_id="c", name="convert_units", arguments='{"value": 3}')
FINISHED = frame(3, "tool.finished", call_id="c", name="convert_units", ok=True, result='{"text": "3 km"}', seconds=0.1)
TEXT = [frame(4, "reply.delta", text="三公里 "), frame(5, "reply.delta", text="is 1.86 mi.")]
OVER = frame(6, "reply.completed", reply_id="msg_1", stop="end")


def test_messages_are_said_one_after_the_other_and_only_the_answers_are_the_result(talking: Fake, nexus: Nexus):
    talking.on("POST", STREAM, say.events(BEGUN, CALLED, FINISHED, *TEXT, OVER))
    said = nexus("chat", "unit_converter", "--message", "3 km?", "again?")
    assert (said.code, said.out) == (0, "三公里 is 1.86 mi.\n" * 2)
    assert '→ convert_units {"value": 3}' in said.err
    assert '← convert_units {"text": "3 km"}' in said.err
    assert [seen.json["content"] for seen in talking.asked("POST", STREAM)] == ["3 km?", "again?"]


def test_the_latest_agent_answers_when_none_is_named_and_lines_of_stdin_are_messages(talking: Fake, nexus: Nexus):
    talking.on("POST", STREAM, say.events(BEGUN, *TEXT, OVER))
    said = nexus("chat", stdin="one\n\ntwo\n")
    assert said.code == 0
    assert "Unit converter (unit_converter), session ses_1" in said.err
    assert [seen.json["content"] for seen in talking.asked("POST", STREAM)] == ["one", "two"]


def test_a_dash_is_everything_that_comes_through_stdin(talking: Fake, nexus: Nexus):
    talking.on("POST", STREAM, say.events(BEGUN, *TEXT, OVER))
    assert nexus("chat", "--message", "-", stdin="one\ntwo\n").code == 0
    assert talking.asked("POST", STREAM)[0].json == {"content": "one\ntwo"}


def test_a_session_is_gone_on_with(talking: Fake, nexus: Nexus):
    talking.on("POST", STREAM, say.events(BEGUN, *TEXT, OVER))
    assert nexus("chat", "--session", "ses_1", "--message", "hi").code == 0
    assert talking.asked("POST", "/api/v2/agents/agt_1/sessions") == []


def test_for_a_program_every_event_is_a_line(talking: Fake, nexus: Nexus):
    talking.on("POST", STREAM, say.events(BEGUN, *TEXT[:1], cut=True)).on("GET", REPLY, say.events(*TEXT[1:], OVER))
    lines = nexus("chat", "--message", "hi", "--json").json_lines
    assert [line["position"] for line in lines] == [1, 4, 5, 6]
    assert lines[-1]["event"] == "reply.completed"


@pytest.mark.parametrize("ending", ["reply.failed", "reply.interrupted"])
def test_a_reply_that_failed_is_a_failure_and_nothing_more_is_said(talking: Fake, nexus: Nexus, ending: str):
    talking.on("POST", STREAM, say.events(BEGUN, frame(2, ending, reply_id="msg_1", reason="the model is away")))
    said = nexus("chat", "--message", "one", "two")
    assert said.code == 1
    assert "the model is away" in said.err
    assert len(talking.asked("POST", STREAM)) == 1


@pytest.mark.parametrize(("position", "said_of_it"), [(3, "(waiting, 3 before you)"), (0, "(waiting, you are next)")])
def test_a_reply_that_has_to_wait_says_so_beside_the_answer(
    talking: Fake, nexus: Nexus, position: int, said_of_it: str
):
    waiting = frame(1, "reply.waiting", session_id="ses_1", reply_id="msg_1", reason="queue", position=position)
    begun = frame(2, "reply.started", session_id="ses_1", reply_id="msg_1")
    talking.on("POST", STREAM, say.events(waiting, begun, *TEXT, OVER))
    said = nexus("chat", "--message", "3 km?")
    assert (said.code, said.out) == (0, "三公里 is 1.86 mi.\n")
    assert said_of_it in said.err


def test_ctrl_c_stops_a_reply_that_waits(talking: Fake, nexus: Nexus):
    waiting = frame(1, "reply.waiting", session_id="ses_1", reply_id="msg_1", reason="queue", position=3)
    talking.on("POST", STREAM, say.events(waiting, after=asyncio.Event().wait))
    talking.on("POST", CANCEL, say.good(reply(), 202))
    talking.on("GET", REPLY, say.events(frame(2, "reply.cancelled", reply_id="msg_1")))
    said = nexus("chat", "--message", "3 km?", press_at="3 before you")
    assert (said.code, said.out) == (130, "")
    assert len(talking.asked("POST", CANCEL)) == 1
    assert talking.asked("GET", REPLY)[0].headers["Last-Event-ID"] == "1"


def test_a_reply_that_begins_anew_is_told(talking: Fake, nexus: Nexus):
    reset = frame(5, "reply.reset", reason="another model")
    talking.on(
        "POST",
        STREAM,
        say.events(BEGUN, TEXT[0], reset, frame(6, "reply.delta", text="Hey"), frame(7, "reply.completed")),
    )
    said = nexus("chat", "--message", "hi")
    assert said.out == "三公里 \nHey\n"
    assert "begins anew: another model" in said.err


def test_without_any_agent_it_says_how_to_get_one(fake: Fake, nexus: Nexus):
    fake.on("GET", "/ready", say.good({})).on("GET", "/api/v2/agents", say.listed([]))
    said = nexus("chat", "--message", "hi")
    assert said.code == 4
    assert "nexus build" in said.err


def test_typed_lines_are_answered_until_the_end_of_input(talking: Fake, nexus: Nexus):
    busy = say.problem(409, title="One reply at a time", detail="A reply is being written.")
    talking.on("POST", STREAM, busy, say.events(BEGUN, *TEXT, OVER))
    said = nexus("chat", stdin="first\n\nsecond\n", interactive=True)
    assert (said.code, said.out) == (0, "三公里 is 1.86 mi.\n")
    assert "A reply is being written." in said.err
    assert "nexus chat --session ses_1" in said.err


def interrupted(talking: Fake) -> None:
    """The first reply goes on for ever, until it is cancelled; the second one ends."""
    talking.on("POST", STREAM, say.events(BEGUN, TEXT[0], after=asyncio.Event().wait), say.events(BEGUN, *TEXT, OVER))
    talking.on("POST", CANCEL, say.good(reply(), 202))
    talking.on("GET", REPLY, say.events(TEXT[1], frame(6, "reply.cancelled", reply_id="msg_1")))


def test_ctrl_c_stops_the_reply_on_the_server_and_the_conversation_goes_on(talking: Fake, nexus: Nexus):
    interrupted(talking)
    said = nexus("chat", stdin="long story\nnext\n", interactive=True, press_at="三公里")
    assert said.code == 0
    assert said.out == "三公里 is 1.86 mi.\n三公里 is 1.86 mi.\n"
    assert "(stopped)" in said.err
    assert len(talking.asked("POST", CANCEL)) == 1
    assert talking.asked("GET", REPLY)[0].headers["Last-Event-ID"] == "4"


def test_ctrl_c_without_a_conversation_stops_the_reply_and_the_command(talking: Fake, nexus: Nexus):
    interrupted(talking)
    said = nexus("chat", "--message", "long story", "next", press_at="三公里")
    assert said.code == 130
    assert len(talking.asked("POST", CANCEL)) == 1
    assert len(talking.asked("POST", STREAM)) == 1


def test_ctrl_c_again_leaves_at_once(talking: Fake, nexus: Nexus):
    async def pressed_again(_: web.Request) -> web.StreamResponse:
        press()
        await asyncio.Event().wait()
        return web.Response()

    interrupted(talking)
    talking.answers["POST", CANCEL] = [pressed_again]
    said = nexus("chat", stdin="long story\nnext\n", interactive=True, press_at="三公里")
    assert said.code == 130
    assert len(talking.asked("POST", STREAM)) == 1
    assert "Traceback" not in said.err


def test_ctrl_c_before_the_reply_has_a_name_finds_it_by_the_session(talking: Fake, nexus: Nexus):
    async def pressed() -> None:
        press()
        await asyncio.Event().wait()

    talking.answers["GET", "/api/v2/sessions/ses_1"] = [say.good(session(active_reply="msg_1"))]
    interrupted(talking)
    talking.answers["POST", STREAM] = [say.events(after=pressed)]
    assert nexus("chat", "--message", "hi").code == 130
    assert len(talking.asked("POST", CANCEL)) == 1


def test_when_the_server_is_gone_ctrl_c_does_not_claim_that_the_reply_stopped(talking: Fake, nexus: Nexus):
    interrupted(talking)
    talking.answers["POST", CANCEL] = [say.problem(500, title="Something went wrong inside the server")]
    said = nexus("chat", "--message", "hi", press_at="三公里")
    assert said.code == 130
    assert "not known" in said.err


def test_what_the_agent_says_cannot_steer_the_terminal(talking: Fake, nexus: Nexus):
    talking.on(
        "POST", STREAM, say.events(BEGUN, frame(2, "reply.delta", text="a\x1b[2Jb\x07"), frame(3, "reply.completed"))
    )
    assert nexus("chat", "--message", "hi").out == "a[2Jb\n"
