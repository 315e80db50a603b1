"""The promises of a job queue, over every adapter."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from nexus.domain.builds.model import RunBuild
from nexus.domain.sessions.model import WriteReply
from nexus.jobs.lanes import Lanes
from tests.fakes.jobs import MemoryJobs

Queue = Lanes | MemoryJobs


class Desk:
    """Where jobs arrive: what was run, what was handed back. A job whose name is held stays until it is let go, or cancelled."""

    def __init__(self, *held: str) -> None:
        self.ran, self.back, self.cancelled = list[str](), list[str](), list[str]()
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self._held = held

    async def run(self, body: bytes) -> None:
        self.ran.append(name_in(body))
        if self.ran[-1] in self._held:
            self.reached.set()
            try:
                await self.opened.wait()
            except asyncio.CancelledError:
                self.cancelled.append(name_in(body))
                raise

    async def handed_back(self, body: bytes) -> None:
        await asyncio.sleep(0)
        self.back.append(name_in(body))


def name_in(body: bytes) -> str:
    told = msgspec.json.decode(body)
    return str(told.get("task_id") or told["reply_id"])


@pytest.fixture(params=["memory", "inprocess"])
async def queue(request: pytest.FixtureRequest) -> AsyncIterator[Queue]:
    """One place in each lane; of a group, three interactive jobs may run or wait."""
    made: Queue = MemoryJobs(most=3) if request.param == "memory" else Lanes(places=1, interactive=1, waiting=2)
    async with made:
        yield made


async def build(queue: Queue, name: str, priority: int = 3, group: str = "a") -> int | None:
    return await queue.enqueue_job(RunBuild(task_id=name), key=name, priority=priority, group=group)


async def reply(queue: Queue, name: str, group: str = "a") -> int | None:
    return await queue.enqueue_job(WriteReply(reply_id=name), key=name, group=group)


async def test_priority_comes_first_then_tenants_take_turns_then_it_is_as_it_came(queue: Queue) -> None:
    for name, priority, group in [("a1", 3, "a"), ("a2", 3, "a"), ("a3", 3, "a"), ("b1", 3, "b"), ("low", 1, "b"), ("c1", 3, "c"), ("high", 5, "a"), ("b2", 3, "b")]:  # fmt: skip
        await build(queue, name, priority, group)
    queue.start_running_jobs((desk := Desk()).run)
    await queue.wait_until_idle()
    assert desk.ran == ["high", "a1", "b1", "c1", "a2", "b2", "a3", "low"]


async def test_who_waits_is_told_how_many_are_before_it(queue: Queue) -> None:
    names = [("a1", "a", 0), ("a2", "a", 1), ("a3", "a", 2), ("b1", "b", 1), ("c1", "c", 2), ("b2", "b", 4)]
    for name, group, before in names:
        assert await reply(queue, name, group) == before, name
    queue.start_running_jobs((desk := Desk()).run)
    await queue.wait_until_idle()
    assert desk.ran == ["a1", "b1", "c1", "a2", "b2", "a3"]


async def test_a_key_that_waits_is_dropped_and_one_that_runs_is_run_once_more(queue: Queue) -> None:
    desk = Desk("one")
    await build(queue, "one")
    assert await build(queue, "one") is None
    queue.start_running_jobs(desk.run)
    settling = asyncio.ensure_future(queue.wait_until_idle())
    await desk.reached.wait()
    for _ in range(3):
        assert await build(queue, "one") is None
    desk.opened.set()
    await settling
    assert desk.ran == ["one", "one"]
    await build(queue, "one")
    await queue.wait_until_idle()
    assert desk.ran == ["one", "one", "one"]


async def test_what_is_cancelled_while_it_waits_never_runs_and_may_come_again(queue: Queue) -> None:
    for name in ("one", "two", "three"):
        await build(queue, name)
    assert queue.stop_job("two")
    assert not queue.stop_job("two")
    assert not queue.stop_job("none")
    await build(queue, "two")
    queue.start_running_jobs((desk := Desk()).run)
    await queue.wait_until_idle()
    assert desk.ran == ["one", "three", "two"]


async def test_what_is_cancelled_while_it_runs_is_cut_and_the_next_one_runs(queue: Queue) -> None:
    desk = Desk("one")
    await build(queue, "one")
    await build(queue, "two")
    queue.start_running_jobs(desk.run)
    settling = asyncio.ensure_future(queue.wait_until_idle())
    await desk.reached.wait()
    assert queue.stop_job("one")
    await settling
    assert (desk.ran, desk.cancelled) == (["one", "two"], ["one"])


async def test_a_queue_holds_what_waits_and_what_runs_and_nothing_that_ended(queue: Queue) -> None:
    desk = Desk("first")
    queue.start_running_jobs(desk.run)
    await build(queue, "first")
    await build(queue, "second")
    settling = asyncio.ensure_future(queue.wait_until_idle())
    await desk.reached.wait()
    assert [queue.has_job(name) for name in ("first", "second", "third")] == [True, True, False]
    desk.opened.set()
    await settling
    assert [queue.has_job(name) for name in ("first", "second", "third")] == [False, False, False]


async def test_a_tenant_has_room_up_to_its_bound_and_what_comes_beyond_is_still_taken(queue: Queue) -> None:
    assert queue.get_job_capacity(WriteReply, group="a") == (0, 3)
    for number in range(3):
        assert not queue.get_job_capacity(WriteReply, group="a").is_full()
        await reply(queue, f"{number}")
    room = queue.get_job_capacity(WriteReply, group="a")
    assert (room, room.is_full()) == ((3, 3), True)
    assert not queue.get_job_capacity(WriteReply, group="b").is_full(coming=2)
    assert queue.get_job_capacity(WriteReply, group="b").is_full(coming=3)
    assert queue.get_job_capacity(RunBuild, group="a") == (0, None)
    assert not queue.get_job_capacity(RunBuild, group="a").is_full(1_000_000)
    await reply(queue, "beyond")
    queue.stop_job("0")
    desk = Desk("1")
    queue.start_running_jobs(desk.run)
    settling = asyncio.ensure_future(queue.wait_until_idle())
    await desk.reached.wait()
    assert queue.get_job_capacity(WriteReply, group="a") == (3, 3)
    desk.opened.set()
    await settling
    assert desk.ran == ["1", "2", "beyond"]
    assert queue.get_job_capacity(WriteReply, group="a") == (0, 3)


async def test_a_drain_hands_back_what_waits_once_and_cuts_what_runs(queue: Queue) -> None:
    desk = Desk("one")
    for name in ("one", "two", "three"):
        await build(queue, name)
    queue.start_running_jobs(desk.run, back=desk.handed_back)
    settling = asyncio.ensure_future(queue.wait_until_idle())
    await desk.reached.wait()
    await queue.drain_jobs(0)
    await settling
    await queue.drain_jobs(0)
    assert (desk.ran, desk.cancelled, sorted(desk.back)) == (["one"], ["one"], ["three", "two"])
    assert not queue.stop_job("two")


async def test_an_interactive_job_has_some_seconds_and_no_other_one_starts_in_its_place(queue: Queue) -> None:
    desk = Desk("one")
    await reply(queue, "one")
    await reply(queue, "two")
    queue.start_running_jobs(desk.run, back=desk.handed_back)
    settling = asyncio.ensure_future(queue.wait_until_idle())
    await desk.reached.wait()
    draining = asyncio.ensure_future(queue.drain_jobs(30))
    while not desk.back:
        await asyncio.sleep(0)
    desk.opened.set()
    await draining
    await settling
    assert (desk.ran, desk.cancelled, desk.back) == (["one"], [], ["two"])


async def test_the_seconds_of_an_interactive_job_begin_with_the_drain_and_not_behind_the_handing_back(
    queue: Queue,
) -> None:
    desk, clock, back = Desk("one"), asyncio.get_running_loop().time, list[float]()

    async def slowly(body: bytes) -> None:
        await asyncio.sleep(0.5)
        back.append(clock())

    await reply(queue, "one")
    await reply(queue, "two")
    queue.start_running_jobs(desk.run, back=slowly)
    settling = asyncio.ensure_future(queue.wait_until_idle())
    await desk.reached.wait()
    await queue.drain_jobs(0.5)
    assert clock() - back[0] < 0.25
    assert desk.cancelled == ["one"]
    await settling


async def test_what_comes_after_a_drain_is_handed_back_at_once(queue: Queue) -> None:
    queue.start_running_jobs((desk := Desk()).run, back=desk.handed_back)
    await queue.drain_jobs(0)
    late = [f"{number}" for number in range(5)]
    for name in late:
        assert not queue.get_job_capacity(WriteReply, group="a").is_full()
        assert await reply(queue, name) is None
    assert (desk.ran, desk.back) == ([], late)


async def test_leaving_hands_back_as_a_drain_does(queue: Queue) -> None:
    desk = Desk("one")
    async with queue:
        queue.start_running_jobs(desk.run, back=desk.handed_back)
        await build(queue, "one")
        settling = asyncio.ensure_future(queue.wait_until_idle())
        await desk.reached.wait()
        await build(queue, "two")
    await settling
    assert (desk.ran, desk.cancelled, desk.back) == (["one"], ["one"], ["two"])


async def test_one_tenant_cannot_take_the_places_of_all_others() -> None:
    desk = Desk("a1", "a2", "b1")
    async with Lanes(interactive=3, per_group=2) as queue:
        queue.start_running_jobs(desk.run)
        assert [await reply(queue, name) for name in ("a1", "a2", "a3", "a4")] == [None, None, 0, 1]
        assert await reply(queue, "b1", "b") is None
        assert await reply(queue, "b2", "b") == 1
        await desk.reached.wait()
        while len(desk.ran) < 3:
            await asyncio.sleep(0)
        assert queue.get_job_capacity(WriteReply, group="a") == (4, 1002)
        queue.stop_job("a1")
        while "a3" not in desk.ran:
            await asyncio.sleep(0)
        assert desk.ran[:4] == ["a1", "a2", "b1", "a3"]
        desk.opened.set()
        await queue.wait_until_idle()
        assert sorted(desk.ran) == ["a1", "a2", "a3", "a4", "b1", "b2"]


async def test_what_was_started_just_before_a_drain_begins_so_that_it_can_let_go_of_its_work() -> None:
    desk = Desk("one", "two")
    async with Lanes() as queue:
        queue.start_running_jobs(desk.run, back=desk.handed_back)
        await build(queue, "one")
        await reply(queue, "two")
        await queue.drain_jobs(0)
    assert (desk.ran, sorted(desk.cancelled), desk.back) == (["one", "two"], ["one", "two"], [])


async def test_what_is_cancelled_before_its_first_step_is_not_handed_back() -> None:
    desk = Desk()
    async with Lanes() as queue:
        queue.start_running_jobs(desk.run, back=desk.handed_back)
        await reply(queue, "one")
        assert queue.stop_job("one")
        await queue.wait_until_idle()
    assert (desk.ran, desk.back) == ([], [])
