"""Limits in time, while something waits to be let in."""

import asyncio

import pytest

from nexus.domain.runtime.quarantine import QuarantineGate, limit_work_time


async def test_a_limit_stands_still_while_its_work_waits_for_what_is_alone() -> None:
    gate, inside, release = QuarantineGate(), asyncio.Event(), asyncio.Event()

    async def lonely() -> None:
        async with gate.acquire_exclusive_reentrant():
            inside.set()
            await release.wait()

    async def limited() -> str:
        async with limit_work_time(30), limit_work_time(0.0), gate.acquire_shared():
            return "done"

    async with asyncio.TaskGroup() as group:
        group.create_task(lonely())
        await inside.wait()
        waiting = group.create_task(limited())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        release.set()
    assert waiting.result() == "done"


async def test_a_limit_holds_where_nobody_waits() -> None:
    with pytest.raises(TimeoutError):
        async with limit_work_time(0.0), QuarantineGate().acquire_shared():
            await asyncio.Event().wait()


async def test_what_is_part_of_something_alone_is_let_in_at_once_and_others_are_not() -> None:
    gate, order = QuarantineGate(), list[str]()
    inside = asyncio.Event()

    async def lonely() -> None:
        async with gate.acquire_exclusive_reentrant():
            inside.set()
            async with gate.acquire_shared():
                order.append("part")
            async with gate.acquire_exclusive():
                order.append("part alone")
            await asyncio.sleep(0)
            order.append("whole")

    async def other() -> None:
        await inside.wait()
        async with gate.acquire_shared():
            order.append("other")

    async with asyncio.TaskGroup() as group:
        group.create_task(other())
        group.create_task(lonely())
    assert order == ["part", "part alone", "whole", "other"]
