"""Tables that refuse a write while another one has one of its rows in hand, as DynamoDB does and its emulators do not."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from nexus.adapters.dynamodb.retries import Retries
from nexus.domain.ports.database import Query, TableDriver
from nexus.domain.ports.rows import Item, Key, Place, Write


class ConflictingTables:
    """A store in front of another one, in which each write takes so many seconds. Whoever meets a conflict tries again as the adapter of
    DynamoDB does.

    `conflicts`: how often a row stood in the way, by table."""

    def __init__(self, store: TableDriver, *, seconds: float = 0.005, retries: Retries = Retries()) -> None:
        self._store, self._seconds, self._retries = store, seconds, retries
        self._in_hand: set[tuple[str, Key]] = set()
        self.conflicts = Counter[str]()

    async def read_rows(self, places: Sequence[Place]) -> list[Item | None]:
        return await self._store.read_rows(places)

    async def query_rows(self, query: Query[Any]) -> tuple[list[Item], bool]:
        return await self._store.query_rows(query)

    async def write_rows(self, writes: Sequence[Write]) -> None:
        await self._retries.send_request("transact_write_items", partial(self._try_to_write, writes))

    async def _try_to_write(self, writes: Sequence[Write]) -> dict[str, Any]:
        rows = {(write.table.name, write.key) for write in writes}
        if met := rows & self._in_hand:
            self.conflicts.update(name for name, _ in met)
            raise make_conflict_error([(write.table.name, write.key) in met for write in writes])
        self._in_hand |= rows
        try:
            await asyncio.sleep(self._seconds)
            await self._store.write_rows(writes)
        finally:
            self._in_hand -= rows
        return {}


def make_conflict_error(met: Sequence[bool]) -> ClientError:
    """What the client of DynamoDB raises; of each write, whether its row was in other hands."""
    if len(met) == 1:
        answer: Any = {
            "Error": {"Code": "TransactionConflictException", "Message": "Transaction is ongoing for the item"}
        }
        return ClientError(answer | {"ResponseMetadata": {"HTTPStatusCode": 400}}, "UpdateItem")
    reasons = [{"Code": "TransactionConflict" if one else "None"} for one in met]
    answer = {
        "Error": {"Code": "TransactionCanceledException", "Message": "Transaction cancelled"},
        "CancellationReasons": reasons,
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    return ClientError(answer, "TransactWriteItems")
