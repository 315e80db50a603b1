"""Which replies are in the hands of this process, and until when: those that it writes, and those whose job is on its way."""

import asyncio
import contextlib

from nexus.domain.core.errors import NotFound, Stale
from nexus.domain.core.instants import Clock, epoch, instant
from nexus.domain.ports.database import Tables, Window
from nexus.domain.ports.rows import patch, when
from nexus.domain.sessions import rules
from nexus.domain.sessions.model import Reply
from nexus.domain.sessions.reply_stream import ReplyStream
from nexus.domain.sessions.tables import REPLIES

LEASE_SECONDS = 45.0
AT_ONCE = 50


class Lease:
    """A reply, and the hand that writes it. `is_begun`: by its job. `replays`: it may have told things that the hand does not know."""

    __slots__ = ("is_begun", "replays", "reply", "until", "writing")

    def __init__(self, reply: Reply, writing: ReplyStream, *, replays: bool) -> None:
        self.reply, self.writing, self.replays = reply, writing, replays
        self.until = epoch(reply.due_at) if reply.due_at else 0.0
        self.is_begun = False

    def wants_beat(self, now: float) -> bool:
        """Whether a third of it is gone; or more than all of it, or less than nothing, where the clock was set."""
        return not 0 <= now - (self.until - LEASE_SECONDS) < LEASE_SECONDS / 3


class Leases:
    def __init__(self, *, tables: Tables, worker_id: str, clock: Clock) -> None:
        self._tables, self._worker_id, self._clock = tables, worker_id, clock
        self._leases = dict[str, Lease]()

    def __contains__(self, reply_id: str) -> bool:
        return reply_id in self._leases

    def find(self, reply_id: str) -> Lease | None:
        return self._leases.get(reply_id)

    def offered(self, reply_id: str) -> Lease | None:
        """Where its job has not begun."""
        lease = self._leases.get(reply_id)
        return None if lease is None or lease.is_begun else lease

    def hold(self, lease: Lease) -> None:
        self._leases[lease.reply.reply_id] = lease

    def begin(self, reply_id: str) -> Lease | None:
        """For its job. None where that has begun already, or shall not any more."""
        if lease := self.offered(reply_id):
            lease.is_begun = True
        return lease

    def take(self, reply_id: str) -> Lease | None:
        """Out of the hands of this process, where its job has not begun: now it does not any more."""
        if lease := self.offered(reply_id):
            self.drop(lease)
        return lease

    def drop(self, lease: Lease) -> None:
        self._leases.pop(lease.reply.reply_id, None)

    async def find_owned(self, reply: Reply) -> Reply | None:
        """The reply as it is now; None when it is over, or another's to write."""
        now = await self._tables.find(REPLIES, reply.reply_id)
        return now if now and now.status == "running" and now.worker_id == self._worker_id else None

    async def find_fenced(self, reply: Reply) -> Reply | None:
        """As `find_owned`, and still under the fence of this one."""
        now = await self.find_owned(reply)
        return now if now and now.fence == reply.fence else None

    def next_due(self) -> str:
        """Until when a lease lasts that begins now."""
        return instant(self._clock() + LEASE_SECONDS)

    async def release(self, reply: Reply, fence: int) -> None:
        """Whoever sees it next goes on with it."""
        with contextlib.suppress(Stale):
            ours = when(status="running", fence=fence)
            await self._tables.commit(patch(REPLIES, reply, ours, worker_id=None, due_at=instant(self._clock())))

    async def beat(self) -> None:
        """Tells that the replies of this process are being written, or wait here until they are."""
        now, failed = self._clock(), list[BaseException]()
        wanting = [lease for lease in self._leases.values() if lease.wants_beat(now)]
        for first in range(0, len(wanting), AT_ONCE):
            some = wanting[first : first + AT_ONCE]
            told = await asyncio.gather(*map(self._renew, some), return_exceptions=True)
            errors = [error for error in told if error is not None]
            failed += errors
            if len(errors) == len(some):
                break
        if failed:
            raise failed[0]

    async def _renew(self, lease: Lease) -> None:
        reply, due_at = lease.reply, self.next_due()
        if (now := await self._tables.find(REPLIES, reply.reply_id)) is None:
            return
        ours = when(status="running", fence=reply.fence, worker_id=self._worker_id)
        with contextlib.suppress(Stale, NotFound):
            await self._tables.commit(patch(REPLIES, now, ours, heartbeat=now.heartbeat + 1, due_at=due_at))
            lease.until = epoch(due_at)

    async def due(self, *, alone: bool) -> list[Reply]:
        """Replies that somebody should look at: their time has come, or (`alone`) they are not this process' own."""
        until = None if alone else instant(self._clock())
        window = Window(limit=100, until=until)
        if alone:
            found = [row async for row in self._tables.each(REPLIES, rules.DISPATCH, index="DispatchIndex")]
        else:
            found = (await self._tables.page(REPLIES, rules.DISPATCH, index="DispatchIndex", window=window)).items
        return [reply for reply in found if reply.reply_id not in self]
