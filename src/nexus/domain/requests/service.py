"""Idempotency keys: a creating request that comes again gets the answer of the first time, and its work is done once.

A verb reads downwards: `async with requests.begin(caller, once, Kind) as request:`, then, where `request.answer` is None, its work, committed
together with `*request.recording(answer)`. Who is refused meanwhile, by what the first one made say, gets the first one's answer instead."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

import msgspec
from msgspec import Struct

from nexus.domain.core.errors import AlreadyExists, Conflict, InvalidInput, NexusError, NotFound, Unavailable
from nexus.domain.core.instants import Clock
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import Tables
from nexus.domain.ports.rows import Write, delete, insert, patch, when
from nexus.domain.requests.model import KeptAnswer, Once
from nexus.domain.requests.tables import REQUESTS

KEPT_SECONDS = 86_400
T = TypeVar("T")


class KeyReused(InvalidInput):
    title = "This Idempotency-Key was used for another request"


class Waiting(Struct, frozen=True, kw_only=True):
    """Seconds: how long a request waits for the answer of the first one with its key, between two looks for it, between two signs of life of
    one that works, and after how long without any it is taken to be dead."""

    longest: float = 240.0
    look: float = 0.1
    beat: float = 2.0
    lost: float = 10.0


class KeyedRequest(Generic[T]):
    """A request, with its key or without. `answer` is there where the first one with this key was answered, or this one was."""

    def __init__(self, row: KeptAnswer | None, kind: type[T]) -> None:
        self.row, self.kind = row, kind
        self.answer: T | None = None

    @property
    def result(self) -> T:
        """The answer, once there is one."""
        if self.answer is None:
            raise LookupError("The request was not answered.")
        return self.answer

    def recording(self, answer: T) -> list[Write]:
        """What keeps the answer: to be committed together with what it tells of."""
        if self.row is None:
            return []
        encoded = msgspec.json.encode(answer).decode()
        if self.row.claim is None:
            return [insert(REQUESTS, msgspec.structs.replace(self.row, answer=encoded))]
        return [patch(REQUESTS, self.row, when(claim=self.row.claim), answer=encoded, claim=None)]


class Requests:
    def __init__(self, *, tables: Tables, clock: Clock, waiting: Waiting = Waiting()) -> None:
        self._tables, self._clock, self._waiting = tables, clock, waiting
        self._locks = WeakValueDictionary[str, asyncio.Lock]()

    @asynccontextmanager
    async def begin(
        self, caller: Principal, once: Once | None, kind: type[T], *, look_first: bool = True
    ) -> AsyncIterator[KeyedRequest[T]]:
        """For work that is one commit. Others with the key wait in this process; in another one, their commit is refused, and they get the
        answer of the one that was not. KeyReused for another body; Unavailable after too long a wait.

        Without `look_first`, one that comes again hears so by the refusal of its commit, or of what it read before: a round trip less for
        those that come once."""
        request = KeyedRequest(self._row(caller, once) if once else None, kind)
        async with self._one_at_a_time(request.row):
            if look_first:
                await self._find(request)
            try:
                yield request
            except NexusError:
                await self._find_after_refusal(request)
                if request.answer is None:
                    raise

    @asynccontextmanager
    async def begin_long(self, caller: Principal, once: Once | None, kind: type[T]) -> AsyncIterator[KeyedRequest[T]]:
        """As `begin`, for work that takes long before its commit: the key is claimed before it, in the store, and whoever comes meanwhile
        waits for the answer; also in another process, which begins anew where this one died."""
        async with self.begin(caller, once, kind) as request, AsyncExitStack() as stack:
            if request.row is not None and request.answer is None:
                await self._claim(request, request.row)
            if request.row is not None and request.answer is None:
                stack.push_async_callback(self._release, request)
                await stack.enter_async_context(self._alive(request.row))
            yield request

    def _row(self, caller: Principal, once: Once) -> KeptAnswer:
        key = msgspec.json.encode((caller.tenant_id, caller.user_id, once.route, once.key)).decode()
        return KeptAnswer(key=key, digest=once.digest, expires_at=int(self._clock()) + KEPT_SECONDS)

    @asynccontextmanager
    async def _one_at_a_time(self, row: KeptAnswer | None) -> AsyncIterator[None]:
        if row is None:
            yield
            return
        lock = self._locks.setdefault(row.key, asyncio.Lock())
        try:
            async with asyncio.timeout(self._waiting.longest):
                await lock.acquire()
        except TimeoutError:
            raise _still_running() from None
        try:
            yield
        finally:
            lock.release()

    async def _find(self, request: KeyedRequest[T]) -> KeptAnswer | None:
        """Reads what is kept under the key: an answer is taken over. KeyReused for another body."""
        if request.row is None or (found := await self._tables.find(REQUESTS, request.row.key)) is None:
            return None
        if found.digest != request.row.digest:
            raise KeyReused("The key came before with another body.")
        if found.claim is None:
            request.answer = msgspec.json.decode(found.answer, type=request.kind)
        return found

    async def _find_after_refusal(self, request: KeyedRequest[T]) -> None:
        """The answer of who was faster; where that one took this request's claim, it may still be at work."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._waiting.lost):
                found = await self._find(request)
                while found and request.row and found.claim not in (None, request.row.claim):
                    await asyncio.sleep(self._waiting.look)
                    found = await self._find(request)

    async def _claim(self, request: KeyedRequest[T], row: KeptAnswer) -> None:
        """Returns with the claim, or with the answer of who had it."""
        try:
            async with asyncio.timeout(self._waiting.longest):
                while request.answer is None and not await self._claim_once(request, row):
                    pass
        except TimeoutError:
            raise _still_running() from None

    async def _claim_once(self, request: KeyedRequest[T], row: KeptAnswer) -> bool:
        """Claims what is free, or whose claimant shows no life; no clock but this process' own counts."""
        loop, claim = asyncio.get_running_loop(), secrets.token_hex(8)
        if (found := await self._find(request)) is None:
            fresh = msgspec.structs.replace(row, claim=claim)
            with contextlib.suppress(AlreadyExists):
                await self._tables.commit(insert(REQUESTS, fresh))
                request.row = fresh
                return True
            return False
        seen, until = found.revision, loop.time() + self._waiting.lost
        while found and found.claim and found.revision == seen:
            if loop.time() >= until:
                return await self._take_over(request, found, claim)
            await asyncio.sleep(self._waiting.look)
            found = await self._find(request)
        return False

    async def _take_over(self, request: KeyedRequest[T], dead: KeptAnswer, claim: str) -> bool:
        with contextlib.suppress(Conflict, NotFound):
            await self._tables.commit(patch(REQUESTS, dead, claim=claim))
            request.row = msgspec.structs.replace(dead, claim=claim, revision=dead.revision + 1)
            return True
        return False

    @asynccontextmanager
    async def _alive(self, row: KeptAnswer) -> AsyncIterator[None]:
        beating = asyncio.ensure_future(self._beat(row))
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _beat(self, row: KeptAnswer) -> None:
        """Shows life until it is cancelled, or the claim is another's."""
        while True:
            await asyncio.sleep(self._waiting.beat)
            with contextlib.suppress(Unavailable):
                await self._tables.commit(patch(REQUESTS, row, when(claim=row.claim)))

    async def _release(self, request: KeyedRequest[T]) -> None:
        """Work that came to no answer leaves the key free."""
        if request.answer is None and request.row is not None:
            with contextlib.suppress(NexusError):
                await asyncio.shield(self._tables.commit(delete(REQUESTS, request.row, when(claim=request.row.claim))))


def _still_running() -> Unavailable:
    return Unavailable("The first request with this Idempotency-Key is still being worked on.", retry_after=5)
