"""Signs of life from a thread with a loop of its own: a busy process keeps what it works on, a hung one loses it."""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import structlog

from nexus.domain.core.errors import NexusError
from nexus.domain.ports.database import Tables
from nexus.domain.ports.heartbeat import Lease, Leases, OnControl
from nexus.domain.ports.rows import Key

TICK_SECONDS = 0.5
PATIENCE_SECONDS = 20.0
ANSWER_SECONDS = 5.0

logger = structlog.get_logger()


@dataclass
class _Held:
    leases: Leases
    lease: Lease
    on_control: OnControl
    control: str | None = "running"


class ThreadHeartbeat:
    """`open_tables` gives, in the thread's own loop, the store over a connection of its own. In seconds: `every` so often; `patience`, how
    long the process' loop may be silent before it counts as hung; `answer`, how long a renewal may take."""

    def __init__(
        self,
        open_tables: Callable[[], AbstractAsyncContextManager[Tables]],
        *,
        every: float,
        patience: float = PATIENCE_SECONDS,
        answer: float = ANSWER_SECONDS,
    ) -> None:
        self._open_tables, self._every, self._patience, self._answer = open_tables, every, patience, answer
        self._held: dict[tuple[str, Key], _Held] = {}
        self._guard = threading.Lock()
        self._ticked = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run_renewal_thread, name="heartbeat", daemon=True)

    def start_renewing_lease(self, leases: Leases, lease: Lease, on_control: OnControl) -> None:
        with self._guard:
            self._held[leases.table_name, lease.key] = _Held(leases, lease, on_control)

    def stop_renewing_lease(self, leases: Leases, lease: Lease) -> None:
        with self._guard:
            held = self._held.get((leases.table_name, lease.key))
            if held and held.lease == lease:
                del self._held[leases.table_name, lease.key]

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._ticked = time.monotonic()
        self._thread.start()
        self._ticking = asyncio.ensure_future(self._mark_loop_alive())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._ticking.cancel()
        await asyncio.gather(self._ticking, return_exceptions=True)
        await asyncio.to_thread(self._thread.join)

    async def _mark_loop_alive(self) -> None:
        """Runs in the process' loop: while it does, that loop lives."""
        while True:
            self._ticked = time.monotonic()
            await asyncio.sleep(min(TICK_SECONDS, self._patience / 4))

    def _run_renewal_thread(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._renew_leases_until_stopped())

    async def _renew_leases_until_stopped(self) -> None:
        beating = asyncio.ensure_future(self._renew_leases_with_retries())
        await asyncio.to_thread(self._stop.wait)
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)

    async def _renew_leases_with_retries(self) -> None:
        """Whatever becomes of the store, there is a next try."""
        while True:
            try:
                async with self._open_tables() as tables:
                    await self._renew_leases_forever(tables)
            except NexusError as error:
                logger.warning("heartbeat.not_opened", reason=error.detail)
            except Exception:
                logger.exception("heartbeat.not_opened")
            await asyncio.sleep(self._every)

    async def _renew_leases_forever(self, tables: Tables) -> None:
        while True:
            await asyncio.sleep(self._every)
            by_table = defaultdict[str, list[_Held]](list)
            with self._guard:
                for (name, _), held in self._held.items():
                    by_table[name].append(held)
            if time.monotonic() - self._ticked > self._patience:
                logger.warning("heartbeat.hung", held=sum(map(len, by_table.values())))
                continue
            await asyncio.gather(*(self._renew_table_leases(tables, some) for some in by_table.values()))

    async def _renew_table_leases(self, tables: Tables, some: Sequence[_Held]) -> None:
        """All of one table."""
        leases = some[0].leases
        try:
            async with asyncio.timeout(self._answer):
                controls = await leases.copy_for_tables(tables).renew_leases([held.lease for held in some])
        except (NexusError, TimeoutError) as error:
            logger.warning("heartbeat.failed", table=leases.table_name, reason=str(error) or "no answer in time")
        except Exception:
            logger.exception("heartbeat.failed", table=leases.table_name)
        else:
            for held, control in zip(some, controls, strict=True):
                if control != held.control:
                    held.control = control
                    self._loop.call_soon_threadsafe(self._notify_control_change, held)

    def _notify_control_change(self, held: _Held) -> None:
        """In the process' loop. What was taken up again meanwhile, under another fence, stays."""
        with self._guard:
            if self._held.get((held.leases.table_name, held.lease.key)) is not held:
                return
            if held.control is None:
                del self._held[held.leases.table_name, held.lease.key]
        held.on_control(held.control)
