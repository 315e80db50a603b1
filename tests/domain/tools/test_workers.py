"""Calls that take too long keep nobody else waiting, and leave nothing behind."""

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from nexus.domain.core.errors import Unavailable
from nexus.domain.tools.library.patterns import extract_pattern
from nexus.domain.tools.library.tabular import query_csv
from nexus.domain.tools.model import ToolError
from nexus.domain.tools.workers import LONG, MOST_LOST, THREADS, Workers, count_value_characters

RELEASED = threading.Event()


@pytest.fixture(autouse=True)
def threads_end() -> Iterator[None]:
    RELEASED.clear()
    yield
    RELEASED.set()


def wait_for_ever() -> dict[str, object]:
    RELEASED.wait()
    return {}


def greet(name: str) -> dict[str, object]:
    return {"text": f"Hello {name}"}


def children() -> set[int]:
    found = set[int]()
    for path in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        with suppress(FileNotFoundError):  # the thread ended meanwhile
            found |= set(map(int, path.read_text().split()))
    return found


async def test_calls_that_never_end_keep_no_thread_from_those_that_come_after() -> None:
    workers = Workers()
    for _ in range(THREADS + 4):
        with pytest.raises(Unavailable):
            await workers.run_function(wait_for_ever, {}, seconds=0.02)
    assert await workers.run_function(greet, {"name": "Ann"}, seconds=5) == {"text": "Hello Ann"}


async def test_files_are_read_however_many_calls_never_end() -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    workers = Workers()
    ended = await asyncio.gather(
        *(workers.run_function(wait_for_ever, {}, seconds=0.02) for _ in range(8)), return_exceptions=True
    )
    assert {type(one) for one in ended} == {Unavailable}
    async with asyncio.timeout(50):
        assert await asyncio.to_thread(lambda: "a file") == "a file"


async def test_only_so_many_threads_are_ever_lost() -> None:
    before, workers = threading.active_count(), Workers()
    for _ in range(3 * MOST_LOST):
        with pytest.raises(Unavailable):
            await workers.run_function(wait_for_ever, {}, seconds=0.01)
    assert threading.active_count() - before <= MOST_LOST + THREADS
    RELEASED.set()
    assert await workers.run_function(greet, {"name": "Ben"}, seconds=5) == {"text": "Hello Ben"}


async def test_a_long_text_is_read_in_a_process_that_is_ended_when_its_time_is_over() -> None:
    before, text = children(), "a" * 2 * LONG + "!"
    with pytest.raises(Unavailable):
        await Workers().run_function(extract_pattern, {"text": text, "pattern": "(a+)+$"}, seconds=0.8)
    assert children() <= before


async def test_a_long_text_gets_the_answer_and_the_refusal_that_a_short_one_gets() -> None:
    table = "name,amount\n" + "x,1\n" * LONG
    answer = await Workers().run_function(query_csv, {"csv_text": table, "aggregate": ["sum(amount)"]}, seconds=20)
    assert answer["rows"] == [{"sum(amount)": LONG}]
    with pytest.raises(ToolError, match="no column"):
        await Workers().run_function(query_csv, {"csv_text": table, "aggregate": ["sum(price)"]}, seconds=20)
    with pytest.raises(ToolError, match="characters"):
        await Workers().run_function(query_csv, {"csv_text": table + "\ud800"}, seconds=20)


async def test_what_breaks_in_a_process_of_its_own_is_told_as_one_line() -> None:
    with pytest.raises(RuntimeError, match="TypeError"):
        await Workers().run_function(query_csv, {"csv_text": "a\n" * LONG, "limit": "many"}, seconds=20)


def test_all_text_of_the_arguments_is_measured_at_any_depth() -> None:
    assert count_value_characters({"ab": ["cd", {"e": "fgh"}], "i": 5}) == len("ab" + "cd" + "e" + "fgh" + "i") + 5
    deep: object = "x"
    for _ in range(5000):
        deep = [deep]
    assert count_value_characters(deep) == 5001


@pytest.mark.timeout(10)
@pytest.mark.parametrize("head", ["," * 16_000, "a," * 16_000, "a,b\n" + "," * 900_000, "a\n" + "\n1" * 900_000])
def test_a_table_is_counted_before_anything_is_made_of_it(head: str) -> None:
    with pytest.raises(ToolError, match="at most 200 columns"):
        query_csv(head)


@pytest.mark.timeout(10)
def test_cells_that_are_not_there_are_counted_too() -> None:
    with pytest.raises(ToolError, match="cells"):
        query_csv(",".join(f"c{number}" for number in range(200)) + "\n1" * 50_000)
