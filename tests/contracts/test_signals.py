"""The contract of signals, over every adapter."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from nexus.adapters.memory.signals import MemorySignals
from nexus.domain.ports.signals import Signals
from tests.contracts.conftest import REDIS, redis_signals


@pytest.fixture(params=["memory", REDIS])
async def signals(request: pytest.FixtureRequest) -> AsyncIterator[Signals]:
    if request.param == "memory":
        yield MemorySignals()
        return
    async with redis_signals(request.getfixturevalue("redis_server").url, f"t{uuid4().hex[:8]}:") as (_, opened):
        yield opened


async def test_all_who_listen_to_a_key_are_woken_with_the_position(signals: Signals) -> None:
    heard = list[tuple[str, int]]()
    for name, key in (("first", "a"), ("second", "a"), ("other", "b")):
        signals.add_listener(key, lambda position, name=name: heard.append((name, position)))  # type: ignore[misc]  # a default
    signals.notify_listeners("a", 7)
    signals.notify_listeners("nobody listens")
    await asyncio.sleep(0)
    assert sorted(heard) == [("first", 7), ("second", 7)]


async def test_who_stopped_listening_is_left_alone(signals: Signals) -> None:
    heard = list[int]()
    stop = signals.add_listener("a", heard.append)
    signals.add_listener("a", heard.append)
    for _ in range(2):
        stop()
    signals.notify_listeners("a", 1)
    await asyncio.sleep(0)
    assert heard == [1]


async def test_a_listener_may_leave_and_another_come_while_they_are_woken(signals: Signals) -> None:
    heard = list[str]()

    def leave(position: int) -> None:
        heard.append("left")
        stop()
        signals.add_listener("a", lambda position: heard.append("came"))

    stop = signals.add_listener("a", leave)
    signals.notify_listeners("a")
    await asyncio.sleep(0)
    signals.notify_listeners("a")
    await asyncio.sleep(0)
    assert heard == ["left", "came"]


async def wait_for_signal(signals: Signals, key: str, *, within: float) -> bool:
    """False when no signal came within so many seconds."""
    woken = asyncio.Event()
    stop = signals.add_listener(key, lambda position: woken.set())
    try:
        async with asyncio.timeout(within):
            await woken.wait()
    except TimeoutError:
        return False
    finally:
        stop()
    return True


async def test_waiting_ends_with_a_signal_or_with_its_time(signals: Signals) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(wait_for_signal(signals, "a", within=50))
        await asyncio.sleep(0)
        signals.notify_listeners("a")
    assert waiting.result()
    assert not await wait_for_signal(signals, "a", within=0)
