"""The one engine of durable work: a row a piece, leased to one worker at a time.

Who takes a row raises its fence, and whatever the work writes holds only under that fence (`guard`). Who has it renews the lease, and
hears by that what is wanted of it. A verb commits the writes that are made here together with its own."""

import asyncio
import time
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Generic, Literal, NamedTuple, TypeVar

import structlog
from msgspec import Struct, convert, structs

from nexus.domain.core.batches import split_batches
from nexus.domain.core.errors import Conflict, NexusError, NotFound, Stale
from nexus.domain.core.failpoints import hit_failpoint
from nexus.domain.core.instants import Clock, format_instant, parse_instant
from nexus.domain.ports.database import Tables, Window
from nexus.domain.ports.heartbeat import Heartbeat, Lease, OnControl
from nexus.domain.ports.rows import Entity, Key, Scalar, Table, Write, apply_write, check, patch, when
from nexus.domain.ports.tracing import get_traceparent

FAR_SECONDS = 900.0
"""Nothing that waits was told to wait so long: an instant further ahead was written under another clock, and has come."""


Control = Literal["running", "paused", "stopped"]
ANY_CONTROL: tuple[Control, ...] = ("running", "paused", "stopped")

logger = structlog.get_logger()


class LeaseLost(Conflict):
    """The work is another worker's, not to be had now, or over: nothing of it may be written."""

    title = "The work is in other hands"
    problem_type = "lost"


class LeaseRow(Entity, frozen=True, kw_only=True):
    """A piece of work. `status` is what is, `control_status` what is wanted.

    `worker_id` has it, under a `fence` that grows with every claim; `heartbeat` grows while that one lives, so that an observer can judge by
    its own clock. `dispatch` and `due_at` place it before whoever looks for work, until it has ended; it may not be claimed before
    `not_before`. `deaths`: how often it came to nothing, by the end of its worker or otherwise. `traceparent`: the span that asked for it."""

    tenant_id: str
    status: str
    control_status: Control = "running"
    priority: int = 3
    worker_id: str | None = None
    fence: int = 0
    heartbeat: int = 0
    deaths: int = 0
    dispatch: str | None = None
    due_at: str | None = None
    not_before: str | None = None
    error_message: str | None = None
    traceparent: str | None = None
    created_at: str
    completed_at: str | None = None


L = TypeVar("L", bound=LeaseRow)


class LeaseTable(Struct, Generic[L], frozen=True):
    """A kind of rows, declared beside its table, which has a keys-only index `DispatchIndex` of `dispatch` and `due_at`.

    `places`: the partitions of that index by status, several so that none is hot; a status that is not there has ended. Work in
    `waiting` without a worker may be claimed; the two may be one status."""

    table: Table[L]
    places: Mapping[str, Sequence[str]]
    waiting: str = "queued"
    running: str = "running"


class LeaseTimes(Struct, frozen=True, kw_only=True):
    """Seconds, the same for all kinds of work. `lease`: for so long a worker has what it took; after a third of that it shows that it
    lives. `grace`: so long may work that is to pause take to its next step before it is cut. `answer`: so long may a worker take to do what is
    wanted, before that is done in its place."""

    lease: float = 30.0
    grace: float = 3.0
    answer: float = 4.5


class _Held(NamedTuple):
    lease: Lease
    on_control: OnControl


class _Request(NamedTuple):
    control: Control
    since: float


