"""Idempotency keys: a creating request that comes again gets the answer of the first time, and its work is done once.

A verb reads downwards: `async with requests.begin(caller, once, Kind) as request:`, then, where `request.answer` is None, its work, committed
together with `*request.record(answer)`. Who is refused meanwhile, by what the first one made say, gets the first one's answer instead."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

import msgspec
from msgspec import Struct

from nexus.domain.core.errors import AlreadyExists, Conflict, InvalidInput, NexusError, NotFound, Unavailable
from nexus.domain.core.instants import Clock
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import Tables
from nexus.domain.ports.heartbeat import Heartbeat
from nexus.domain.ports.rows import Write, delete, insert, when
from nexus.domain.requests.model import KeptAnswer, Once
from nexus.domain.requests.tables import REQUEST_LEASES, REQUESTS
from nexus.domain.tasks.execution import Executions, LeaseTimes

KEPT_SECONDS = 86_400
T = TypeVar("T")


class KeyReused(InvalidInput):
    title = "This Idempotency-Key was used for another request"


class Waiting(Struct, frozen=True, kw_only=True):
    """Seconds: how long a request waits for the answer of the first one with its key, and between two looks for it."""

    longest: float = 240.0
    look: float = 0.1


class KeyedRequest(Generic[T]):
    """A request, with its key or without. `answer` is there where the first one with this key was answered, or this one was."""

    def __init__(self, executions: Executions[KeptAnswer], row: KeptAnswer | None, kind: type[T]) -> None:
        self._executions, self.row, self.kind = executions, row, kind
        self.answer: T | None = None

    @property
    def result(self) -> T:
        """The answer, once there is one."""
        if self.answer is None:
            raise LookupError("The request was not answered.")
        return self.answer

    def make_answer_writes(self, answer: T) -> list[Write]:
        """What keeps the answer: to be committed together with what it tells of."""
        if self.row is None:
            return []
        encoded = msgspec.json.encode(answer).decode()
        if self.row.worker_id is None:
            return [insert(REQUESTS, msgspec.structs.replace(self.row, answer=encoded))]
        return [self._executions.make_status_write(self.row, "answered", answer=encoded, worker_id=None)]


class Requests:
    """`is_sole`: this process has the store for itself, so whoever else worked on a request is dead."""

    def __init__(
        self,
        *,
        tables: Tables,
        clock: Clock,
        heartbeat: Heartbeat,
        worker_id: str,
        is_sole: bool = False,
        times: LeaseTimes = LeaseTimes(),
        waiting: Waiting = Waiting(),
    ) -> None:
        self._tables, self._clock, self._waiting = tables, clock, waiting
        self._worker_id, self._is_sole = worker_id, is_sole
        self._executions = Executions(REQUEST_LEASES, tables=tables, clock=clock, heartbeat=heartbeat, times=times)
        self._locks = WeakValueDictionary[str, asyncio.Lock]()

    @asynccontextmanager
    async def begin_idempotent_request(
        self, caller: Principal, once: Once | None, kind: type[T], *, look_first: bool = True
    ) -> AsyncIterator[KeyedRequest[T]]:
        """For work that is one commit. Others with the key wait in this process; in another one, their commit is refused, and they get the
        answer of the one that was not. KeyReused for another body; Unavailable after too long a wait.

        Without `look_first`, one that comes again hears so by the refusal of its commit, or of what it read before: a round trip less for
        those that come once."""
        request = KeyedRequest(self._executions, self._make_answer_row(caller, once) if once else None, kind)
        async with self._lock_request_key(request.row):
            if look_first:
                await self._find_stored_answer(request)
            try:
                yield request
            except NexusError:
                await self._await_first_answer(request)
                if request.answer is None:
                    raise

    @asynccontextmanager
    async def begin_long_request(
        self, caller: Principal, once: Once | None, kind: type[T]
    ) -> AsyncIterator[KeyedRequest[T]]:
        """As `begin_idempotent_request`, for work that takes long before its commit: the key is claimed before it, in the store, and whoever comes meanwhile
        waits for the answer; also in another process, which begins anew where this one died."""
        async with self.begin_idempotent_request(caller, once, kind) as request:
            if request.row is not None and request.answer is None:
                await self._claim_request_key(request, request.row)
            if request.row is None or request.answer is not None:
                yield request
                return
            self._executions.start_lease_renewal(request.row, _ignore_control)
            try:
                yield request
            finally:
                self._executions.stop_lease_renewal(request.row)
                await self._release_request_key(request, request.row)

    def _make_answer_row(self, caller: Principal, once: Once) -> KeptAnswer:
        key = msgspec.json.encode((caller.tenant_id, caller.user_id, once.route, once.key)).decode()
        return KeptAnswer(key=key, digest=once.digest, expires_at=int(self._clock()) + KEPT_SECONDS)

    @asynccontextmanager
    async def _lock_request_key(self, row: KeptAnswer | None) -> AsyncIterator[None]:
        if row is None:
            yield
            return
        lock = self._locks.setdefault(row.key, asyncio.Lock())
        try:
            async with asyncio.timeout(self._waiting.longest):
                await lock.acquire()
        except TimeoutError:
            raise _make_still_running_error() from None
        try:
            yield
        finally:
            lock.release()

    async def _find_stored_answer(self, request: KeyedRequest[T]) -> KeptAnswer | None:
        """Reads what is kept under the key: an answer is taken over. KeyReused for another body."""
        if request.row is None or (found := await self._tables.find(REQUESTS, request.row.key)) is None:
            return None
        if found.digest != request.row.digest:
            raise KeyReused("The key came before with another body.")
        if found.answer:
            request.answer = msgspec.json.decode(found.answer, type=request.kind)
        return found

    async def _await_first_answer(self, request: KeyedRequest[T]) -> None:
        """The answer of who was faster; where that one took this request over, it may still be at work."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._executions.times.lease):
                found = await self._find_stored_answer(request)
                while found and request.row and not found.answer and found.fence != request.row.fence:
                    await asyncio.sleep(self._waiting.look)
                    found = await self._find_stored_answer(request)

    async def _claim_request_key(self, request: KeyedRequest[T], row: KeptAnswer) -> None:
        """Returns with the claim, or with the answer of who had it."""
        try:
            async with asyncio.timeout(self._waiting.longest):
                while request.answer is None and not await self._try_claim_key(request, row):
                    pass
        except TimeoutError:
            raise _make_still_running_error() from None

    async def _try_claim_key(self, request: KeyedRequest[T], row: KeptAnswer) -> bool:
        """Claims what is free, or whose worker shows no life; no clock but this process' own counts."""
        loop = asyncio.get_running_loop()
        if (found := await self._find_stored_answer(request)) is None:
            fresh = self._executions.make_scheduled_row(row, worker_id=self._worker_id)
            return await self._commit_key_claim(request, insert(REQUESTS, fresh), fresh)
        is_dead = self._is_sole and found.worker_id != self._worker_id
        seen, until = (found.fence, found.heartbeat), loop.time() + (0 if is_dead else self._executions.times.lease)
        while found and not found.answer and (found.fence, found.heartbeat) == seen:
            if loop.time() >= until:
                taking = self._executions.make_takeover_write(found, self._worker_id)
                return await self._commit_key_claim(request, taking, self._executions.apply_write_to_row(found, taking))
            await asyncio.sleep(self._waiting.look)
            found = await self._find_stored_answer(request)
        return False

    async def _commit_key_claim(self, request: KeyedRequest[T], write: Write, row: KeptAnswer) -> bool:
        with contextlib.suppress(AlreadyExists, Conflict, NotFound):  # another was faster
            await self._tables.commit(write)
            request.row = row
            return True
        return False

    async def _release_request_key(self, request: KeyedRequest[T], row: KeptAnswer) -> None:
        """Work that came to no answer leaves the key free."""
        if request.answer is None:
            with contextlib.suppress(NexusError):
                await asyncio.shield(
                    self._tables.commit(delete(REQUESTS, row, when(fence=row.fence, status="running")))
                )


def _ignore_control(control: str | None) -> None:
    """Nobody stops a request; one that was taken over hears it when it records its answer."""


def _make_still_running_error() -> Unavailable:
    return Unavailable("The first request with this Idempotency-Key is still being worked on.", retry_after=5)
