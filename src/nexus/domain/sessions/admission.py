"""Which replies are admitted, how they come into the queue, and what is emitted for those that wait there."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from nexus.domain.agents.model import Agent
from nexus.domain.core.errors import QuotaExceeded
from nexus.domain.ports.jobs import JobQueue, LocalJobs
from nexus.domain.sessions.model import Message, Reply, Session, WriteReply
from nexus.domain.sessions.replies import Replies

RETRY_SECONDS = 1


class ReplyAdmission:
    def __init__(self, *, queue: JobQueue, local: LocalJobs, replies: Replies) -> None:
        self._queue, self._local, self._replies = queue, local, replies
        self._coming = Counter[str]()

    @contextmanager
    def track_admission_request(self, tenant_id: str) -> Iterator["AdmissionRequest"]:
        """From when it is admitted until it is in the queue, a request counts: many at once do not get beyond the bound."""
        admission_request = AdmissionRequest(self, tenant_id)
        try:
            yield admission_request
        finally:
            if admission_request.is_in:
                self._coming[tenant_id] -= 1
            if not self._coming[tenant_id]:
                del self._coming[tenant_id]

    def reserve_reply_slot(self, tenant_id: str) -> None:
        """QuotaExceeded: `facts["position"]` is how many of the tenant's replies are written or wait already."""
        room, coming = self._local.get_job_capacity(WriteReply, group=tenant_id), self._coming[tenant_id]
        if room.is_full(coming):
            taken = room.taken + coming
            raise QuotaExceeded(
                f"There is no place for a reply: {taken} are written or wait already, {room.most} may.",
                position=taken,
                limit=room.most,
                retry_after=RETRY_SECONDS,
            )
        self._coming[tenant_id] += 1

    async def enqueue_reply(self, reply: Reply, made: "AdmissionRequest") -> None:
        """Into the queue. One that is new and has to wait there tells so; one that was asked for before may be over, or another's by now,
        and may have emitted things already."""
        found = reply if made.is_new_reply else await self._replies.find_leased_reply(reply)
        if found is None or self._local.has_job(reply.reply_id):
            return
        if (writing := self._replies.register_local_reply(found, again=not made.is_new_reply)) is None:
            return
        writing.session, writing.agent, writing.history = made.session, made.agent, made.history
        job = WriteReply(reply_id=reply.reply_id)
        before = await self._queue.enqueue_job(job, key=reply.reply_id, group=reply.tenant_id)
        if before is not None and made.is_new_reply:
            await self._replies.emit_queue_position(reply, before)

    async def stop_queued_reply(self, reply: Reply) -> bool:
        """Ends a reply that is to be stopped and whose job has not begun; that never runs. False where it has: it hears of it by itself."""
        has_ended = await self._replies.stop_queued_reply(reply.reply_id)
        if has_ended:
            self._local.stop_job(reply.reply_id)
        return has_ended


class AdmissionRequest:
    """A request for one reply: admitted once, however often its commit is tried. Once that is done, `session` and `agent` are those of a
    new reply, and `history` brings what the agent is to be told, where it is read already."""

    def __init__(self, admission: ReplyAdmission, tenant_id: str) -> None:
        self._admission, self._tenant_id = admission, tenant_id
        self.is_in = False
        self.session: Session | None = None
        self.agent: Agent | None = None
        self.history: asyncio.Future[list[Message]] | None = None

    @property
    def is_new_reply(self) -> bool:
        return self.agent is not None

    def reserve_reply_slot(self) -> None:
        if not self.is_in:
            self._admission.reserve_reply_slot(self._tenant_id)
            self.is_in = True

    async def enqueue_reply(self, reply: Reply) -> None:
        await self._admission.enqueue_reply(reply, self)
