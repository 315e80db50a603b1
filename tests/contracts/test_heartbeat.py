"""What a `Heartbeat` promises: it beats for what it holds while the process lives, and for nothing else."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from nexus.adapters.inprocess.heartbeat import ThreadHeartbeat
from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.core.errors import Unavailable
from nexus.domain.core.instants import system_clock
from nexus.domain.ports.database import TableDriver, Tables
from nexus.domain.ports.heartbeat import Heartbeat, Lease
from nexus.domain.ports.rows import insert
from nexus.domain.tasks.execution import Executions, LeaseTimes
from nexus.domain.tasks.model import Task
from nexus.domain.tasks.tables import TASK_LEASES, TASKS
from tests.contracts.conftest import sqlite_tables
from tests.fakes.heartbeat import MemoryHeartbeat

EVERY = 0.005
LONG = 30.0
"""Seconds in which everything must have happened: a test that waits so long has failed."""

Answer = Callable[[str, int], Awaitable[bool | str]]


class Store:
    """What is renewed, in the thread's own loop: each key in a table of its own name. `answer`: whether it is still held, or what is wanted
    of it."""

    def __init__(self, answer: Answer | None = None, *, away: int = 0) -> None:
        self.beats: list[tuple[str, int]] = []
        self.opened = self.closed = 0
        self._answer, self._away = answer, away
        self._moved = threading.Condition()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Tables]:
        with self._moved:
            self.opened += 1
        if self.opened <= self._away:
            raise Unavailable("The store is away.") if self.opened % 2 else OSError("no route to the store")
        try:
            yield tables_of(MemoryTables())
        finally:
            with self._moved:
                self.closed += 1

    async def beat(self, key: str, fence: int) -> str | None:
        with self._moved:
            self.beats.append((key, fence))
            self._moved.notify_all()
        answer = True if self._answer is None else await self._answer(key, fence)
        return answer if isinstance(answer, str) else "running" if answer else None

    def count(self, key: str) -> int:
        return sum(beaten == key for beaten, _ in self.beats)

    async def more(self, key: str, times: int = 2) -> None:
        """Waits for so many more beats of a key, while the loop of the test goes on."""
        wanted = self.count(key) + times
        assert await asyncio.to_thread(self._reached, lambda: self.count(key) >= wanted), f"{key} was not beaten for"

    def _reached(self, holds: Callable[[], bool]) -> bool:
        with self._moved:
            return self._moved.wait_for(holds, LONG)


class StoredLeases:
    def __init__(self, store: Store, name: str) -> None:
        self._store, self.table_name = store, name

    def copy_for_tables(self, tables: Tables) -> "StoredLeases":
        return self

    async def renew_leases(self, leases: Sequence[Lease]) -> list[str | None]:
        return [await self._store.beat(str(lease.key[0]), lease.fence) for lease in leases]


class Hands:
    """A heartbeat, and what its process heard by it."""

    def __init__(self, store: Store, heartbeat: Heartbeat) -> None:
        self._store, self._heartbeat = store, heartbeat
        self.heard = list[tuple[str, str | None]]()
        self.hears = asyncio.Event()

    def hold(self, key: str, fence: int) -> None:
        self._heartbeat.start_renewing_lease(
            StoredLeases(self._store, key), Lease((key,), fence), partial(self._hear, key)
        )

    def drop(self, key: str, fence: int = 1) -> None:
        self._heartbeat.stop_renewing_lease(StoredLeases(self._store, key), Lease((key,), fence))

    def _hear(self, key: str, control: str | None) -> None:
        asyncio.get_running_loop()
        self.heard.append((key, control))
        self.hears.set()


@asynccontextmanager
async def heartbeat(store: Store, *, patience: float = LONG, answer: float = LONG) -> AsyncIterator[Hands]:
    async with ThreadHeartbeat(store.open, every=EVERY, patience=patience, answer=answer) as made:
        yield Hands(store, made)


def held_up(until: Callable[[], bool]) -> None:
    """Holds the loop of the process, as a computation would that nobody sent off the loop."""
    over = time.monotonic() + LONG
    while not until():
        assert time.monotonic() < over, "it did not happen while the loop was held up"


def tables_of(driver: TableDriver) -> Tables:
    return Tables(driver, secret=b"s" * 32, clock=system_clock)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "heartbeat"]


async def test_it_beats_for_what_it_holds_under_the_fence_of_each() -> None:
    store = Store()
    async with heartbeat(store) as held:
        held.hold("a", 1)
        held.hold("b", 7)
        await store.more("a")
        await store.more("b")
    assert set(store.beats) == {("a", 1), ("b", 7)}


async def test_it_beats_while_the_loop_of_the_process_is_busy() -> None:
    store = Store()
    async with heartbeat(store) as held:
        held.hold("a", 1)
        await store.more("a")
        before = store.count("a")
        held_up(lambda: store.count("a") >= before + 5)


async def test_it_stops_when_the_loop_is_hung_and_comes_back_with_it() -> None:
    store = Store()
    with capture_logs() as told:

        def rounds_hung() -> int:
            return sum(entry["event"] == "heartbeat.hung" for entry in told)

        async with heartbeat(store, patience=0.1) as held:
            held.hold("a", 1)
            await store.more("a")
            held_up(lambda: rounds_hung() >= 2)
            before = store.count("a")
            held_up(lambda: rounds_hung() >= 6)
            assert store.count("a") == before
            await store.more("a", 3)


async def test_a_fresh_heartbeat_that_waited_long_to_be_opened_does_not_think_the_loop_hung() -> None:
    store = Store()
    waiting, made_at = ThreadHeartbeat(store.open, every=EVERY, patience=0.5), time.monotonic()
    held_up(lambda: time.monotonic() > made_at + 0.6)
    with capture_logs() as told:
        async with waiting as made:
            Hands(store, made).hold("a", 1)
            held_up(lambda: store.count("a") >= 1 or any(entry["event"] == "heartbeat.hung" for entry in told))
    assert store.count("a") >= 1


async def test_what_is_dropped_is_beaten_for_no_more() -> None:
    store = Store()
    async with heartbeat(store) as held:
        held.hold("a", 1)
        held.hold("b", 1)
        await store.more("a")
        held.drop("a")
        held.drop("a")
        held.drop("never held")
        await store.more("b")  # a round that had begun before is over
        before = store.count("a")
        await store.more("b", 3)
        assert store.count("a") == before


async def test_what_is_refused_is_dropped_and_nothing_else() -> None:
    async def answer(key: str, fence: int) -> bool:
        return key != "a"

    store = Store(answer)
    async with heartbeat(store) as held:
        held.hold("a", 1)
        held.hold("b", 1)
        await store.more("b", 4)
    assert store.count("a") == 1


async def test_a_refusal_of_an_old_fence_does_not_drop_what_was_taken_up_again() -> None:
    asked, answered = threading.Event(), threading.Event()

    async def answer(key: str, fence: int) -> bool:
        if fence == 1:
            asked.set()
            await asyncio.to_thread(answered.wait, LONG)
        return fence == 2

    store = Store(answer)
    async with heartbeat(store) as held:
        held.hold("a", 1)
        assert await asyncio.to_thread(asked.wait, LONG)
        held.hold("a", 2)
        answered.set()
        await store.more("a", 3)
    assert store.beats[1:] and set(store.beats[1:]) == {("a", 2)}


@pytest.mark.parametrize("error", [Unavailable("away"), OSError("broken pipe"), ValueError("nonsense")], ids=repr)
async def test_a_beat_that_fails_is_tried_again_and_keeps_no_other_from_it(error: Exception) -> None:
    async def answer(key: str, fence: int) -> bool:
        if key == "a" and store.count("a") < 3:
            raise error
        return True

    store = Store(answer)
    with capture_logs() as told:
        async with heartbeat(store) as held:
            held.hold("a", 1)
            held.hold("b", 1)
            await store.more("a", 5)
            await store.more("b")
    assert [entry["table"] for entry in told if entry["event"] == "heartbeat.failed"] == ["a", "a"]


async def test_a_store_that_does_not_open_is_tried_again() -> None:
    store = Store(away=3)
    with capture_logs() as told:
        async with heartbeat(store) as held:
            held.hold("a", 1)
            await store.more("a")
    assert store.opened == 4
    assert [entry["event"] for entry in told] == ["heartbeat.not_opened"] * 3


async def test_a_beat_that_is_never_answered_is_given_up_and_tried_again() -> None:
    async def answer(key: str, fence: int) -> bool:
        if key == "a" and store.count("a") < 3:
            await asyncio.Event().wait()
        return True

    store = Store(answer)
    with capture_logs():
        async with heartbeat(store, answer=0.05) as held:
            held.hold("b", 1)
            held.hold("a", 1)
            await store.more("a", 4)
            await store.more("b")


async def test_it_ends_with_its_owner_and_closes_its_store() -> None:
    store = Store()
    async with heartbeat(store) as held:
        held.hold("a", 1)
        await store.more("a")
        assert threads() == ["heartbeat"]
    beats = len(store.beats)
    assert (threads(), store.closed) == ([], 1)
    assert len(store.beats) == beats


async def test_it_ends_with_an_owner_that_fails() -> None:
    store = Store()
    with pytest.raises(ZeroDivisionError):
        async with heartbeat(store) as held:
            held.hold("a", 1)
            await store.more("a")
            raise ZeroDivisionError
    assert (threads(), store.closed) == ([], 1)


async def test_it_ends_though_its_store_never_opened() -> None:
    async with heartbeat(Store(away=10**9)):
        pass
    assert threads() == []


async def test_it_ends_though_a_beat_is_not_answered() -> None:
    async def answer(key: str, fence: int) -> bool:
        await asyncio.Event().wait()
        return True

    store = Store(answer)
    async with asyncio.timeout(LONG / 2), heartbeat(store) as held:
        held.hold("a", 1)
        await store.more("a", 1)
    assert (threads(), store.closed) == ([], 1)


async def heard(controls: list[str | None], wanted: list[str | None]) -> None:
    async with asyncio.timeout(LONG):
        while controls != wanted:
            await asyncio.sleep(EVERY)


async def test_a_lease_in_a_real_store_is_kept_through_a_busy_loop(tmp_path: Path) -> None:
    task = Task(
        task_id="tsk_1", task_type="purge", tenant_id="t", user_id="u", status="running", fence=1, created_at="2026"
    )
    controls = list[str | None]()

    @asynccontextmanager
    async def open_own() -> AsyncIterator[Tables]:
        async with sqlite_tables(tmp_path / "nexus.db", [TASKS]) as own:
            yield tables_of(own)

    async with sqlite_tables(tmp_path / "nexus.db", [TASKS]) as driver:
        tables = tables_of(driver)
        await tables.commit(insert(TASKS, task))
        async with ThreadHeartbeat(open_own, every=EVERY) as made:
            times = LeaseTimes(lease=0.2)
            executions = Executions(TASK_LEASES, tables=tables, clock=system_clock, heartbeat=made, times=times)
            executions.start_lease_renewal(task, controls.append)
            with sqlite3.connect(tmp_path / "nexus.db") as own:
                held_up(lambda: '"heartbeat":3' in own.execute("select row from nexus_tasks").fetchone()[0])
            held = await tables.get(TASKS, task.task_id)
            await tables.commit(executions.make_control_write(held, "stopped"))
            await heard(controls, ["stopped"])
            stopping = await tables.get(TASKS, task.task_id)
            await tables.commit(executions.make_status_write(stopping, "cancelled"))
            await heard(controls, ["stopped", None])
            assert not executions.is_row_leased_here(task)


async def test_who_holds_it_hears_in_its_own_loop_what_is_wanted_once_each_time_that_changes() -> None:
    wanted: dict[str, bool | str] = {"a": True, "b": True}
    changes: list[bool | str] = ["paused", "running", "stopped", False]

    async def answer(key: str, fence: int) -> bool | str:
        return wanted[key]

    store = Store(answer)
    async with heartbeat(store) as hands:
        hands.hold("a", 1)
        hands.hold("b", 1)
        for change in changes:
            wanted["a"] = change
            hands.hears.clear()
            async with asyncio.timeout(LONG):
                await hands.hears.wait()
            await store.more("b")
    assert hands.heard == [("a", "paused"), ("a", "running"), ("a", "stopped"), ("a", None)]


async def test_what_is_dropped_hears_nothing_of_an_answer_that_was_under_way() -> None:
    asked, answered = threading.Event(), threading.Event()

    async def answer(key: str, fence: int) -> bool:
        if key == "a":
            asked.set()
            await asyncio.to_thread(answered.wait, LONG)
        return False

    store = Store(answer)
    async with heartbeat(store) as hands:
        hands.hold("a", 1)
        assert await asyncio.to_thread(asked.wait, LONG)
        hands.drop("a")
        answered.set()
        hands.hold("b", 1)
        async with asyncio.timeout(LONG):
            await hands.hears.wait()
    assert hands.heard == [("b", None)]


async def test_a_heartbeat_of_tests_holds_drops_and_tells_as_the_other_does() -> None:
    async def answer(key: str, fence: int) -> bool | str:
        return "stopped" if key == "stopped" else key != "lost"

    store, made = Store(answer), MemoryHeartbeat()
    hands = Hands(store, made)
    for key in ("a", "dropped", "lost", "stopped"):
        hands.hold(key, 1)
    hands.drop("dropped")
    hands.drop("a", fence=2)
    hands.drop("never held")
    await made.beat()
    assert store.beats == [("a", 1), ("lost", 1), ("stopped", 1)]
    assert hands.heard == [("lost", None), ("stopped", "stopped")]
    assert [name for name, _ in made.held] == ["a", "stopped"]
