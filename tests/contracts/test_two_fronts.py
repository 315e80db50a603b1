"""Two fronts over one store of a log, as two processes have them: neither believes that it is alone."""

import asyncio
import gc

import msgspec
import pytest
from msgspec import Struct

from nexus.domain.core.errors import Conflict
from nexus.domain.ports.log import LEAP, Batch, Beyond, EventLog, LogDriver, Stream, Trimmed
from tests.contracts.test_log import lines, numbered, taken

Drivers = tuple[LogDriver, LogDriver]
Fronts = tuple[EventLog, EventLog]
QUICK = 0.001
"""How often these fronts look without a signal."""


class Event(Struct, frozen=True, tag_field="type"):
    """One of a stream."""


class Said(Event, frozen=True, tag="said"):
    text: str


class Over(Event, frozen=True, tag="over"):
    """The last one."""


@pytest.fixture
def fronts(log_drivers: Drivers) -> Fronts:
    one, other = log_drivers
    return EventLog(one, poll=QUICK), EventLog(other, poll=QUICK)


async def appended(log: EventLog, count: int, *, after: int) -> None:
    assert await log.append_events("t", lines(after + 1, count), after=after) == after + count


async def test_what_is_written_on_one_is_live_on_both(fronts: Fronts) -> None:
    followers = [log.follow_topic("t") for log in fronts for _ in range(3)]
    async with asyncio.TaskGroup() as group:
        hearing = [group.create_task(taken(follower, 40)) for follower in followers]
        await asyncio.sleep(0)
        for n in range(20):
            await appended(fronts[0], 2, after=2 * n)
    assert [one.result() for one in hearing] == [numbered(1, 40)] * len(followers)


async def test_both_write_in_turns_and_followers_of_both_miss_nothing(fronts: Fronts) -> None:
    async with asyncio.TaskGroup() as group:
        hearing = [group.create_task(taken(log.follow_topic("t"), 30)) for log in fronts for _ in range(2)]
        for n in range(15):
            await appended(fronts[n % 2], 2, after=2 * n)
            await asyncio.sleep(0)
    assert [one.result() for one in hearing] == [numbered(1, 30)] * 4


@pytest.mark.parametrize("knows", ["nothing", "a tail", "its own writing"])
async def test_a_reader_resumes_on_either_and_hears_the_rest(fronts: Fronts, knows: str) -> None:
    writing, other = fronts if knows != "its own writing" else (fronts[1], fronts[0])
    await appended(other if knows == "its own writing" else writing, 2, after=0)
    if knows == "a tail":
        assert await taken(other.follow_topic("t"), 2) == numbered(1, 2)
    await appended(writing, 3, after=2)
    for log in fronts:
        assert await log.find_end_position("t") == 5
        assert await taken(log.follow_topic("t", 2), 3) == numbered(3, 3)
        assert await taken(log.follow_topic("t"), 5) == numbered(1, 5)


async def test_a_long_absence_is_made_up_for_page_by_page(fronts: Fronts) -> None:
    writing, other = fronts
    follower = other.follow_topic("t")
    await appended(writing, 1, after=0)
    assert await taken(follower, 1) == numbered(1, 1)
    for after in range(1, 1_200, 11):
        await appended(writing, 11, after=after)
    assert await taken(follower, 1_199) == numbered(2, 1_199)


async def test_a_stale_front_is_refused_also_where_the_other_took_over_with_a_leap(fronts: Fronts) -> None:
    stale, heir = fronts
    await appended(stale, 3, after=0)
    await heir.append_events("t", [b"heir"], after=3 + LEAP)
    for after in (2, 3, 4, 3 + LEAP, 5 + LEAP, 3 + 2 * LEAP):
        with pytest.raises(Conflict):
            await stale.append_events("t", [b"stale"], after=after)
    for log in fronts:
        assert await taken(log.follow_topic("t"), 4) == [*numbered(1, 3), (4 + LEAP, b"heir")]
    await stale.append_events("t", [b"more"], after=4 + LEAP)
    assert await taken(heir.follow_topic("t", 4 + LEAP), 1) == [(5 + LEAP, b"more")]


