"""Makes DynamoDB tables and indexes as declared."""

import asyncio
import types
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Union, get_args, get_origin

from nexus.domain.core.errors import Conflict, Unavailable
from nexus.domain.ports.rows import Index, Table

READY_SECONDS = 600.0
"""An index over many rows takes minutes to fill."""


async def create_missing_tables(client: Any, tables: Sequence[Table[Any]], *, prefix: str = "nexus_") -> list[str]:
    """Makes what is declared and not yet there, and answers the names of what it made; a second run makes nothing. Several processes may
    do so at once: each makes what no other one does, and all return when everything is there.

    Conflict for a table that has another key: rows do not move to a new one by themselves."""
    made: list[str] = []
    for table in tables:
        name = prefix + table.name
        if await _describe_table(client, name) is None:
            with suppress(client.exceptions.ResourceInUseException):  # another process makes it
                await client.create_table(BillingMode="PAY_PER_REQUEST", **_make_create_table_request(table, name))
                made.append(name)
        there = await _wait_until_table_ready(client, name)
        if there["KeySchema"] != (wanted := _make_key_schema(*table.key)):
            raise Conflict(f"{name} has the key {there['KeySchema']}, not {wanted}: drop it, or choose another prefix.")
        made += await _create_missing_indexes(client, table, there)
        if table.expires:
            await _enable_time_to_live(client, name, table.expires)
    return made


async def find_missing_parts(client: Any, tables: Sequence[Table[Any]], *, prefix: str = "nexus_") -> list[str]:
    """The names of tables that are not there, of those that are not ready, and of indexes, as `nexus_tasks/UserIndex`."""
    found = await asyncio.gather(*(_find_missing_of_table(client, table, prefix + table.name) for table in tables))
    return [name for names in found for name in names]


async def _find_missing_of_table(client: Any, table: Table[Any], name: str) -> list[str]:
    there = await _describe_table(client, name)
    if there is None or there["TableStatus"] not in ("ACTIVE", "UPDATING"):
        return [name]
    ready = {
        one["IndexName"]
        for one in there.get("GlobalSecondaryIndexes", ())
        if one.get("IndexStatus") in (None, "ACTIVE")
    }
    return [f"{name}/{index.name}" for index in table.indexes if index.name not in ready]


async def protect_tables(client: Any, tables: Sequence[Table[Any]], *, prefix: str = "nexus_") -> list[str]:
    """Deletion protection, recovery to any point in time, and tags; answers what the store does not know, as emulators do not."""
    unknown = list[str]()
    for what, protect in PROTECTIONS.items():
        try:
            for table in tables:
                await protect(client, prefix + table.name)
        except client.exceptions.ClientError as error:
            unknown.append(f"{what}: {error.response['Error'].get('Message') or error.response['Error']['Code']}")
    return unknown


async def _enable_deletion_protection(client: Any, name: str) -> None:
    await _set_deletion_protection(client, name, enabled=True)


async def _set_deletion_protection(client: Any, name: str, *, enabled: bool) -> None:
    if (await client.describe_table(TableName=name))["Table"].get("DeletionProtectionEnabled", False) != enabled:
        await client.update_table(TableName=name, DeletionProtectionEnabled=enabled)
        await _wait_until_table_ready(client, name)


async def _enable_point_in_time_recovery(client: Any, name: str) -> None:
    specification = {"PointInTimeRecoveryEnabled": True}
    await client.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=specification)


async def _tag_table(client: Any, name: str) -> None:
    arn = (await client.describe_table(TableName=name))["Table"]["TableArn"]
    await client.tag_resource(ResourceArn=arn, Tags=[{"Key": "application", "Value": "nexus"}])


PROTECTIONS: Mapping[str, Callable[[Any, str], Awaitable[None]]] = {
    "deletion protection": _enable_deletion_protection,
    "point-in-time recovery": _enable_point_in_time_recovery,
    "tags": _tag_table,
}


async def delete_tables(client: Any, tables: Sequence[Table[Any]], *, prefix: str = "nexus_") -> list[str]:
    """Deletes those that are declared, with all rows, and answers their names."""
    deleted = list[str]()
    for table in tables:
        name = prefix + table.name
        if await _describe_table(client, name) is None:
            continue
        await _set_deletion_protection(client, name, enabled=False)
        with suppress(client.exceptions.ResourceNotFoundException):  # another process deletes it
            await client.delete_table(TableName=name)
            deleted.append(name)
        await _wait_until_gone(client, name)
    return deleted


