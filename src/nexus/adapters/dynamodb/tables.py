"""Rows in DynamoDB: one call for a read, a page or a write, one transaction for several writes."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, cast

import aioboto3
from aiobotocore.config import AioConfig
from botocore.exceptions import ClientError
from msgspec import structs

from nexus.adapters.dynamodb.requests import Request, decode_dynamo_item, encode_dynamo_item, encode_dynamo_key
from nexus.adapters.dynamodb.retries import REFUSING, Retries, list_cancellation_reasons
from nexus.adapters.dynamodb.spilling import Spilling
from nexus.domain.core.batches import split_batches
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.database import Query, Refused
from nexus.domain.ports.rows import Item, Key, Place, Table, Write
from nexus.domain.ports.values import ValueStore

CONFIG = AioConfig(
    connect_timeout=2,
    read_timeout=5,
    max_pool_connections=50,
    parameter_validation=False,
    retries={"total_max_attempts": 1},  # the SDK would repeat a write whose answer was lost without knowing its own
)
BATCH = 25
"""How many rows DynamoDB takes together without a transaction."""
_MARK = "write_id"
"""In every row: the write that made it so, by which we know our own when its answer was lost."""
_VERBS = {"put": "Put", "delete": "Delete", "check": "ConditionCheck", "patch": "Update", "tally": "Update"}


def open_dynamodb_client(
    *, region: str, endpoint_url: str | None = None, **session: str
) -> AbstractAsyncContextManager[Any]:
    """A client for `DynamoTables`, to be entered; credentials come from where the SDK looks, or from `session`."""
    client = aioboto3.Session(region_name=region, **session).client(
        "dynamodb", endpoint_url=endpoint_url, config=CONFIG
    )
    return cast(AbstractAsyncContextManager[Any], client)


class DynamoTables:
    """A lone write whose answer is lost, and whose row another one changes before we ask again, reads as Stale: all
    other lost answers are told apart. `values`: where large values are kept; else they stay in their rows."""

    def __init__(
        self,
        client: Any,
        *,
        prefix: str = "nexus_",
        retries: Retries = Retries(),
        values: ValueStore | None = None,
    ) -> None:
        self._client, self._prefix, self._retries = client, prefix, retries
        self._spilling = Spilling(values)

    async def read_rows(self, places: Sequence[Place]) -> list[Item | None]:
        if len(places) == 1:
            [(table, key)] = places
            name = self._prefix + table.name
            answer = await self._send_with_retries(
                "get_item", TableName=name, Key=encode_dynamo_key(table.key, key), ConsistentRead=True
            )
            return list(await self._load_items([answer["Item"]])) if "Item" in answer else [None]
        wanted, fields, found = dict[str, Any](), dict[str, tuple[str, ...]](), dict[tuple[str, Key], Item]()
        for table, key in places:
            name = self._prefix + table.name
            fields[name] = table.key
            wanted.setdefault(name, {"Keys": [], "ConsistentRead": True})["Keys"].append(
                encode_dynamo_key(table.key, key)
            )
        while wanted:
            answer = await self._send_with_retries("batch_get_item", RequestItems=wanted)
            for name, items in answer["Responses"].items():
                for item in await self._load_items(items):
                    found[name, tuple(item[field] for field in fields[name])] = item
            wanted = answer.get("UnprocessedKeys", {})
        return [found.get((self._prefix + table.name, key)) for table, key in places]

    async def query_rows(self, query: Query[Any]) -> tuple[list[Item], bool]:
        asked = self._make_query_request(query)
        if asked is None:
            return [], False
        answer = await self._send_with_retries("scan" if query.partition is None else "query", **asked)
        return await self._load_items(answer["Items"]), "LastEvaluatedKey" in answer

    async def write_rows(self, writes: Sequence[Write]) -> None:
        mark = secrets.token_hex(8)
        requests = [self._make_write_request(await self._spill_values(write), mark) for write in writes]
        try:
            if len(writes) > 1 or writes[0].verb == "check":
                await self._send_with_retries("transact_write_items", TransactItems=requests, ClientRequestToken=mark)
            else:
                ((verb, request),) = requests[0].items()
                await self._send_with_retries(f"{verb.lower()}_item", **request)
        except ClientError as error:
            refused = {at: row for at, (code, row) in enumerate(list_cancellation_reasons(error)) if code in REFUSING}
            if not any(row and row.get(_MARK) == mark for row in refused.values()):
                first = min(refused)
                row = refused[first]
                raise Refused(first, (await self._restore_rows([row]))[0] if row else None) from None

    async def put_rows(self, table: Table[Any], items: Sequence[Item]) -> None:
        """In batches at once: a page of rows is a few."""
        requests = await asyncio.gather(*map(self._make_put_request, items))
        name = self._prefix + table.name
        await asyncio.gather(*(self._put_batch({name: list(some)}) for some in split_batches(requests, BATCH)))

    async def _make_put_request(self, item: Item) -> dict[str, Any]:
        spilled = await self._spilling.spill_large_values(item)
        return {"PutRequest": {"Item": encode_dynamo_item({**spilled, _MARK: secrets.token_hex(8)})}}

    async def _put_batch(self, requests: dict[str, Any]) -> None:
        """Unavailable when the store goes on leaving some of them undone."""
        for pause in (*self._retries.conflicts, None):
            answer = await self._send_with_retries("batch_write_item", RequestItems=requests)
            if not (requests := answer.get("UnprocessedItems", {})):
                return
            if pause is not None:
                await asyncio.sleep(pause)
        raise Unavailable("The database is too slow for so many rows: promote again, and it goes on", reason="database")

    async def _spill_values(self, write: Write) -> Write:
        fields = await self._spilling.spill_large_values(write.fields)
        return write if fields is write.fields else structs.replace(write, fields=fields)

    async def _load_items(self, items: Sequence[Mapping[str, Any]]) -> list[Item]:
        return await self._restore_rows([decode_dynamo_item(item) for item in items])

    async def _restore_rows(self, rows: list[Item]) -> list[Item]:
        """As they were written: with their large values, without our mark."""
        for row in rows:
            row.pop(_MARK, None)
        await self._spilling.restore_spilled_values(rows)
        return rows

    def _make_query_request(self, query: Query[Any]) -> dict[str, Any] | None:
        """The request, or None when nothing lies within the bounds."""
        table, window, (partition, sort) = query.table, query.window, query.fields
        name, index = self._prefix + table.name, query.index and query.index.name
        request = Request(TableName=name, IndexName=index, ConsistentRead=index is None, Limit=window.limit)
        if query.partition is None:
            return request.make_client_arguments(
                ExclusiveStartKey=query.after and encode_dynamo_key(table.key, query.after[1:])
            )
        where = f"{request.add_name_placeholder(partition)} = {request.add_value_placeholder(query.partition)}"
        match window.since, window.until:
            case None, None:
                pass
            case since, None:
                where += f" AND {request.add_name_placeholder(sort)} >= {request.add_value_placeholder(since)}"
            case None, until:
                where += f" AND {request.add_name_placeholder(sort)} <= {request.add_value_placeholder(until)}"
            case since, until:
                if [since, until] != sorted((since, until)):
                    return None
                where += f" AND {request.add_name_placeholder(sort)} BETWEEN {request.add_value_placeholder(since)} AND {request.add_value_placeholder(until)}"
        after = query.after and encode_dynamo_key((partition, sort, *table.key), (query.partition, *query.after))
        return request.make_client_arguments(
            KeyConditionExpression=where, ExclusiveStartKey=after, ScanIndexForward=not window.newest_first
        )

    def _make_write_request(self, write: Write, mark: str) -> dict[str, Any]:
        table, verb = write.table, _VERBS[write.verb]
        request = Request(TableName=self._prefix + table.name, ReturnValuesOnConditionCheckFailure="ALL_OLD")
        conditions = request.make_condition_clauses(write.when, table.key[0])
        if verb == "Put":
            item = encode_dynamo_item({**write.fields, _MARK: mark})
            return {verb: request.make_client_arguments(Item=item, ConditionExpression=" AND ".join(conditions))}
        parts: dict[str, Any] = {"Key": encode_dynamo_key(table.key, write.key)}
        if verb == "Update":
            conditions.append(f"{request.add_name_placeholder(_MARK)} <> {request.add_value_placeholder(mark)}")
            parts["UpdateExpression"] = request.make_update_expression({**write.fields, _MARK: mark}, write.add)
        held = " AND ".join(conditions)
        if verb == "Delete" and held:
            held = f"attribute_not_exists({request.add_name_placeholder(table.key[0])}) OR {held}"
        return {verb: request.make_client_arguments(**parts, ConditionExpression=held)}

    async def _send_with_retries(self, operation: str, **request: Any) -> dict[str, Any]:
        return await self._retries.send_request(operation, partial(getattr(self._client, operation), **request))
