"""Streams: every event once, in order, through whatever happens to the connection."""

import asyncio
from contextlib import aclosing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus.client import ApiError, Client, Event, Pauses, Unreachable
from tests.client import fake as say
from tests.client.conftest import Clock
from tests.client.fake import Fake, frame

BUILD = "/api/v2/projects/prj_1/events"
STREAM = "/api/v2/sessions/ses_1/stream"
REPLY = "/api/v2/sessions/ses_1/replies/msg_1/events"
LOGS = [frame(n, "stage.log", line=str(n)) for n in range(1, 6)]
END = frame(6, "build.completed")
SAID = [
    frame(1, "reply.started", reply_id="msg_1"),
    frame(2, "reply.delta", text="He"),
    frame(3, "reply.delta", text="y"),
]
OVER = frame(4, "reply.completed")


async def positions(events) -> list[int]:
    return [event.position async for event in events]


async def test_a_stream_ends_with_the_event_that_ends_it(fake: Fake, client: Client):
    fake.on("GET", BUILD, say.events(*LOGS, END, frame(7, "stage.log")))
    found = [event async for event in client.stream_build_events("prj_1")]
    assert [event.position for event in found] == [1, 2, 3, 4, 5, 6]
    assert found[0] == Event(position=1, tag="stage.log", data={"type": "stage.log", "line": "1"})
    assert "Last-Event-ID" not in fake.seen[0].headers


async def test_a_drop_in_the_middle_is_gone_on_from_without_gap_or_repeat(fake: Fake, client: Client, clock: Clock):
    fake.on("GET", BUILD, say.events(*LOGS[:2], LOGS[2][:9], cut=True), say.dropped(), say.events(*LOGS[1:], END))
    assert await positions(client.stream_build_events("prj_1")) == [1, 2, 3, 4, 5, 6]
    assert [seen.headers.get("Last-Event-ID") for seen in fake.seen] == [None, "2", "2"]
    assert clock.slept


async def test_a_server_that_says_goodbye_is_asked_again(fake: Fake, client: Client, clock: Clock):
    fake.on("GET", BUILD, say.events(*LOGS[:3], frame(None, "reconnect"), LOGS[3]), say.events(*LOGS[3:], END))
    assert await positions(client.stream_build_events("prj_1")) == [1, 2, 3, 4, 5, 6]
    assert fake.seen[1].headers["Last-Event-ID"] == "3"
    assert len(clock.slept) == 1


async def test_a_finished_and_fully_read_stream_is_empty(fake: Fake, client: Client):
    fake.on("GET", BUILD, say.nothing(204))
    assert await positions(client.stream_build_events("prj_1", after=6)) == []
    assert fake.seen[0].headers["Last-Event-ID"] == "6"


async def test_a_stream_that_was_read_while_it_ended_is_over_at_the_204(fake: Fake, client: Client):
    fake.on("GET", BUILD, say.events(*LOGS, cut=True), say.nothing(204))
    assert await positions(client.stream_build_events("prj_1")) == [1, 2, 3, 4, 5]


async def test_a_busy_server_is_waited_for_as_long_as_it_wishes(fake: Fake, client: Client, clock: Clock):
    fake.on("GET", BUILD, say.problem(503, retry_after="9"), say.problem(429, retry_after="2"), say.events(*LOGS, END))
    assert len(await positions(client.stream_build_events("prj_1"))) == 6
    assert clock.slept[0] >= 9
    assert clock.slept[1] >= 2


async def test_a_refusal_is_not_tried_again(fake: Fake, client: Client):
    fake.on("GET", BUILD, say.problem(404, title="There is no such thing"))
    with pytest.raises(ApiError):
        await positions(client.stream_build_events("prj_1"))
    assert len(fake.seen) == 1


async def test_a_server_that_stays_away_is_given_up(fake: Fake, client: Client, clock: Clock):
    fake.on("GET", BUILD, say.events(*LOGS[:2], cut=True), say.dropped())
    heard = []
    with pytest.raises(Unreachable):
        async for event in client.stream_build_events("prj_1"):
            heard.append(event.position)
    assert heard == [1, 2]
    assert len(clock.slept) == 3


async def test_connections_that_end_without_a_word_do_not_spin(fake: Fake, client: Client, clock: Clock):
    fake.on("GET", BUILD, say.events())
    with pytest.raises(Unreachable, match="before its end"):
        await positions(client.stream_build_events("prj_1"))
    assert len(clock.slept) == 3


async def test_a_quiet_stream_that_pings_is_not_given_up(fake: Fake, client: Client):
    fake.on("GET", BUILD, *[say.events(b": ping\n\n", cut=True)] * 10, say.events(*LOGS, END))
    assert len(await positions(client.stream_build_events("prj_1"))) == 6


