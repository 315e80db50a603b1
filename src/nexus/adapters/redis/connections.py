"""Connections to Redis. It may be away at any time: then everything fails at once, and a task of its own tries to come back."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.exceptions import RedisError

from nexus.domain.core.errors import InvalidInput, Unavailable

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds between two attempts to connect, doubled after each."""
FAILURES = (RedisError, OSError, asyncio.TimeoutError)
"""What a call raises when Redis is away, busy or out of memory."""


@asynccontextmanager
async def open_redis_client(url: str) -> AsyncIterator[Redis]:
    """A pool of connections, none of which is open yet. InvalidInput for an address that is none."""
    try:
        parse_url(url)
    except ValueError as error:
        raise InvalidInput(f"NEXUS_REDIS__URL is no address of a Redis: {error}") from error
    client: Redis = Redis.from_url(
        url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=ANSWER_SECONDS, health_check_interval=30
    )
    try:
        yield client
    finally:
        await client.aclose()


def describe_address(url: str) -> str:
    """Host and port, without user and password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 6379}"


def translate_error(error: BaseException) -> Unavailable:
    return Unavailable(f"Redis does not answer: {type(error).__name__}.")


class Backoff:
    """The pauses of one task that reconnects."""

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE

    def reset(self) -> None:
        self._pause = FIRST_PAUSE

    async def sleep(self) -> None:
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))
        self._pause = min(self._pause * 2, LONGEST_PAUSE)


async def stop_task(task: "asyncio.Task[Any] | None") -> None:
    """Cancels it until it has ended: a cancel that comes while redis-py connects may be swallowed there."""
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)
