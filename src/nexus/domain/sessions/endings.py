"""How a reply ends: it is kept, its last event is told, and it leaves the sweeper, in this order."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, get_args

import structlog

from nexus.domain.core.errors import Conflict, Stale
from nexus.domain.core.failpoints import hit
from nexus.domain.ports.database import Tables
from nexus.domain.ports.log import Stream
from nexus.domain.ports.rows import patch, when
from nexus.domain.sessions import rules
from nexus.domain.sessions.keeping import Keeping
from nexus.domain.sessions.model import Ending, Reply, ReplyEvent, ReplyStatus
from nexus.domain.sessions.tables import REPLIES
from nexus.domain.sessions.writing import Writing

ENDS = get_args(Ending)

logger = structlog.get_logger()


class Endings:
    def __init__(self, *, tables: Tables, keeping: Keeping, stream: Stream[ReplyEvent]) -> None:
        self._tables, self._keeping, self._stream = tables, keeping, stream

    async def finish(self, reply: Reply, writing: Writing, status: ReplyStatus, error: str | None = None) -> None:
        """All of it, or what a crash leaves of it: a cancel in the middle is heard when it is done."""
        await whole(self._finished(reply, writing, status, error))

    async def _finished(self, reply: Reply, writing: Writing, status: ReplyStatus, error: str | None) -> None:
        hit("before:reply.keep")
        try:
            ended = await self._keeping.kept(reply, writing, status, error)
        except Stale:
            logger.info("reply.ended_elsewhere", reply_id=reply.reply_id)
            return
        hit("after:reply.keep")
        hit("before:reply.end")
        await writing.end(rules.ending(ended))
        hit("after:reply.end")
        hit("before:reply.leave")
        await self._left(ended)
        hit("after:reply.leave")

    async def told(self, reply: Reply) -> None:
        """The last event of a reply whose row says that it is over, if the log lacks it."""
        topic = rules.topic(reply.reply_id)
        told = await self._stream.read(topic)
        if not (told and isinstance(told[-1].event, ENDS)):
            writing = Writing(self._stream, topic, at=told[-1].position if told else 0)
            with contextlib.suppress(Conflict):  # another reader had it told meanwhile
                for event in rules.lost(reply, [one.event for one in told]):
                    await writing.tell(event)
                await writing.end(rules.ending(reply))
        await self._left(reply)

    async def _left(self, ended: Reply) -> None:
        await self._tables.commit(patch(REPLIES, ended, when(status=ended.status), dispatch=None, due_at=None))


async def whole(act: Coroutine[Any, Any, None]) -> None:
    """To its end though who waits for it is cancelled: that is heard afterwards."""
    task, cut = asyncio.ensure_future(act), None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cut = error
    if cut is not None:
        raise cut from task.exception()
    task.result()
