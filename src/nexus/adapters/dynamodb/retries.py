"""Sends a request to DynamoDB until there is an answer."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from botocore import exceptions as botocore
from botocore.exceptions import ClientError
from msgspec import Struct

from nexus.adapters.dynamodb.requests import decode_dynamo_item
from nexus.domain.core.errors import InvalidInput, Unavailable
from nexus.domain.ports.rows import Item

PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
CONFLICT_PAUSES = (0.05, 0.1, 0.2, 0.4, *[0.8] * 16)
REFUSING = frozenset({"ConditionalCheckFailed", "ConditionalCheckFailedException"})
_CONFLICTING = frozenset({"TransactionConflict", "TransactionConflictException", "TransactionInProgressException"})
_PASSING = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingError",
        "ThrottlingException",
    }
)
_INVALID = frozenset({"ValidationError", "ValidationException"})


class Retries(Struct, frozen=True):
    """Seconds, each times a random part, before a request is sent again: because it was lost or throttled; because another one had one of
    its rows in hand, which is over within milliseconds, and says that the store is well."""

    lost: Sequence[float] = PAUSES
    conflicts: Sequence[float] = CONFLICT_PAUSES

    async def send_request(self, operation: str, send: Callable[[], Awaitable[Mapping[str, Any]]]) -> dict[str, Any]:
        """What a lost answer did is known by the mark of the write. ClientError for a condition that fails."""
        lost, conflicts = iter(self.lost), iter(self.conflicts)
        while True:
            try:
                return dict(await send())
            except (botocore.HTTPClientError, botocore.ConnectionError) as error:
                pause, reason = next(lost, None), error
            except ClientError as error:
                pause, reason = _choose_pause(error, operation, lost, conflicts), error
            if pause is None:
                raise Unavailable("The database does not answer", reason="database", operation=operation) from reason
            await asyncio.sleep(pause * random.random())


def _choose_pause(
    error: ClientError, operation: str, lost: Iterator[float], conflicts: Iterator[float]
) -> float | None:
    """Raises where another try does not help."""
    codes = {code for code, _ in list_cancellation_reasons(error)} - {"None"}
    if codes & REFUSING:
        raise error
    if codes & _INVALID:
        raise InvalidInput("The database cannot hold it") from error
    if codes and codes <= _CONFLICTING:
        return next(conflicts, None)
    if codes <= _CONFLICTING | _PASSING or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
        return next(lost, None)
    raise Unavailable("The database refuses to answer", operation=operation) from error


def list_cancellation_reasons(error: ClientError) -> list[tuple[str, Item | None]]:
    """Of each write: why it failed, or "None", and the row that stood against it."""
    response: Mapping[str, Any] = error.response
    reasons = response.get("CancellationReasons") or [{**response, "Code": response["Error"]["Code"]}]
    return [(reason["Code"], decode_dynamo_item(reason["Item"]) if reason.get("Item") else None) for reason in reasons]