async def test_what_is_deleted_on_one_is_gone_on_the_other(fronts: Fronts) -> None:
    for log in fronts:
        assert (await log.find_end_position("t")) == 0
    await appended(fronts[0], 3, after=0)
    for log in fronts:
        assert await taken(log.follow_topic("t"), 3) == numbered(1, 3)
    await fronts[0].delete_topics(["t"])
    for log in fronts:
        assert await log.find_end_position("t") == 0
        with pytest.raises(Conflict):
            await log.append_events("t", lines(4, 1), after=3)
        with pytest.raises(Beyond):
            await anext(log.follow_topic("t", 2))


async def test_a_follower_of_the_other_front_is_told_of_the_deletion(log_driver: LogDriver) -> None:
    fronts = EventLog(log_driver), EventLog(log_driver)
    await appended(fronts[0], 1, after=0)
    follower = fronts[1].follow_topic("t")
    assert await taken(follower, 1) == numbered(1, 1)
    waiting = asyncio.create_task(taken(follower, 1))
    await asyncio.sleep(0)
    await fronts[0].delete_topics(["t"])
    with pytest.raises(Trimmed):
        await waiting


async def test_a_typed_stream_ends_on_both(fronts: Fronts) -> None:
    one, other = (Stream[Said | Over](log, kinds=(Said, Over), ends=(Over,)) for log in fronts)
    async with asyncio.TaskGroup() as group:
        hearing = group.create_task(_heard(other))
        await one.append_events("t", [Said("a")], after=0)
        await one.append_events("t", [Said("b"), Over()], after=1)
    assert hearing.result() == [Said("a"), Said("b"), Over()]
    assert await _heard(other, 2) == [Over()]
    assert await _heard(other, 3) == []


async def _heard(stream: Stream[Said | Over], after: int = 0) -> list[Said | Over]:
    async with asyncio.timeout(50):
        batches = [batch async for batch in stream.follow_batches("t", after)]
    return [msgspec.json.decode(event, type=Said | Over) for batch in batches for event in batch.events]


class Counting:
    """A driver that counts the looks at its store."""

    def __init__(self, driver: LogDriver) -> None:
        self._driver = driver
        self.append_events, self.delete_topics = driver.append_events, driver.delete_topics
        self.subscribe_to_topic = driver.subscribe_to_topic
        self.looks = 0

    async def read_events(self, topic: str, after: int, limit: int) -> Batch:
        self.looks += 1
        return await self._driver.read_events(topic, after, limit)

    async def read_end_position(self, topic: str) -> int:
        self.looks += 1
        return await self._driver.read_end_position(topic)


async def test_many_followers_cost_one_look_for_each_signal_and_none_where_the_writer_is(log_drivers: Drivers) -> None:
    writing, other = Counting(log_drivers[0]), Counting(log_drivers[1])
    fronts = EventLog(writing, poll=QUICK), EventLog(other, poll=QUICK)
    async with asyncio.TaskGroup() as group:
        hearing = [group.create_task(taken(log.follow_topic("t"), 20)) for log in fronts for _ in range(50)]
        await asyncio.sleep(0)
        while writing.looks < 50 or other.looks < 50:
            await asyncio.sleep(0)
        writing.looks = other.looks = 0
        for n in range(20):
            await appended(fronts[0], 1, after=n)
    assert [one.result() for one in hearing] == [numbered(1, 20)] * 100
    assert writing.looks + other.looks < 300, "50 followers of 20 events on each front"


async def test_a_front_without_followers_listens_no_more(fronts: Fronts, log_drivers: Drivers) -> None:
    for n in range(600):
        await taken_one(fronts[1], f"t{n}")
    gc.collect()
    signals = getattr(log_drivers[1], "_signals")  # noqa: B009 - a driver's own
    assert len(getattr(signals, "_local", signals)._listeners) < 300


async def taken_one(log: EventLog, topic: str) -> None:
    await log.append_events(topic, [b"1"], after=0)
    assert len(await taken(log.follow_topic(topic), 1)) == 1
