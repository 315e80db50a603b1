"""A reply while it is written: what was said so far, and where in the log it stands. The hot path of a token."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import get_args

from nexus.domain.agents.model import Agent
from nexus.domain.core.errors import Conflict, Unavailable
from nexus.domain.ports.log import LEAP, EventLog, Stream
from nexus.domain.runtime.model import AnswerEvent, AnswerFinished, AnswerStop, TextDelta, ToolFinished, UsageRecorded
from nexus.domain.sessions import rules
from nexus.domain.sessions.model import (
    Ending,
    Message,
    Part,
    ReplyEvent,
    ReplyReset,
    ReplyStarted,
    Session,
    TextPart,
    ToolCallPart,
    join_text_parts,
)

LOST = "The live events of this reply were lost: it is emitted again."
COUNTED = (TextDelta, ToolFinished, UsageRecorded)
"""Events that `ReplyStream` counts before it emits them."""
UNKNOWN = 10_000_000
"""Positions from which a writer begins that cannot ask where the topic ends, so many for each fence; none is reached by counting."""


def make_reply_log(log: EventLog) -> Stream[ReplyEvent]:
    return Stream(log, kinds=get_args(ReplyEvent), ends=get_args(Ending))


class ReplyStream:
    """One append is under way at a time: what the model says meanwhile waits in its socket and comes joined. Where the log is away or has
    lost the topic, the reply goes on; once it takes events again, a reset and all that was said come first, behind a leap.

    `is_blank`: nothing of it is in the log, though a writer had it that is gone: it had not begun, or the log is another one.
    `has_begun`: more was emitted than that it waits; `began`: when it did so through this object, in seconds. `agent`, `session`: as they
    were when it was asked for, where that is not long ago."""

    __slots__ = (
        "_at",
        "_is_lost",
        "_landed",
        "_model",
        "_parts",
        "_pending",
        "_stream",
        "_text",
        "_topic",
        "agent",
        "began",
        "has_begun",
        "history",
        "input_tokens",
        "is_blank",
        "is_ending",
        "output_tokens",
        "session",
        "stop",
        "usage_unknown",
    )

    def __init__(self, stream: Stream[ReplyEvent], topic: str, *, at: int = 0) -> None:
        self._stream, self._topic, self._at = stream, topic, at
        self._model = ""
        self._landed: asyncio.Future[int] | None = None
        self._pending = list[ReplyEvent]()
        self._parts, self._text = list[Part](), list[str]()
        self.input_tokens = self.output_tokens = 0
        self.usage_unknown = self.has_begun = self.is_blank = self.is_ending = self._is_lost = False
        self.agent: Agent | None = None
        self.session: Session | None = None
        self.history: asyncio.Future[list[Message]] | None = None
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
            await self.await_last_append()
        self._landed = self._start_append()

    def _start_append(self) -> asyncio.Future[int]:
        events, self._pending = self._pending, []
        if self._is_lost:
            events, self._is_lost = (
                [*self._repeat_output(), *(one for one in events if not isinstance(one, COUNTED))],
                False,
            )
            self._at += LEAP
        after, self._at = self._at, self._at + len(events)
        return self._stream.append_events(self._topic, events, after=after)

    def _repeat_output(self) -> list[ReplyEvent]:
        """In place of all that was emitted so far, and of what was counted and waits to be."""
        text, events = join_text_parts(self.output), list[ReplyEvent]([ReplyReset(LOST)])
        if self._model:
            events.append(UsageRecorded(self._model, self.input_tokens, self.output_tokens, unknown=self.usage_unknown))
        return [*events, TextDelta(text)] if text else events

    async def emit_answer_item(self, item: AnswerEvent | AnswerFinished) -> None:
        """An item of the answer: counted, kept and emitted."""
        if isinstance(item, AnswerFinished):
            self.stop = item.stop
            return
        self._accumulate_event(item)
        await self.emit_event(item)

    def _accumulate_event(self, event: ReplyEvent) -> None:
        if isinstance(event, TextDelta):
            self._text.append(event.text)
        elif isinstance(event, ToolFinished):
            self._parts = [*self.output, ToolCallPart(event.call_id, event.name, event.ok)]
            self._text.clear()
        elif isinstance(event, UsageRecorded):
            self._model = event.model
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

    async def emit_answer_start(self, started: ReplyStarted, *, again: ReplyReset, now: float) -> None:
        """From now on it is answered; where it was before, or may have been, everything emitted so far is void."""
        self.began, had_begun, self.has_begun = now, self.has_begun, True
        if had_begun:
            self._clear_output()
        await self.emit_event(again if had_begun else started)
        if self.is_blank:
            await self.emit_event(ReplyReset(LOST))

    async def await_last_append(self) -> None:
        """What was emitted is in the log, or was lost on its way there and is repeated. Conflict when another writer is further."""
        landed, self._landed = self._landed, None
        if landed is None or landed.cancelled():
            return
        try:
            await landed
        except Unavailable:
            await self._handle_loss()
        except Conflict as refused:
            if refused.facts["end"] > refused.facts["after"]:
                raise
            self._is_lost = True

    async def _handle_loss(self) -> None:
        """That it waits is not repeated; all else is."""
        self._is_lost = True
        if not self.has_begun:
            with contextlib.suppress(Unavailable):
                self._at, self._is_lost = await self._stream.find_end_position(self._topic), False
                self._pending.clear()

    async def append_pending_events(self) -> None:
        """What was to go out with the next event is on its way when this returns."""
        await self.await_last_append()
        if self._pending:
            self._landed = self._start_append()

    async def restore_from_log(self, fence: int = 1, *, was_held: bool = False) -> None:
        """Everything emitted before a crash is counted and kept again. What follows begins behind a leap: a position that
        somebody may have seen and the disk has lost does not come back as another. While the log is away, nothing is known of it.
        `was_held`: by a writer that is gone."""
        try:
            found = await self._stream.read_entries(self._topic)
        except Unavailable:
            self._at, self._is_lost, self.has_begun, self.usage_unknown = fence * UNKNOWN, True, True, True
            return
        self.has_begun = rules.has_reply_started([one.event for one in found])
        for one in found:
            self._accumulate_event(one.event)
            self._at = one.position
        self._at += LEAP if self._at else 0
        self.is_blank = was_held and not found
        if self.is_blank:
            self._at = fence * UNKNOWN

    async def end_stream(self, event: Ending) -> None:
        """The last event, on the disk itself before it is shown. Unavailable while the log is away."""
        await self.await_last_append()
        self._pending.append(event)
        self._landed = self._start_append()
        await self.await_last_append()
        if self._is_lost:
            self._pending.append(event)
            await self._start_append()
