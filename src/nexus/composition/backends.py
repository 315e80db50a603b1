"""What stands behind more than one port."""

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from nexus.settings import Settings

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from nexus.adapters.sqlite.writer import Writer


class Backends:
    """Opened for the first port that asks, closed with the stack."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self.settings, self.stack = settings, stack
        self._writer: Writer | None = None
        self._redis: Redis | None = None
        self._sqs: Any = None

    async def open_sqlite_writer(self) -> "Writer":
        from nexus.adapters.sqlite.writer import Writer

        if self._writer is None:
            self._writer = Writer(self.settings.data_directory / "nexus.db")
            await self._writer.open()
            self.stack.push_async_callback(self._writer.close)
        return self._writer

    async def open_redis(self) -> "Redis":
        from nexus.adapters.redis.connections import open_redis_client

        if self._redis is None:
            self._redis = await self.stack.enter_async_context(open_redis_client(self.settings.redis.url))
        return self._redis

    async def open_sqs(self) -> Any:
        from nexus.adapters.sqs.queues import open_client

        if self._sqs is None:
            wanted = self.settings.queue
            client = open_client(region=wanted.region, endpoint_url=wanted.endpoint_url or None)
            self._sqs = await self.stack.enter_async_context(client)
        return self._sqs


async def open_dynamodb(settings: Settings, stack: AsyncExitStack) -> Any:
    from nexus.adapters.dynamodb.tables import open_dynamodb_client

    wanted = settings.tables
    return await stack.enter_async_context(
        open_dynamodb_client(region=wanted.region, endpoint_url=wanted.endpoint_url or None)
    )


def describe_missing_parts(store: str, missing: list[str]) -> str:
    """What a server that makes nothing itself says of a store in which something is missing."""
    shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    return f"{store} lacks {shown}. Make what is missing with `nexus init-resources`."