@pytest.mark.parametrize("strange", [b"id: x\ndata: {}\n\n", b"id: 1\ndata: 3\n\n", b"id: 1\ndata: {\n\n"])
async def test_events_of_another_kind_are_not_taken_for_ours(fake: Fake, client: Client, strange: bytes):
    fake.on("GET", BUILD, say.events(strange))
    with pytest.raises(Unreachable, match="another kind"):
        await positions(client.stream_build_events("prj_1"))


async def test_a_page_in_place_of_a_stream_is_not_read(fake: Fake, client: Client):
    fake.on("GET", BUILD, say.text(b"<html>", "text/html"))
    with pytest.raises(Unreachable, match="text/html"):
        await positions(client.stream_build_events("prj_1"))


async def test_a_reply_goes_on_at_its_own_address_after_a_drop(fake: Fake, client: Client):
    fake.on("POST", STREAM, say.events(*SAID[:2], cut=True)).on("GET", REPLY, say.events(SAID[2], OVER))
    assert await positions(client.send_and_stream_reply("ses_1", "Hi")) == [1, 2, 3, 4]
    assert [(seen.method, seen.path) for seen in fake.seen] == [("POST", STREAM), ("GET", REPLY)]
    assert fake.seen[1].headers["Last-Event-ID"] == "2"
    assert fake.seen[0].json == {"content": "Hi"}


async def test_a_message_that_was_perhaps_not_heard_is_sent_again_under_its_key(fake: Fake, client: Client):
    fake.on("POST", STREAM, say.dropped(), say.events(cut=True), say.events(*SAID, OVER))
    assert await positions(client.send_and_stream_reply("ses_1", "Hi")) == [1, 2, 3, 4]
    assert len(fake.seen) == 3
    assert len({seen.headers["Idempotency-Key"] for seen in fake.seen}) == 1


async def test_a_reply_that_waits_is_gone_on_with_at_its_own_address(fake: Fake, client: Client):
    waiting = frame(1, "reply.waiting", reply_id="msg_1", reason="queue", position=0)
    fake.on("POST", STREAM, say.events(waiting, cut=True))
    fake.on("GET", REPLY, say.events(frame(2, "reply.started", reply_id="msg_1"), frame(3, "reply.completed")))
    assert await positions(client.send_and_stream_reply("ses_1", "Hi")) == [1, 2, 3]
    assert fake.asked("GET", REPLY)[0].headers["Last-Event-ID"] == "1"


async def test_a_second_reply_at_the_same_time_is_refused(fake: Fake, client: Client):
    fake.on("POST", STREAM, say.problem(409, title="One reply at a time", reply_id="msg_9"))
    with pytest.raises(ApiError) as refused:
        await positions(client.send_and_stream_reply("ses_1", "Hi"))
    assert refused.value.problem.reply_id == "msg_9"


async def test_a_reply_whose_log_was_lost_begins_anew_and_is_told_so(fake: Fake, client: Client):
    reset = frame(None, "reply.reset", reason="lost")
    fake.on("POST", STREAM, say.events(*SAID, cut=True))
    fake.on("GET", REPLY, say.events(reset, frame(1, "reply.delta", text="Hey"), frame(2, "reply.completed")))
    found = [(event.position, event.tag) async for event in client.send_and_stream_reply("ses_1", "Hi")]
    assert found[3:] == [(0, "reply.reset"), (1, "reply.delta"), (2, "reply.completed")]


async def test_leaving_a_stream_closes_its_connection(fake: Fake, client: Client):
    closed, forever = asyncio.Event(), asyncio.Event()

    async def after() -> None:
        try:
            await forever.wait()
        finally:
            closed.set()

    fake.on("GET", BUILD, say.events(*LOGS, after=after))
    async with aclosing(client.stream_build_events("prj_1")) as events:
        async for _ in events:
            break
    await asyncio.wait_for(closed.wait(), 50)


async def test_the_caller_is_told_of_a_drop(fake: Fake):
    said: list[str] = []
    fake.on("GET", BUILD, say.events(*LOGS[:2], cut=True), say.events(*LOGS[2:], END))
    async with Client(fake.url, sleep=Clock().sleep, notice=said.append) as client:
        await positions(client.stream_build_events("prj_1"))
    assert len(said) == 1
    assert "from event 2" in said[0]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 20), st.booleans()), max_size=5))
async def test_wherever_connections_break_each_event_comes_once(fake: Fake, cuts: list[tuple[int, int, bool]]):
    """Each connection sends all events behind any earlier position, up to a place in the middle of one."""
    fake.answers.clear()
    sent = [*LOGS, END]
    for upto, into, from_start in cuts:
        begin = 0 if from_start else min(upto, 1)
        partial = sent[upto][:into] if upto < 5 else b""
        fake.on("GET", BUILD, say.events(*sent[begin : min(upto, 5)], partial, cut=True))
    fake.on("GET", BUILD, say.events(*sent))
    async with Client(fake.url, pauses=Pauses(streams=10), sleep=Clock().sleep) as client:
        found = await positions(client.stream_build_events("prj_1"))
    assert found == sorted(set(found))
    assert found[-1] == 6
