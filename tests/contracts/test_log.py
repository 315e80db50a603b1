"""The contract of the log, over every driver."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from nexus.domain.core.errors import Conflict, NotFound, Unavailable
from nexus.domain.ports.log import LEAP, PAGE, Append, Batch, Beyond, Entry, EventLog, LogDriver, Stream, Trimmed
from nexus.domain.ports.topics import Topic
from tests.contracts.conftest import sqlite_log
from tests.fakes.log import MemoryLog

LONG = 1_200
"""More events than the tail and several pages hold."""


class Event(Struct, frozen=True, tag_field="type"):
    """One of a stream."""


class Grown(Event, frozen=True, tag="reply.delta"):
    text: str


class Finished(Event, frozen=True, tag="reply.completed"):
    reason: str = "end"


class Paused(Event, frozen=True, tag="reply.completed_not"):
    """Its tag begins as that of an event which ends."""


@pytest.fixture
def log(log_driver: LogDriver) -> EventLog:
    return EventLog(log_driver)


@pytest.fixture
def stream(log: EventLog) -> Stream[Grown | Finished | Paused]:
    return Stream(log, kinds=(Grown, Finished, Paused), ends=(Finished,))


def lines(first: int, count: int) -> list[bytes]:
    return [b'{"n":%d}' % n for n in range(first, first + count)]


async def taken(batches: AsyncIterator[Batch], count: int) -> list[tuple[int, bytes]]:
    """The next `count` events and their positions."""
    told: list[tuple[int, bytes]] = []
    async with asyncio.timeout(50):
        while len(told) < count:
            batch = await anext(batches)
            told += enumerate(batch.events, batch.first)
    return told


def numbered(first: int, count: int) -> list[tuple[int, bytes]]:
    return list(enumerate(lines(first, count), first))


async def test_a_follower_gets_the_old_and_then_the_new(log: EventLog) -> None:
    assert await log.append_events("t", lines(1, 2), after=0) == 2
    follower = log.follow_topic("t")
    assert await taken(follower, 2) == numbered(1, 2)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(taken(follower, 3))
        assert await log.append_events("t", lines(3, 1), after=2) == 3
        assert await log.append_events("t", lines(4, 2), after=3, durable=True) == 5
    assert waiting.result() == numbered(3, 3)


async def test_a_follower_may_come_before_the_first_event(log: EventLog) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(taken(log.follow_topic("t"), 1))
        await asyncio.sleep(0)
        group.create_task(_appended(log, "t", 1, after=0))
    assert waiting.result() == numbered(1, 1)


async def _appended(log: EventLog, topic: str, count: int, *, after: int) -> int:
    return await log.append_events(topic, lines(after + 1, count), after=after)


async def test_what_is_shown_is_committed(log: EventLog, log_driver: LogDriver) -> None:
    follower = log.follow_topic("t")
    for n in range(1, 6):
        appending = log.append_events("t", lines(n, 1), after=n - 1)
        [(position, _)] = await taken(follower, 1)
        assert await log_driver.read_end_position("t") >= position == n
        await appending


async def test_two_followers_see_the_same(log: EventLog) -> None:
    early, late = log.follow_topic("t"), log.follow_topic("t", 3)
    await _appended(log, "t", 3, after=0)
    await _appended(log, "t", 4, after=3)
    assert await taken(early, 7) == numbered(1, 7)
    assert await taken(late, 4) == numbered(4, 4)


async def test_topics_do_not_mix(log: EventLog) -> None:
    await asyncio.gather(*(_appended(log, f"t{n}", n, after=0) for n in range(1, 30)))
    for n in range(1, 30):
        assert await taken(log.follow_topic(f"t{n}"), n) == numbered(1, n)
        assert await log.find_end_position(f"t{n}") == n


async def test_a_slow_reader_falls_off_the_tail_and_reads_the_store(log: EventLog) -> None:
    slow = log.follow_topic("t")
    for after in range(0, LONG, 6):
        await _appended(log, "t", 6, after=after)
    assert await taken(slow, LONG) == numbered(1, LONG)
    assert await taken(log.follow_topic("t", LONG - 2), 2) == numbered(LONG - 1, 2)
    assert (await taken(log.follow_topic("t", 7), PAGE))[:PAGE] == numbered(8, PAGE)


async def test_large_events_come_back_whole(log: EventLog) -> None:
    large = [("知" * 100_000).encode(), b'{"text":"\\n"}', "é\u2028\r".encode()]
    await log.append_events("t", large, after=0)
    assert [event for _, event in await taken(log.follow_topic("t"), 3)] == large
    assert (await log.read_events("t", 1, limit=1)).events[0] == large[1]


async def test_a_stale_writer_is_refused(log: EventLog, log_driver: LogDriver) -> None:
    await _appended(log, "t", 3, after=0)
    for stranger in (log, EventLog(log_driver)):
        for after in (0, 2, 4, 3 + LEAP - 1):
            with pytest.raises(Conflict):
                await _appended(stranger, "t", 1, after=after)
    assert await taken(log.follow_topic("t"), 3) == numbered(1, 3)
    assert await _appended(EventLog(log_driver), "t", 1, after=3) == 4


async def test_of_two_new_writers_one_wins(log_driver: LogDriver) -> None:
    logs = [EventLog(log_driver) for _ in range(5)]
    answers = await asyncio.gather(*(_appended(log, "t", 2, after=0) for log in logs), return_exceptions=True)
    assert sorted(map(str, map(type, answers))) == sorted([str(int), *[str(Conflict)] * 4])
    assert await EventLog(log_driver).find_end_position("t") == 2


async def test_a_refused_writer_takes_those_behind_it_along(log: EventLog, log_driver: LogDriver) -> None:
    await _appended(EventLog(log_driver), "t", 5, after=0)
    answers = await asyncio.gather(
        *(log.append_events("t", lines(n, 1), after=n - 1) for n in range(3, 6)), return_exceptions=True
    )
    assert all(isinstance(answer, Conflict) for answer in answers)
    assert await log.find_end_position("t") == 5
    assert await _appended(log, "t", 1, after=5) == 6


class Faltering:
    """A driver of which the next `failing` writes come to nothing."""

    def __init__(self, driver: LogDriver) -> None:
        self.failing = 0
        self._driver = driver
        self.read_events, self.read_end_position, self.delete_topics, self.subscribe_to_topic = (
            driver.read_events,
            driver.read_end_position,
            driver.delete_topics,
            driver.subscribe_to_topic,
        )

    def append_events(self, append: Append) -> None:
        if self.failing:
            self.failing -= 1
            asyncio.get_running_loop().call_soon(append.finish, Unavailable())
        else:
            self._driver.append_events(append)


async def test_what_follows_a_failed_append_leaves_no_hole(log_driver: LogDriver) -> None:
    driver = Faltering(log_driver)
    log = EventLog(driver)
    await _appended(log, "t", 1, after=0)
    follower = log.follow_topic("t", 1)
    driver.failing = 1
    answers = await asyncio.gather(*(_appended(log, "t", 1, after=n) for n in (1, 2)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable, Conflict]
    assert await log.find_end_position("t") == 1
    assert await _appended(log, "t", 2, after=1) == 3
    assert await taken(follower, 2) == numbered(2, 2)


async def test_appends_on_their_way_land_in_order(log: EventLog) -> None:
    landing = [log.append_events("t", lines(n, 1), after=n - 1) for n in range(1, 40)]
    assert await log.find_end_position("t") == 39
    assert await asyncio.gather(*landing) == list(range(1, 40))
    assert await taken(log.follow_topic("t"), 39) == numbered(1, 39)


async def test_a_leap_is_followed_and_tells_readers_of_lost_events(log: EventLog, log_driver: LogDriver) -> None:
    await _appended(log, "t", 3, after=0)
    reborn = EventLog(log_driver)
    assert await reborn.append_events("t", [b"end"], after=3 + LEAP, durable=True) == 4 + LEAP
    assert await taken(reborn.follow_topic("t"), 4) == [*numbered(1, 3), (4 + LEAP, b"end")]
    assert await taken(reborn.follow_topic("t", 3), 1) == [(4 + LEAP, b"end")]
    for lost in (4, 57, 3 + LEAP):
        with pytest.raises(Beyond):
            await anext(reborn.follow_topic("t", lost))


async def test_a_reader_beyond_the_end_is_told(log: EventLog) -> None:
    await _appended(log, "t", 3, after=0)
    for topic, after in (("t", 4), ("other", 1)):
        with pytest.raises(Beyond) as told:
            await anext(log.follow_topic(topic, after))
        assert isinstance(told.value, Conflict)


async def test_deleted_topics_are_gone_and_others_stay(log: EventLog) -> None:
    for topic in ("reply:1", "reply:2", "reply:3"):
        await _appended(log, topic, 3, after=0)
    reader, waiting = log.follow_topic("reply:1"), log.follow_topic("reply:1", 2)
    assert await taken(waiting, 1) == numbered(3, 1)
    hearing = asyncio.create_task(taken(waiting, 1))
    await asyncio.sleep(0)
    await log.delete_topics(["reply:1", "reply:2", "reply:none"])
    for follower in (anext(reader), hearing):
        with pytest.raises(Trimmed) as told:
            await follower
        assert isinstance(told.value, NotFound)
    assert await taken(log.follow_topic("reply:3"), 3) == numbered(1, 3)
    assert not (await log.read_events("reply:2")).events
    assert await log.find_end_position("reply:2") == 0


async def test_a_writer_of_a_deleted_topic_is_refused(log: EventLog, log_driver: LogDriver) -> None:
    await _appended(log, "t", 3, after=0)
    await log.delete_topics(["t"])
    for stranger in (log, EventLog(log_driver)):
        with pytest.raises(Conflict):
            await _appended(stranger, "t", 1, after=3)
    assert not (await log.read_events("t")).events


async def test_a_quiet_follower_hears_a_heart_beat(log_driver: LogDriver) -> None:
    log = EventLog(log_driver, poll=0.001)
    await _appended(log, "t", 1, after=0)
    follower = log.follow_topic("t", 1)
    async with asyncio.timeout(50):
        assert await anext(follower) == Batch(2, ())
    await _appended(log, "t", 1, after=1)
    assert await taken(follower, 1) == numbered(2, 1)


async def test_a_cancelled_follower_leaves_the_others_alone(log: EventLog) -> None:
    leaving = asyncio.create_task(taken(log.follow_topic("t"), 1))
    staying = asyncio.create_task(taken(log.follow_topic("t"), 1))
    await log.find_end_position("t")
    leaving.cancel()
    assert isinstance((await asyncio.gather(leaving, return_exceptions=True))[0], asyncio.CancelledError)
    await _appended(log, "t", 1, after=0)
    assert await staying == numbered(1, 1)


async def test_a_cancelled_writer_may_have_written_and_the_end_says_so(log: EventLog) -> None:
    writing = log.append_events("t", lines(1, 2), after=0)
    writing.cancel()
    assert await log.find_end_position("t") == 2
    assert await _appended(log, "t", 1, after=2) == 3
    assert await taken(log.follow_topic("t"), 3) == numbered(1, 3)


async def test_an_append_has_lines(log: EventLog) -> None:
    for wrong in ([], [b"a\nb"], [b"fine", b"\n"]):
        with pytest.raises(ValueError, match="newline"):
            await log.append_events("t", wrong, after=0)


async def test_what_nobody_reads_or_writes_leaves_memory() -> None:
    log = EventLog(MemoryLog())
    for n in range(600):
        await _appended(log, f"t{n}", 1, after=0)
    gc.collect()
    assert sum(isinstance(one, Topic) for one in gc.get_objects()) < 300
    assert await taken(log.follow_topic("t0"), 1) == numbered(1, 1)
    assert await _appended(log, "t1", 1, after=1) == 2


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    for after in (0, 300):
        async with sqlite_log(tmp_path / "nexus.db") as driver:
            log = EventLog(driver)
            assert await log.find_end_position("t") == after
            await asyncio.gather(
                *(log.append_events("t", lines(n, 3), after=n - 1) for n in range(after + 1, after + 300, 3))
            )
    async with sqlite_log(tmp_path / "nexus.db") as driver:
        assert await taken(EventLog(driver).follow_topic("t"), 600) == numbered(1, 600)


async def test_what_was_on_its_way_at_the_close_is_kept(tmp_path: Path) -> None:
    async with sqlite_log(tmp_path / "nexus.db") as driver:
        landing = EventLog(driver).append_events("t", lines(1, 3), after=0)
    assert await landing == 3
    async with sqlite_log(tmp_path / "nexus.db") as driver:
        assert await EventLog(driver).find_end_position("t") == 3


async def test_a_typed_stream_ends_with_its_last_event(stream: Stream[Grown | Finished | Paused]) -> None:
    events: list[Grown | Finished | Paused] = [Grown("a"), Grown("知\n"), Paused(), Finished()]
    assert await stream.append_events("t", events[:2], after=0) == 2
    assert await stream.append_events("t", events[2:], after=2) == 4
    assert await stream.read_entries("t") == [Entry(position, event) for position, event in enumerate(events, 1)]
    encoded = [msgspec.json.encode(event) for event in events]
    async with asyncio.timeout(50):
        for after in (0, 2, 4):
            found = [
                one async for batch in stream.follow_batches("t", after) for one in enumerate(batch.events, batch.first)
            ]
            assert found == list(enumerate(encoded, 1))[after:]
    assert await stream.find_end_position("t") == 4


async def test_a_typed_stream_is_read_to_its_present_end(stream: Stream[Grown | Finished | Paused]) -> None:
    assert await stream.read_entries("t") == []
    events = [Grown(str(n)) for n in range(2 * PAGE + 5)]
    await stream.append_events("t", events, after=0)
    assert [event for _, event in await stream.read_entries("t")] == events


class Ahead:
    """A store that shows more than the process has been told is committed: `shown` events, of which the process knows `told`."""

    def __init__(self, shown: int) -> None:
        self.shown = shown

    def append_events(self, append: Append) -> None:
        append.finish(None)

    async def read_events(self, topic: str, after: int, limit: int) -> Batch:
        return Batch(after + 1, lines(after + 1, self.shown - after))

    async def read_end_position(self, topic: str) -> int:
        return self.shown

    def subscribe_to_topic(self, topic: str, wake: Callable[[int], None]) -> Callable[[], None]:
        return lambda: None

    async def delete_topics(self, topics: Sequence[str]) -> None:
        raise AssertionError("nothing is deleted")


@pytest.mark.parametrize("after", [3, 4])
async def test_a_reader_that_saw_more_than_its_process_was_told_goes_on_without_gap(after: int) -> None:
    driver = Ahead(2)
    log = EventLog(driver)
    first = log.follow_topic("t")
    assert (await anext(first)).last == 2
    driver.shown = 4
    again = log.follow_topic("t", after)
    going_on = asyncio.ensure_future(anext(again))
    await asyncio.sleep(0)
    if after < driver.shown:
        assert await going_on == Batch(4, lines(4, 1))
        return
    assert not going_on.done()
    driver.shown = 5
    assert await log.append_events("t", lines(3, 3), after=2) == 5
    assert await going_on == Batch(5, lines(5, 1))


async def test_a_reader_goes_on_after_it_read_what_its_process_was_not_told_yet() -> None:
    driver = Ahead(2)
    log = EventLog(driver)
    reader = log.follow_topic("t")
    assert (await anext(reader)).last == 2
    late = log.follow_topic("t", 1)
    driver.shown = 3
    assert (await anext(late)).last in (2, 3)
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    assert await log.append_events("t", lines(3, 1), after=2) == 3
    assert await waiting == Batch(3, lines(3, 1))