async def _wait_until_gone(client: Any, name: str) -> None:
    pause = 0.05
    async with asyncio.timeout(READY_SECONDS):
        while await _describe_table(client, name) is not None:
            await asyncio.sleep(pause)
            pause = min(2 * pause, 5.0)


async def _create_missing_indexes(client: Any, table: Table[Any], there: Mapping[str, Any]) -> list[str]:
    """Adds the missing indexes, one after the other, as DynamoDB wants it."""
    name, made = there["TableName"], list[str]()
    for index in table.indexes:
        while index.name not in {one["IndexName"] for one in there.get("GlobalSecondaryIndexes", ())}:
            with suppress(client.exceptions.ResourceInUseException):  # another process adds one
                await client.update_table(
                    TableName=name,
                    AttributeDefinitions=_make_attribute_types(table, {index.partition, index.sort, *table.key}),
                    GlobalSecondaryIndexUpdates=[{"Create": _make_index_definition(index)}],
                )
                made.append(f"{name}/{index.name}")
            there = await _wait_until_table_ready(client, name)
    return made


async def _enable_time_to_live(client: Any, name: str, field: str) -> None:
    """Lets DynamoDB remove rows past their time; a table on which that is switched on already refuses it."""
    now = (await client.describe_time_to_live(TableName=name))["TimeToLiveDescription"]
    if now["TimeToLiveStatus"] in ("DISABLED", "DISABLING"):
        wanted = {"Enabled": True, "AttributeName": field}
        await client.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted)


async def _describe_table(client: Any, name: str) -> Mapping[str, Any] | None:
    try:
        described: Mapping[str, Any] = (await client.describe_table(TableName=name))["Table"]
    except client.exceptions.ResourceNotFoundException:
        return None
    return described


async def _wait_until_table_ready(client: Any, name: str) -> Mapping[str, Any]:
    """The table, once it and its indexes can be used. Unavailable when it takes too long."""
    pause = 0.05
    try:
        async with asyncio.timeout(READY_SECONDS):
            while (table := await _describe_table(client, name)) is None or not _is_table_ready(table):
                await asyncio.sleep(pause)
                pause = min(2 * pause, 5.0)
            return table
    except TimeoutError:
        raise Unavailable(f"{name} is not ready after {READY_SECONDS:.0f} s") from None


def _is_table_ready(table: Mapping[str, Any]) -> bool:
    indexes = table.get("GlobalSecondaryIndexes", ())
    return {table["TableStatus"], *(index.get("IndexStatus", "ACTIVE") for index in indexes)} == {"ACTIVE"}


def _make_create_table_request(table: Table[Any], name: str) -> dict[str, Any]:
    fields = {*table.key}.union(*((index.partition, index.sort) for index in table.indexes))
    declared = {
        "TableName": name,
        "KeySchema": _make_key_schema(*table.key),
        "AttributeDefinitions": _make_attribute_types(table, fields),
    }
    if table.indexes:
        declared["GlobalSecondaryIndexes"] = [_make_index_definition(index) for index in table.indexes]
    return declared


def _make_attribute_types(table: Table[Any], fields: set[str]) -> list[dict[str, str]]:
    kinds = {field: "N" if _is_number_type(table.fields.get(field)) else "S" for field in sorted(fields)}
    return [{"AttributeName": field, "AttributeType": kind} for field, kind in kinds.items()]


def _is_number_type(kind: Any) -> bool:
    if get_origin(kind) in (Union, types.UnionType):
        return any(map(_is_number_type, get_args(kind)))
    return kind is int


def _make_index_definition(index: Index) -> dict[str, Any]:
    projection = {"ProjectionType": "KEYS_ONLY" if index.keys_only else "ALL"}
    return {
        "IndexName": index.name,
        "KeySchema": _make_key_schema(index.partition, index.sort),
        "Projection": projection,
    }


def _make_key_schema(*fields: str) -> list[dict[str, str]]:
    kinds = ("HASH", "RANGE")
    return [{"AttributeName": field, "KeyType": kind} for field, kind in zip(fields, kinds, strict=False)]
