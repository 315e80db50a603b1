"""A reply while it is written: what was said so far, and where in the log it stands. The hot path of a token."""

import asyncio
from collections.abc import Sequence
from typing import get_args

from nexus.domain.agents.model import Agent
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.log import LEAP, EventLog, Stream
from nexus.domain.runtime.model import AnswerEvent, AnswerFinished, AnswerStop, TextDelta, ToolFinished, UsageRecorded
from nexus.domain.sessions import rules
from nexus.domain.sessions.model import (
    Ending,
    Part,
    ReplyEvent,
    ReplyReset,
    ReplyStarted,
    Session,
    TextPart,
    ToolCallPart,
)


def reply_log(log: EventLog) -> Stream[ReplyEvent]:
    return Stream(log, kinds=get_args(ReplyEvent), ends=get_args(Ending))


class ReplyStream:
    """One append is under way at a time: what the model says meanwhile waits in its socket and comes joined.

    `has_begun`: more was emitted than that it waits; `began`: when it did so through this object, in seconds. `agent`, `session`: as they
    were when it was asked for, where that is not long ago."""

    __slots__ = (
        "_at",
        "_landed",
        "_parts",
        "_pending",
        "_stream",
        "_text",
        "_topic",
        "agent",
        "began",
        "has_begun",
        "input_tokens",
        "is_ending",
        "output_tokens",
        "session",
        "stop",
        "usage_unknown",
    )

    def __init__(self, stream: Stream[ReplyEvent], topic: str, *, at: int = 0) -> None:
        self._stream, self._topic, self._at = stream, topic, at
        self._landed: asyncio.Future[int] | None = None
        self._pending = list[ReplyEvent]()
        self._parts, self._text = list[Part](), list[str]()
        self.input_tokens = self.output_tokens = 0
        self.usage_unknown = self.has_begun = self.is_ending = False
        self.agent: Agent | None = None
        self.session: Session | None = None
        self.began: float | None = None
        self.stop: AnswerStop = "end"

    @property
    def output(self) -> Sequence[Part]:
        return [*self._parts, TextPart("".join(self._text))] if self._text else self._parts

    async def emit_event(self, event: ReplyEvent) -> None:
        """On its way when this returns, or together with the next one (what a call cost: nobody waits for that); waits for the one before."""
        self._pending.append(event)
        if isinstance(event, UsageRecorded):
            return
        if self._landed is not None:
            await self._landed
        self._landed = self._append()

    def _append(self) -> asyncio.Future[int]:
        events, self._pending = self._pending, []
        after, self._at = self._at, self._at + len(events)
        return self._stream.append(self._topic, events, after=after)

    async def consume(self, item: AnswerEvent | AnswerFinished) -> None:
        """An item of the answer: counted, kept and emitted."""
        if isinstance(item, AnswerFinished):
            self.stop = item.stop
            return
        self._count_event(item)
        await self.emit_event(item)

    def _count_event(self, event: ReplyEvent) -> None:
        if isinstance(event, TextDelta):
            self._text.append(event.text)
        elif isinstance(event, ToolFinished):
            self._parts = [*self.output, ToolCallPart(event.call_id, event.name, event.ok)]
            self._text.clear()
        elif isinstance(event, UsageRecorded):
            self.input_tokens += event.input_tokens
            self.output_tokens += event.output_tokens
            self.usage_unknown |= event.unknown
        elif isinstance(event, ReplyReset):
            self._clear_output()

    def _clear_output(self) -> None:
        """After a reset all is emitted again, finished steps out of the journal included: nothing counts twice."""
        self._parts = []
        self._text.clear()
        self.input_tokens = self.output_tokens = 0

    async def begin_answer(self, started: ReplyStarted, *, again: ReplyReset, now: float) -> None:
        """From now on it is answered; where it was before, everything emitted so far is void."""
        self.began, had_begun, self.has_begun = now, self.has_begun, True
        if had_begun:
            self._clear_output()
        await self.emit_event(again if had_begun else started)

    async def flush(self) -> None:
        """What was emitted is in the log, or was lost on its way there and is forgotten."""
        if self._landed is not None and not self._landed.cancelled():
            try:
                await self._landed
            except Unavailable:
                self._at = await self._stream.end(self._topic)
                self._pending.clear()
        self._landed = None

    async def append_pending(self) -> None:
        """What was to go out with the next event is on its way when this returns."""
        await self.flush()
        if self._pending:
            self._landed = self._append()

    async def replay(self) -> None:
        """Everything emitted before a crash is counted and kept again. What follows begins behind a leap: a position that
        somebody may have seen and the disk has lost does not come back as another."""
        found = await self._stream.read(self._topic)
        self.has_begun = rules.has_begun([one.event for one in found])
        for one in found:
            self._count_event(one.event)
            self._at = one.position
        self._at += LEAP if self._at else 0

    async def end_stream(self, event: Ending) -> None:
        """The last event, on the disk itself before it is shown."""
        await self.flush()
        self._pending.append(event)
        await self._append()
