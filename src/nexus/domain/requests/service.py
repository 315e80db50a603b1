"""Idempotency keys: a creating request that comes again gets the answer of the first time."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from nexus.domain.core.errors import AlreadyExists, InvalidInput
from nexus.domain.core.instants import Clock
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import Tables
from nexus.domain.ports.rows import Write, insert
from nexus.domain.requests.model import KeptAnswer, Once
from nexus.domain.requests.tables import REQUESTS

KEPT_SECONDS = 86_400
T = TypeVar("T")
Keep = Callable[[T], Sequence[Write]]


class KeyReused(InvalidInput):
    title = "This Idempotency-Key was used for another request"


class Requests:
    def __init__(self, *, tables: Tables, clock: Clock) -> None:
        self._tables, self._clock = tables, clock

    async def settle(
        self, caller: Principal, once: Once | None, kind: type[T], make: Callable[[Keep[T]], Awaitable[T]]
    ) -> T:
        """Runs `make`, which commits `keep(answer)` together with what it creates; or answers what the first time answered."""
        if once is None:
            return await make(lambda answer: ())
        if (kept := await self._kept(caller, once, kind)) is not None:
            return kept
        try:
            return await make(lambda answer: (self._keeping(caller, once, answer),))
        except AlreadyExists as error:
            if error.facts.get("table") != REQUESTS.name or (kept := await self._kept(caller, once, kind)) is None:
                raise
            return kept

    async def _kept(self, caller: Principal, once: Once, kind: type[T]) -> T | None:
        found = await self._tables.find(REQUESTS, _key(caller, once))
        if found is None:
            return None
        if found.digest != once.digest:
            raise KeyReused(f"The key {once.key!r} came before with another body.")
        return msgspec.json.decode(found.answer, type=kind)

    def _keeping(self, caller: Principal, once: Once, answer: object) -> Write:
        return insert(
            REQUESTS,
            KeptAnswer(
                key=_key(caller, once),
                digest=once.digest,
                answer=msgspec.json.encode(answer).decode(),
                expires_at=int(self._clock()) + KEPT_SECONDS,
            ),
        )


def _key(caller: Principal, once: Once) -> str:
    return msgspec.json.encode((caller.tenant_id, caller.user_id, once.route, once.key)).decode()
