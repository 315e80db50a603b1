"""Whose turn it is: which replies are let in, how they come into the queue, and what those are told that wait there."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from nexus.domain.core.errors import QuotaExceeded
from nexus.domain.ports.jobs import JobQueue
from nexus.domain.sessions.model import Reply, WriteReply
from nexus.domain.sessions.replies import Replies

RETRY_SECONDS = 1


class ReplyAdmission:
    def __init__(self, *, queue: JobQueue, replies: Replies) -> None:
        self._queue, self._replies = queue, replies
        self._coming = Counter[str]()

    @contextmanager
    def begin(self, tenant_id: str) -> Iterator["AdmissionRequest"]:
        """From when it is let in until it is in the queue, a request counts: many at once do not get beyond the bound."""
        asking = AdmissionRequest(self, tenant_id)
        try:
            yield asking
        finally:
            if asking.is_in:
                self._coming[tenant_id] -= 1
            if not self._coming[tenant_id]:
                del self._coming[tenant_id]

    def admit(self, tenant_id: str) -> None:
        """QuotaExceeded: `facts["position"]` is how many of the tenant's replies are written or wait already."""
        room, coming = self._queue.room(WriteReply, group=tenant_id), self._coming[tenant_id]
        if room.is_full(coming):
            taken = room.taken + coming
            raise QuotaExceeded(
                f"There is no place for a reply: {taken} are written or wait already, {room.most} may.",
                position=taken,
                limit=room.most,
                retry_after=RETRY_SECONDS,
            )
        self._coming[tenant_id] += 1

    async def offer(self, reply: Reply, *, is_new: bool) -> None:
        """Into the queue. One that is new and has to wait there tells so; one that was asked for before may be over, or another's by now,
        and may have told things already."""
        found = reply if is_new else await self._replies.find_owned(reply)
        if found is None or self._queue.holds(reply.reply_id) or not self._replies.expect(found, again=not is_new):
            return
        job = WriteReply(reply_id=reply.reply_id)
        before = await self._queue.enqueue(job, key=reply.reply_id, group=reply.tenant_id)
        if before is not None and is_new:
            await self._replies.wait(reply, before)

    async def stop(self, reply: Reply) -> bool:
        """Cancels the job of a reply that is to be stopped. True when it had not begun: it has ended."""
        self._queue.cancel(reply.reply_id)
        return await self._replies.stop(reply.reply_id)


class AdmissionRequest:
    """A request for one reply: let in once, however often its commit is tried. `has_made`: that commit is done, and the reply is new."""

    def __init__(self, turns: ReplyAdmission, tenant_id: str) -> None:
        self._turns, self._tenant_id = turns, tenant_id
        self.is_in = self.has_made = False

    def admit(self) -> None:
        if not self.is_in:
            self._turns.admit(self._tenant_id)
            self.is_in = True

    async def offer(self, reply: Reply) -> None:
        await self._turns.offer(reply, is_new=self.has_made)