class Executions(Generic[L]):
    """The leases of one table. `timer`: this process' own seconds, which no wall clock can hurry."""

    def __init__(
        self,
        leases: LeaseTable[L],
        *,
        tables: Tables,
        clock: Clock,
        heartbeat: Heartbeat,
        times: LeaseTimes = LeaseTimes(),
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._leases, self._tables, self._clock, self._heartbeat = leases, tables, clock, heartbeat
        self.times, self._timer = times, timer
        self._held = dict[Key, _Held]()
        self._next_lease = asyncio.Event()
        self._requests = dict[Key, _Request]()

    def copy_for_tables(self, tables: Tables) -> "Executions[L]":
        """The same leases over another connection, for a thread of its own."""
        return Executions(self._leases, tables=tables, clock=self._clock, heartbeat=self._heartbeat, times=self.times)

    @property
    def table_name(self) -> str:
        return self._leases.table.name

    def get_row_key(self, row: L) -> Key:
        return self._leases.table.get_row_key(row)

    def make_key_fields(self, row: L) -> dict[str, Scalar]:
        return dict(zip(self._leases.table.key, self.get_row_key(row), strict=True))

    def make_lease(self, row: L) -> Lease:
        return Lease(self.get_row_key(row), row.fence)

    def is_row_running(self, row: L) -> bool:
        """Whether somebody has it."""
        return row.status == self._leases.running and (row.worker_id is not None or self._leases.waiting != row.status)

    def has_row_ended(self, row: L) -> bool:
        return row.status not in self._leases.places

    def is_row_waiting(self, row: L) -> bool:
        """Whether it may be claimed, now or later."""
        return row.status == self._leases.waiting and not self.is_row_running(row)

    # --- writes, each under the condition that the row is as it was read

    def make_scheduled_row(self, row: L, *, worker_id: str | None = None, seconds: float = 0.0) -> L:
        """A new row as it is to be inserted: looked at so many seconds from now; or with `worker_id` in the hands of that one."""
        if worker_id:
            row = structs.replace(row, status=self._leases.running, worker_id=worker_id, fence=1)
        fields = self._make_dispatch_fields(
            row, row.status, row.control_status, self.times.lease if worker_id else seconds
        )
        return structs.replace(row, traceparent=get_traceparent(), **fields)

    def make_claim_write(self, row: L, worker_id: str, /, **fields: object) -> Write:
        """Of many who try, one commits it. LeaseLost when it is not to be had now."""
        now = self._clock()
        if row.not_before and format_instant(now) < row.not_before < format_instant(now + FAR_SECONDS):
            raise LeaseLost("It is not due yet.", status=row.status, not_before=row.not_before)
        if not self.is_row_waiting(row) or row.control_status != "running":
            raise LeaseLost(f"It is {row.status}.", status=row.status)
        return self._make_lease_write(row, worker_id, {"not_before": None, **fields})

    def make_takeover_write(self, seen: L, worker_id: str, /, **fields: object) -> Write:
        """From a worker whose heartbeat does not move: it can write no more. What this worker dropped itself is no death."""
        if not self.is_row_running(seen):
            raise LeaseLost(f"It is {seen.status}.", status=seen.status)
        return self._make_lease_write(
            seen, worker_id, {"deaths": seen.deaths + (seen.worker_id != worker_id), **fields}
        )

    def make_release_write(self, row: L, /, **fields: object) -> Write:
        """Back to where whoever comes next claims it."""
        return self._make_transition_write(row, self._leases.waiting, 0.0, {"worker_id": None, **fields})

    def make_snooze_write(self, row: L, seconds: float, /, **fields: object) -> Write:
        """Back, and not to be claimed before so many seconds have gone by."""
        until = format_instant(self._clock() + seconds)
        return self._make_transition_write(
            row, self._leases.waiting, seconds, {"worker_id": None, "not_before": until, **fields}
        )

    def make_control_write(self, row: L, control: Control, /, **fields: object) -> Write:
        """What is wanted from now on; `await_answer` once it is committed, where somebody runs it."""
        return self._make_transition_write(row, row.status, 0.0, {"control_status": control, **fields})

    def make_status_write(self, row: L, status: str, /, **fields: object) -> Write:
        """Any other change of status: looked at from now on, and never more once it has ended. Where it waits then, nobody has it any more."""
        return self._make_transition_write(row, status, 0.0, fields)

    def make_guard_write(self, row: L, control: tuple[Control, ...] = ANY_CONTROL) -> Write:
        """Holds while the row is in the hands that read it, and one of these is wanted: beside it, a worker writes what it did."""
        same = when(status=self._leases.running, fence=row.fence, control_status=control)
        return check(self._leases.table, row, same)

    def apply_write_to_row(self, row: L, write: Write) -> L:
        """The row once the write is committed."""
        if write.verb == "check":
            return row
        return convert(apply_write(write, self._leases.table.encode_row(row)), self._leases.table.row, str_keys=True)

    def _make_lease_write(self, row: L, worker_id: str, fields: dict[str, object]) -> Write:
        running = self._leases.running
        taken = {"status": running, "worker_id": worker_id, "fence": row.fence + 1}
        taken |= self._make_dispatch_fields(row, running, row.control_status, self.times.lease) | fields
        same = {name: getattr(row, name) for name in ("status", "control_status", "worker_id", "fence", "heartbeat")}
        return patch(self._leases.table, row, when(**same), **taken)

    def _make_transition_write(self, row: L, status: str, seconds: float, fields: Mapping[str, object]) -> Write:
        placed = self._make_dispatch_fields(row, status, fields.get("control_status", row.control_status), seconds)
        same = when(status=row.status, fence=row.fence, control_status=row.control_status)
        changes: dict[str, object] = {"status": status, **placed}
        if status not in self._leases.places:
            changes["completed_at"] = format_instant(self._clock())
        elif status != row.status:
            changes["worker_id"] = None
        return patch(self._leases.table, row, same, **{**changes, **fields})

    def _make_dispatch_fields(self, row: L, status: str, control: object, seconds: float) -> dict[str, object]:
        """Nowhere once it has ended, or while it waits for its user."""
        places = self._leases.places.get(status)
        if not places or (control == "paused" and status != self._leases.running):
            return {"dispatch": None, "due_at": None}
        name = "/".join(map(str, self.get_row_key(row)))
        place = places[zlib.crc32(name.encode()) % len(places)]
        return {"dispatch": place, "due_at": format_instant(self._clock() + seconds)}

    # --- who has it

    def start_lease_renewal(self, row: L, on_control: OnControl) -> None:
        """This process has it from now on, until `stop_lease_renewal`: its lease is renewed, and `on_control` is called in this loop when something else is
        wanted of it, and with None when it is lost."""
        held = _Held(self.make_lease(row), on_control)
        self._held[held.lease.key] = held
        self._heartbeat.start_renewing_lease(self, held.lease, partial(self._deliver_control, held))
        self._next_lease.set()
        self._next_lease = asyncio.Event()

    def stop_lease_renewal(self, row: L) -> None:
        held = self._held.get(self.get_row_key(row))
        if held and held.lease.fence == row.fence:
            del self._held[held.lease.key]
            self._heartbeat.stop_renewing_lease(self, held.lease)

    def is_row_leased_here(self, row: L) -> bool:
        """Whether it is in the hands of this process, under this or another fence."""
        return self.get_row_key(row) in self._held

    async def wait_for_lease(self, *key: Scalar) -> None:
        """Until a row is in the hands of this process."""
        while key not in self._held:
            await self._next_lease.wait()

    def _deliver_control(self, held: _Held, control: Control | None) -> None:
        if self._held.get(held.lease.key) is held:
            if control is None:
                del self._held[held.lease.key]
            held.on_control(control)

    async def renew_leases(self, leases: Sequence[Lease]) -> list[Control | None]:
        """What is wanted now of each, None where the lease is lost: read for all at once; written only for those that showed no life for a
        third of a lease. One whose sign of life fails is tried again the next time."""
        found = await self._find_rows_by_key([lease.key for lease in leases])
        answers, silent = list[Control | None](), list[L]()
        for lease in leases:
            row = found.get(lease.key)
            is_held = row is not None and row.fence == lease.fence and row.status == self._leases.running
            answers.append(row.control_status if row and is_held else None)
            if row and is_held and self._is_renewal_due(row):
                silent.append(row)
        for some in split_batches(silent):
            await asyncio.gather(*map(self._write_heartbeat, some))
        return answers

    def _is_renewal_due(self, row: L) -> bool:
        """Whether a third of the lease is gone; or more than all of it, or less than nothing, where the clock was set."""
        since = self._clock() - parse_instant(row.due_at) + self.times.lease if row.due_at else self.times.lease
        return not 0 <= since < self.times.lease / 3

    async def _write_heartbeat(self, row: L) -> None:
        same = when(fence=row.fence, status=self._leases.running, heartbeat=row.heartbeat)
        fields = {"heartbeat": row.heartbeat + 1, "due_at": format_instant(self._clock() + self.times.lease)}
        try:
            hit_failpoint("before:task.beat")
            await self._tables.commit(patch(self._leases.table, row, same, **fields))
            hit_failpoint("after:task.beat")
        except (Stale, NotFound):  # it ended or was taken meanwhile: the next renewal hears it
            return
        except NexusError as error:
            logger.warning("lease.not_renewed", key=self.get_row_key(row), reason=error.detail)

    async def _find_rows_by_key(self, keys: Sequence[Key]) -> dict[Key, L]:
        return {self.get_row_key(row): row for row in await self._tables.find_rows_by_key(self._leases.table, keys)}

    async def find_row(self, *key: Scalar) -> L | None:
        return await self._tables.find(self._leases.table, *key)

    async def get_row(self, *key: Scalar) -> L:
        return await self._tables.get(self._leases.table, *key)

    async def commit_writes(self, *writes: Write) -> None:
        await self._tables.commit(*writes)

    # --- what was asked of a worker through this process

    def track_control_request(self, row: L) -> None:
        """After a request: its worker hears of it, at once where that is this process, and from now on has some seconds. Asking the same
        again puts off nothing; another request begins anew."""
        key = self.get_row_key(row)
        if (held := self._held.get(key)) and held.lease.fence == row.fence:
            held.on_control(row.control_status)
        known = self._requests.get(key)
        if not self.is_row_running(row) or row.control_status == "running":
            self._requests.pop(key, None)
        elif known is None or known.control != row.control_status:
            self._requests[key] = _Request(row.control_status, self._timer())

    async def list_unanswered_rows(self) -> list[L]:
        """Work whose worker let its seconds go by: what is wanted is to be done in its place. Listed again until it is."""
        late = {key: asked for key, asked in self._requests.items() if self._timer() - asked.since >= self.times.answer}
        found = await self._find_rows_by_key(list(late))
        for key, asked in late.items():
            row = found.get(key)
            if row is None or not self.is_row_running(row) or row.control_status != asked.control:
                found.pop(key, None)
                if self._requests.get(key) is asked:
                    del self._requests[key]
        return list(found.values())

    # --- looking for work

    @property
    def places(self) -> Sequence[str]:
        """The partitions of the index in which work lies, each asked by a query of its own."""
        return list(dict.fromkeys(place for places in self._leases.places.values() for place in places))

    async def list_due_rows(self, places: Collection[str] | None = None) -> list[L]:
        """What somebody should look at now: some of each place, or of each of these, as they stand."""
        window = Window(limit=100, until=format_instant(self._clock()))
        return await self._list_rows_in_window(self.places if places is None else places, window)

    async def list_unfinished_rows(self, status: str | None = None) -> list[L]:
        """All that has not ended; or all of one status."""
        places = self._leases.places.get(status, ()) if status else self.places
        each = partial(self._tables.each, self._leases.table, index="DispatchIndex")
        return [row for place in places async for row in each(place)]

    async def reset_future_due_times(self) -> None:
        """Has those looked at that were put off under a clock that ran ahead."""
        now = self._clock()
        window = Window(limit=100, since=format_instant(now + FAR_SECONDS))
        for row in await self._list_rows_in_window(self.places, window):
            same = when(status=row.status, due_at=row.due_at)
            with suppress(Stale, NotFound):  # somebody was here meanwhile
                await self._tables.commit(patch(self._leases.table, row, same, due_at=format_instant(now)))

    async def _list_rows_in_window(self, places: Collection[str], window: Window) -> list[L]:
        """Those of a window, of each place; the places are asked at once."""
        ask = partial(self._tables.read_page, self._leases.table, index="DispatchIndex", window=window)
        return [row for page in await asyncio.gather(*map(ask, places)) for row in page.items]
