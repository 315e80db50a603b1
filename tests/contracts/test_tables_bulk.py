"""A store is filled with rows as they are: whatever stands there, whatever their time, however often the store leaves some undone."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from nexus.adapters.directory.values import DirectoryValues
from nexus.adapters.dynamodb.retries import Retries
from nexus.adapters.dynamodb.tables import DynamoTables
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.database import BulkTableDriver, Tables, Window
from nexus.domain.ports.rows import Item
from tests.contracts.conftest import dynamodb_tables, sqlite_tables
from tests.contracts.stored import JOBS, PROMISES, Clock, Job, Promise

QUICK = Retries(lost=[0] * 3, conflicts=[0] * 3)


class BusyStore:
    """A client of a store that does of a batch only so many rows, and leaves the rest."""

    def __init__(self, client: Any, at_once: int) -> None:
        self._client, self._at_once, self.batches = client, at_once, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def batch_write_item(self, *, RequestItems: dict[str, list[Any]]) -> dict[str, Any]:  # noqa: N803
        self.batches += 1
        [(name, puts)] = RequestItems.items()
        if done := puts[: self._at_once]:
            await self._client.batch_write_item(RequestItems={name: done})
        left = puts[self._at_once :]
        return {"UnprocessedItems": {name: left} if left else {}}


@pytest.fixture(params=["sqlite", "dynamodb"])
async def bulk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BulkTableDriver]:
    async with AsyncExitStack() as stack:
        if request.param == "sqlite":
            yield await stack.enter_async_context(sqlite_tables(tmp_path / "nexus.db"))
        else:
            url = request.getfixturevalue("aws_url")
            client, prefix = await stack.enter_async_context(dynamodb_tables(url))
            yield DynamoTables(client, prefix=prefix, values=DirectoryValues(tmp_path))


def make_job_items(count: int, worker: str = "w") -> list[Item]:
    return [JOBS.encode_row(Job(job_id=f"j{n:03}", worker=worker, revision=7)) for n in range(count)]


async def list_items(driver: BulkTableDriver, table: Any) -> list[Item]:
    tables, items, window = Tables(driver, secret=b"s", clock=Clock()), list[Item](), Window(limit=30)
    while True:
        page = await tables.walk_items(table, window)
        items += page.items
        if page.cursor is None:
            return sorted(items, key=repr)
        window = Window(limit=30, cursor=page.cursor)


async def test_rows_are_put_in_the_place_of_others(bulk: BulkTableDriver) -> None:
    await bulk.put_rows(JOBS, make_job_items(70, "old"))
    items = make_job_items(80)
    items[3]["future"] = {"text": "知" * 30_000}
    await bulk.put_rows(JOBS, items)
    await bulk.put_rows(JOBS, [])
    assert await list_items(bulk, JOBS) == sorted(items, key=repr)


async def test_a_row_past_its_time_is_put_and_walked_and_clears_no_other(bulk: BulkTableDriver) -> None:
    items = [PROMISES.encode_row(Promise(key=f"k{n}", answer="a", expires_at=n + 1)) for n in range(5)]
    for item in items:
        await bulk.put_rows(PROMISES, [item])
    assert await list_items(bulk, PROMISES) == sorted(items, key=repr)


async def test_what_a_batch_left_undone_is_sent_again(aws_url: str) -> None:
    async with dynamodb_tables(aws_url) as (client, prefix):
        busy = BusyStore(client, at_once=10)
        driver = DynamoTables(busy, prefix=prefix, retries=QUICK)
        await driver.put_rows(JOBS, make_job_items(50))
        assert busy.batches == 6, "25 rows are three batches of this store"
        assert await list_items(driver, JOBS) == make_job_items(50)


async def test_a_store_that_does_nothing_is_given_up(aws_url: str) -> None:
    async with dynamodb_tables(aws_url) as (client, prefix):
        driver = DynamoTables(BusyStore(client, at_once=0), prefix=prefix, retries=QUICK)
        with pytest.raises(Unavailable, match="too slow"):
            await driver.put_rows(JOBS, make_job_items(1))
