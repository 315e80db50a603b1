"""What is declared is made in DynamoDB, once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs

from nexus.adapters.dynamodb.provision import create_missing_tables, delete_tables, find_missing_parts, protect_tables
from nexus.adapters.dynamodb.tables import DynamoTables
from nexus.domain.core.errors import Conflict
from nexus.domain.ports.database import Tables
from nexus.domain.ports.rows import insert, replace
from tests.contracts.conftest import dynamodb_client
from tests.contracts.stored import JOBS, PROMISES, STORED, Clock, Job


@pytest.fixture
async def client(dynamodb_url: str) -> AsyncIterator[Any]:
    async with dynamodb_client(dynamodb_url) as client:
        yield client


@pytest.fixture
def prefix() -> str:
    return f"t{uuid4().hex[:8]}_"


async def test_tables_are_made_once_and_those_that_are_gone_again(client: Any, prefix: str) -> None:
    names = sorted(prefix + table.name for table in STORED)
    assert sorted(await create_missing_tables(client, STORED, prefix=prefix)) == names
    assert await create_missing_tables(client, STORED, prefix=prefix) == []
    await client.delete_table(TableName=f"{prefix}lines")
    assert await create_missing_tables(client, STORED, prefix=prefix) == [f"{prefix}lines"]


async def test_processes_that_start_at_once_make_each_table_once(client: Any, prefix: str) -> None:
    made = await asyncio.gather(*(create_missing_tables(client, STORED, prefix=prefix) for _ in range(3)))
    assert sorted(name for names in made for name in names) == sorted(prefix + table.name for table in STORED)


class Raced:
    """A client to which another process is always a moment ahead with each index."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def update_table(self, **wanted: Any) -> None:
        await self._client.update_table(**wanted)
        raise self._client.exceptions.ResourceInUseException({"Error": {}}, "UpdateTable")


async def test_indexes_that_another_process_adds_are_waited_for(client: Any, prefix: str) -> None:
    await create_missing_tables(client, [structs.replace(JOBS, indexes=JOBS.indexes[:1])], prefix=prefix)
    assert await create_missing_tables(Raced(client), [JOBS], prefix=prefix) == []
    jobs = (await client.describe_table(TableName=f"{prefix}jobs"))["Table"]
    assert {one["IndexName"] for one in jobs["GlobalSecondaryIndexes"]} == {index.name for index in JOBS.indexes}


async def test_a_table_is_as_declared(client: Any, prefix: str) -> None:
    await create_missing_tables(client, STORED, prefix=prefix)
    jobs = (await client.describe_table(TableName=f"{prefix}jobs"))["Table"]
    kinds = {one["AttributeName"]: one["AttributeType"] for one in jobs["AttributeDefinitions"]}
    assert kinds["priority"] == "N" and kinds["user_id+status"] == kinds["shard"] == "S"
    projections = {one["IndexName"]: one["Projection"]["ProjectionType"] for one in jobs["GlobalSecondaryIndexes"]}
    assert projections["DispatchIndex"] == "KEYS_ONLY" and projections["UserIndex"] == "ALL"
    assert jobs["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    expiry = (await client.describe_time_to_live(TableName=prefix + PROMISES.name))["TimeToLiveDescription"]
    assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "expires_at")


async def test_indexes_declared_later_have_the_old_rows(client: Any, prefix: str, clock: Clock) -> None:
    bare = structs.replace(JOBS, indexes=JOBS.indexes[:1])
    await create_missing_tables(client, [bare], prefix=prefix)
    tables = Tables(DynamoTables(client, prefix=prefix), secret=b"s", clock=clock)
    await tables.commit(insert(bare, Job(job_id="j1", shard="d", due_at="2025")))
    later = [f"{prefix}jobs/{index.name}" for index in JOBS.indexes[1:]]
    assert await create_missing_tables(client, [JOBS], prefix=prefix) == later
    assert [job.job_id for job in (await tables.read_page(JOBS, "d", index="DispatchIndex")).items] == ["j1"]
    assert (await tables.read_page(JOBS, "u1", "queued", index="UserStatusIndex")).items == []
    for job in (await tables.walk(JOBS)).items:
        await tables.commit(replace(JOBS, job))
    assert len((await tables.read_page(JOBS, "u1", "queued", index="UserStatusIndex")).items) == 1


async def test_a_table_that_was_made_with_another_key_is_named_and_left_alone(client: Any, prefix: str) -> None:
    before = structs.replace(JOBS, key=("shard", "job_id"), indexes=())
    await create_missing_tables(client, [before], prefix=prefix)
    with pytest.raises(Conflict, match=f"{prefix}jobs has the key"):
        await create_missing_tables(client, [JOBS], prefix=prefix)
    await client.delete_table(TableName=f"{prefix}jobs")
    assert await create_missing_tables(client, [JOBS], prefix=prefix) == [f"{prefix}jobs"]


async def test_what_is_missing_is_named_tables_and_indexes(client: Any, prefix: str) -> None:
    names = sorted(prefix + table.name for table in STORED)
    assert sorted(await find_missing_parts(client, STORED, prefix=prefix)) == names
    bare = structs.replace(JOBS, indexes=JOBS.indexes[:1])
    await create_missing_tables(client, [bare, *(table for table in STORED if table is not JOBS)], prefix=prefix)
    missing = [f"{prefix}jobs/{index.name}" for index in JOBS.indexes[1:]]
    assert await find_missing_parts(client, STORED, prefix=prefix) == missing
    await create_missing_tables(client, STORED, prefix=prefix)
    assert await find_missing_parts(client, STORED, prefix=prefix) == []


async def test_protected_tables_are_deleted_only_by_who_means_it_and_others_stay(client: Any, prefix: str) -> None:
    await create_missing_tables(client, STORED, prefix=prefix)
    await create_missing_tables(client, [JOBS], prefix=f"other_{prefix}")
    unknown = await protect_tables(client, STORED, prefix=prefix)
    assert await protect_tables(client, STORED, prefix=prefix) == unknown, "it may be done again"
    with pytest.raises(client.exceptions.ClientError):
        await client.delete_table(TableName=f"{prefix}jobs")
    if not unknown:
        backups = await client.describe_continuous_backups(TableName=f"{prefix}jobs")
        recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    else:
        assert unknown == ["point-in-time recovery: UnknownOperationException"], "Dynoxide keeps no backups"
    assert sorted(await delete_tables(client, STORED, prefix=prefix)) == sorted(prefix + table.name for table in STORED)
    assert await delete_tables(client, STORED, prefix=prefix) == []
    assert await find_missing_parts(client, [JOBS], prefix=f"other_{prefix}") == []
