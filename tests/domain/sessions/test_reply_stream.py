"""What is emitted of a reply reaches the log whole, in order and in few batches."""

import asyncio
from collections.abc import Sequence

from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.log import Append, EventLog
from nexus.domain.runtime.model import TextDelta, UsageRecorded
from nexus.domain.sessions.model import ReplyCompleted, ReplyEvent, ReplyStarted
from nexus.domain.sessions.reply_stream import ReplyStream, reply_log
from tests.fakes.log import MemoryLog

STARTED = ReplyStarted("ses_1", "rpl_1")
USAGE = UsageRecorded("bench", 10, 5)
OVER = ReplyCompleted("rpl_1", "end")


class Counting(MemoryLog):
    """Counts the appends, of which the next `failing` come to nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.batches, self.failing = list[int](), 0

    def append(self, append: Append) -> None:
        self.batches.append(len(append.events))
        if self.failing:
            self.failing -= 1
            asyncio.get_running_loop().call_soon(append.finish, Unavailable("away"))
        else:
            super().append(append)


async def events_of(log: Counting) -> Sequence[ReplyEvent]:
    return [event for _, event in await reply_log(EventLog(log)).read("t")]


async def test_what_a_call_cost_comes_with_the_next_event_and_the_end_at_the_latest() -> None:
    log = Counting()
    stream = ReplyStream(reply_log(EventLog(log)), "t")
    events = [STARTED, USAGE, TextDelta("one"), TextDelta(" two"), USAGE]
    for event in events:
        await stream.emit_event(event)
    await stream.end_stream(OVER)
    assert await events_of(log) == [*events, OVER]
    assert log.batches == [1, 2, 1, 2]


async def test_what_was_lost_on_its_way_is_forgotten_with_what_waited_behind_it() -> None:
    log = Counting()
    stream = ReplyStream(reply_log(EventLog(log)), "t")
    await stream.emit_event(STARTED)
    await stream.flush()
    log.failing = 1
    await stream.emit_event(TextDelta("lost"))
    await stream.emit_event(USAGE)
    await stream.end_stream(OVER)
    assert await events_of(log) == [STARTED, OVER]
