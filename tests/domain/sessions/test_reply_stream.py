"""What is emitted of a reply reaches the log whole, in order and in few batches."""

import asyncio
from collections.abc import Sequence

import pytest

from nexus.domain.core.errors import Conflict, Unavailable
from nexus.domain.ports.log import LEAP, Append, Batch, EventLog
from nexus.domain.runtime.model import TextDelta, UsageRecorded
from nexus.domain.sessions.model import ReplyCompleted, ReplyEvent, ReplyReset, ReplyStarted, join_text_parts
from nexus.domain.sessions.reply_stream import LOST, UNKNOWN, ReplyStream, make_reply_log
from tests.fakes.log import MemoryLog

STARTED = ReplyStarted("ses_1", "rpl_1")
USAGE = UsageRecorded("bench", 10, 5)
OVER = ReplyCompleted("rpl_1", "end")


class Counting(MemoryLog):
    """Counts the appends, of which the next `failing` come to nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.batches, self.failing = list[int](), 0

    def append_events(self, append: Append) -> None:
        self.batches.append(len(append.events))
        if self.failing:
            self.failing -= 1
            asyncio.get_running_loop().call_soon(append.finish, Unavailable("away"))
        else:
            super().append_events(append)


async def events_of(log: Counting) -> Sequence[ReplyEvent]:
    return [event for _, event in await make_reply_log(EventLog(log)).read_entries("t")]


async def test_what_a_call_cost_comes_with_the_next_event_and_the_end_at_the_latest() -> None:
    log = Counting()
    stream = ReplyStream(make_reply_log(EventLog(log)), "t")
    events = [STARTED, USAGE, TextDelta("one"), TextDelta(" two"), USAGE]
    for event in events:
        await stream.emit_event(event)
    await stream.end_stream(OVER)
    assert await events_of(log) == [*events, OVER]
    assert log.batches == [1, 2, 1, 2]


async def test_what_was_lost_on_its_way_is_forgotten_with_what_waited_behind_it() -> None:
    log = Counting()
    stream = ReplyStream(make_reply_log(EventLog(log)), "t")
    await stream.emit_event(STARTED)
    await stream.await_last_append()
    log.failing = 1
    await stream.emit_event(TextDelta("lost"))
    await stream.emit_event(USAGE)
    await stream.end_stream(OVER)
    assert await events_of(log) == [STARTED, OVER]


async def begun_stream(log: Counting) -> ReplyStream:
    """Of a reply that has said `one` and counted a call."""
    stream = ReplyStream(make_reply_log(EventLog(log)), "t")
    await stream.emit_answer_start(STARTED, again=ReplyReset("again"), now=0.0)
    for event in (USAGE, TextDelta("one")):
        await stream.emit_answer_item(event)
    await stream.await_last_append()
    return stream


async def test_what_is_lost_while_the_log_is_away_is_said_again_behind_a_leap() -> None:
    log = Counting()
    stream = await begun_stream(log)
    log.failing = 3
    for word in (" two", " three", " four", " five"):
        await stream.emit_answer_item(TextDelta(word))
    await stream.await_last_append()
    await stream.end_stream(OVER)
    events = await make_reply_log(EventLog(log)).read_entries("t")
    assert [event for _, event in events][3:] == [
        ReplyReset(LOST), USAGE, TextDelta("one two three four five"), OVER
    ]  # fmt: skip
    assert events[3].position > events[2].position + LEAP
    replayed = ReplyStream(make_reply_log(EventLog(log)), "t")
    await replayed.restore_from_log()
    assert (join_text_parts(replayed.output), replayed.input_tokens) == ("one two three four five", 10)


@pytest.mark.parametrize("when", ["before a word", "before the end", "with the end on its way"])
async def test_a_topic_that_the_log_has_lost_begins_anew_with_all_that_was_said(when: str) -> None:
    log = Counting()
    stream = await begun_stream(log)
    if when == "before a word":
        await log.delete_topics(["t"])
        await stream.emit_answer_item(TextDelta(" two"))
        await stream.await_last_append()
    else:
        await stream.emit_answer_item(TextDelta(" two"))
        if when == "before the end":
            await stream.await_last_append()
        await log.delete_topics(["t"])
    await stream.end_stream(OVER)
    assert await events_of(log) == [ReplyReset(LOST), USAGE, TextDelta("one two"), OVER]


async def test_another_writer_that_is_further_is_not_written_over() -> None:
    log = Counting()
    stream = await begun_stream(log)
    other = ReplyStream(make_reply_log(EventLog(log)), "t")
    await other.restore_from_log()
    await other.emit_answer_start(STARTED, again=ReplyReset("taken over"), now=0.0)
    await other.await_last_append()
    await stream.emit_answer_item(TextDelta(" two"))
    with pytest.raises(Conflict):
        await stream.await_last_append()


async def test_a_reply_that_is_taken_over_while_the_log_is_away_is_begun_anew_beyond_all_positions() -> None:
    class Away(Counting):
        async def read_events(self, topic: str, after: int, limit: int) -> Batch:
            raise Unavailable("away")

    log = Away()
    stream = ReplyStream(make_reply_log(EventLog(log)), "t")
    await stream.restore_from_log(2)
    assert stream.has_begun and stream.usage_unknown
    await stream.emit_answer_start(STARTED, again=ReplyReset("taken over"), now=0.0)
    await stream.await_last_append()
    assert await log.read_end_position("t") > 2 * UNKNOWN


@pytest.mark.parametrize("was_held", [True, False])
async def test_a_reply_that_another_writer_had_and_this_log_does_not_know_voids_what_was_heard(was_held: bool) -> None:
    log = Counting()
    stream = ReplyStream(make_reply_log(EventLog(log)), "t")
    await stream.restore_from_log(2, was_held=was_held)
    await stream.emit_answer_start(STARTED, again=ReplyReset("taken over"), now=0.0)
    await stream.await_last_append()
    assert await events_of(log) == ([STARTED, ReplyReset(LOST)] if was_held else [STARTED])
    assert (await log.read_end_position("t") > 2 * UNKNOWN) is was_held
