"""Large values of rows: kept beside the table, which has their SHA-256 in their place."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import msgspec

from nexus.adapters.dynamodb.requests import SpilledValue, decode_dynamo_item
from nexus.adapters.dynamodb.retries import Retries
from nexus.domain.ports.rows import VALUE_BYTES, Item, Table, measure_value
from nexus.domain.ports.values import ValueStore

_LONG_TEXT = VALUE_BYTES // 6
"""A text of fewer characters weighs less as JSON, whatever they are."""


class Spilling:
    """Without a store for them, large values stay in their rows, as far as DynamoDB takes them."""

    def __init__(self, values: ValueStore | None) -> None:
        self._values = values

    async def spill_large_values(self, fields: Item) -> Item:
        """The fields with references for what is large; that is on the disk when this answers, so a row may refer to it."""
        if self._values is None:
            return fields
        large = {field: msgspec.json.encode(value) for field, value in fields.items() if _is_large(value)}
        if not large:
            return fields
        digests = await asyncio.gather(*map(self._values.keep_value, large.values()))
        kept = {
            field: SpilledValue(digest, len(content))
            for (field, content), digest in zip(large.items(), digests, strict=True)
        }
        return fields | kept

    async def restore_spilled_values(self, items: Sequence[Item]) -> None:
        """Puts the values back in their places. DamagedValue for one that cannot be read."""
        await asyncio.gather(
            *(
                self._restore_value(item, field, value)
                for item in items
                for field, value in item.items()
                if isinstance(value, SpilledValue)
            )
        )

    async def _restore_value(self, item: Item, field: str, spilled: SpilledValue) -> None:
        if self._values is None:
            raise TypeError(f"{field} is kept beside its row, and this process does not know where")
        item[field] = msgspec.json.decode(await self._values.read_value(spilled.digest))


def _is_large(value: Any) -> bool:
    match value:
        case None | bool() | int() | float():
            return False
        case str() if len(value) < _LONG_TEXT:
            return False
    return measure_value(value) > VALUE_BYTES


async def iterate_spilled_digests(client: Any, table: Table[Any], *, prefix: str) -> AsyncIterator[str]:
    """Of all values that lie beside the rows of a table, fields of newer code included: reads each row once, in pages. For maintenance; never
    for a request."""
    asked = {"TableName": prefix + table.name, "ConsistentRead": True}
    while True:
        page = await Retries().send_request("scan", partial(client.scan, **asked))
        for value in (value for item in page["Items"] for value in decode_dynamo_item(item).values()):
            if isinstance(value, SpilledValue):
                yield value.digest
        if "LastEvaluatedKey" not in page:
            return
        asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]
