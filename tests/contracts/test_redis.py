"""What only Redis does: it is another process, and loses its memory when it dies."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from nexus.adapters.redis import signals as signals_module
from nexus.adapters.redis.connections import describe_address, open_redis_client
from nexus.adapters.redis.log import RedisLog
from nexus.domain.core.errors import Conflict, InvalidInput, Unavailable
from nexus.domain.ports.log import LEAP, Beyond, EventLog
from tests.contracts.conftest import redis_log, redis_signals
from tests.contracts.test_log import lines, numbered, taken
from tests.redis_server import RedisServer, run_redis

pytestmark = pytest.mark.peer


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """One that a test may kill."""
    with run_redis() as server:
        yield server


@pytest.fixture
async def drivers(server: RedisServer) -> AsyncIterator[tuple[RedisLog, RedisLog]]:
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(redis_log(server.url, "t:")) for _ in range(2)]
        yield one, other


async def append_when_back(log: EventLog, events: list[bytes], *, after: int) -> int:
    """Until Redis answers again."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await log.append_events("t", events, after=after)
            except Unavailable:
                await asyncio.sleep(0.02)


async def test_a_signal_reaches_another_process_and_its_own_comes_once(redis_server: RedisServer) -> None:
    prefix = f"t{uuid4().hex[:8]}:"
    async with (
        redis_signals(redis_server.url, prefix) as (_, one),
        redis_signals(redis_server.url, prefix) as (_, other),
    ):
        own, others, is_ready = list[int](), asyncio.Queue[int](), asyncio.Event()
        one.add_listener("a", own.append)
        other.add_listener("a", others.put_nowait, on_subscribed=is_ready.set)
        async with asyncio.timeout(30):
            await is_ready.wait()
            one.notify_listeners("a", 7)
            one.notify_listeners("a", 8)
            assert [await others.get(), await others.get()] == [7, 8]
            other.notify_listeners("a", 9)
            while own != [7, 8, 9]:
                await asyncio.sleep(0.001)


async def test_while_it_is_away_everything_fails_at_once_and_heals_by_itself(
    server: RedisServer, drivers: tuple[RedisLog, RedisLog]
) -> None:
    writing, other = EventLog(drivers[0]), EventLog(drivers[1], poll=0.01)
    assert await writing.append_events("t", lines(1, 2), after=0) == 2
    follower = other.follow_topic("t")
    assert await taken(follower, 2) == numbered(1, 2)
    server.kill()
    for call in (
        writing.append_events("t", lines(3, 1), after=2),
        writing.append_events("t", lines(4, 1), after=3),
        writing.read_events("t"),
    ):
        with pytest.raises(Unavailable):
            async with asyncio.timeout(5):
                await call
    server.start()
    assert await append_when_back(writing, [b"again"], after=2 + LEAP) == 3 + LEAP
    assert await taken(follower, 1) == [(3 + LEAP, b"again")]


async def test_what_was_flushed_is_refused_once_and_goes_on_behind_a_leap(
    server: RedisServer, drivers: tuple[RedisLog, RedisLog]
) -> None:
    log, other = map(EventLog, drivers)
    await log.append_events("t", lines(1, 5), after=0)
    async with open_redis_client(server.url) as client:
        await client.flushall()
    with pytest.raises(Conflict) as refused:
        await log.append_events("t", lines(6, 1), after=5)
    assert refused.value.facts["end"] == 0
    assert await log.append_events("t", [b"reset"], after=5 + LEAP) == 6 + LEAP
    with pytest.raises(Beyond):
        await anext(other.follow_topic("t", 5))
    assert await taken(other.follow_topic("t"), 1) == [(6 + LEAP, b"reset")]


async def test_a_topic_expires(redis_server: RedisServer) -> None:
    prefix = f"t{uuid4().hex[:8]}:"
    async with redis_log(redis_server.url, prefix) as driver, open_redis_client(redis_server.url) as client:
        await EventLog(driver).append_events("t", lines(1, 3), after=0)
        assert 0 < await client.ttl(f"{prefix}log:t") <= 24 * 3600


async def test_a_script_that_redis_forgot_is_loaded_again(
    server: RedisServer, drivers: tuple[RedisLog, RedisLog]
) -> None:
    log = EventLog(drivers[0])
    await log.append_events("t", lines(1, 1), after=0)
    async with open_redis_client(server.url) as client:
        await client.script_flush()
    async with asyncio.TaskGroup() as group:
        for n in range(2, 5):
            group.create_task(_append_one(log, n))
    assert await taken(log.follow_topic("t"), 4) == numbered(1, 4)


async def _append_one(log: EventLog, n: int) -> None:
    assert await log.append_events("t", lines(n, 1), after=n - 1) == n


async def test_listening_goes_on_after_nobody_listened_for_a_while(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals_module, "SILENCE_SECONDS", 0.02)
    prefix = f"t{uuid4().hex[:8]}:"
    async with (
        redis_signals(redis_server.url, prefix) as (_, one),
        redis_signals(redis_server.url, prefix) as (_, other),
    ):
        for n in range(3):
            heard, ready = asyncio.Queue[int](), asyncio.Event()
            stop = other.add_listener(f"k{n}", heard.put_nowait, on_subscribed=ready.set)
            async with asyncio.timeout(30):
                await ready.wait()
                one.notify_listeners(f"k{n}", n)
                assert await heard.get() == n
            stop()
            await asyncio.sleep(0.06)


async def test_listening_begins_anew_after_a_restart(server: RedisServer) -> None:
    async with redis_signals(server.url, "t:") as (_, one), redis_signals(server.url, "t:") as (_, other):
        heard, ready = asyncio.Queue[int](), asyncio.Queue[bool]()
        other.add_listener("a", heard.put_nowait, on_subscribed=lambda: ready.put_nowait(True))
        async with asyncio.timeout(30):
            await ready.get()
            server.kill()
            one.notify_listeners("a", 1)  # lost: nobody can carry it
            server.start()
            await ready.get()
            while heard.empty():
                one.notify_listeners("a", 2)
                await asyncio.sleep(0.01)
        assert heard.get_nowait() == 2


@pytest.mark.parametrize("url", ["localhost:6379", "http://a", ""])
async def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        async with open_redis_client(url):
            pass


def test_an_address_is_shown_without_its_password() -> None:
    assert describe_address("redis://user:secret@cache.example:6380/1") == "cache.example:6380"
