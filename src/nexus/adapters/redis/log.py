"""The log in Redis streams: an entry an event, whose id is its position, so that Redis itself refuses a stale writer.

It keeps what readers follow live, not what must last: a topic expires, is capped, and is gone when Redis loses its memory. The rows
have the text."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from nexus.adapters.redis.connections import FAILURES, FIRST_PAUSE, LONGEST_PAUSE, stop_task, translate_error
from nexus.adapters.redis.signals import RedisSignals
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.log import LEAP, Append, Batch, make_append_refusal

KEPT_SECONDS = 24 * 3600
"""How long a topic is kept after its last event."""
MOST_EVENTS = 50_000
"""How many of the last events of a topic are kept, about."""
MOST_BATCH = 256
_APPEND = f"""
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local stop = 0
if last[1] then stop = tonumber(string.match(last[1][1], '^%d+')) end
local after = tonumber(ARGV[1])
if after ~= stop and after < stop + {LEAP} then return stop end
for i = 3, #ARGV do redis.call('XADD', KEYS[1], string.format('%d-0', after + i - 2), 'e', ARGV[i]) end
redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', {MOST_EVENTS})
redis.call('EXPIRE', KEYS[1], {KEPT_SECONDS})
redis.call('PUBLISH', KEYS[2], ARGV[2] .. string.format(' %d', after + #ARGV - 2))
return -1
"""
"""Answers -1 where it was done, else where the topic ends."""

logger = structlog.get_logger()


class RedisLog:
    """Appends go out in the order in which they were taken, all that wait in one round trip. While Redis is away they fail at once."""

    def __init__(self, client: Redis, signals: RedisSignals, *, prefix: str) -> None:
        self._client, self._signals, self._prefix = client, signals, f"{prefix}log:"
        self._waiting, self._has_waiting = deque[Append](), asyncio.Event()
        self._script, self._away_until, self._pause = "", 0.0, FIRST_PAUSE
        self._task: asyncio.Task[None] | None = None
        self._looking = set[asyncio.Task[None]]()

    def open(self) -> None:
        self._task = asyncio.ensure_future(self._append_forever())

    async def close(self) -> None:
        await stop_task(self._task)
        for task in tuple(self._looking):
            await stop_task(task)
        self._fail(self._take_waiting(), Unavailable("This process ends."))

    def append_events(self, append: Append) -> None:
        if asyncio.get_running_loop().time() < self._away_until:
            asyncio.get_running_loop().call_soon(append.finish, Unavailable("Redis does not answer."))
            return
        self._waiting.append(append)
        self._has_waiting.set()

    async def read_events(self, topic: str, after: int, limit: int) -> Batch:
        try:
            entries = await self._client.xrange(self._key_of(topic), f"{after + 1}-0", "+", limit)
        except FAILURES as error:
            raise translate_error(error) from error
        return _make_batch(entries or [], after)

    async def read_end_position(self, topic: str) -> int:
        try:
            entries = await self._client.xrevrange(self._key_of(topic), "+", "-", 1)
        except FAILURES as error:
            raise translate_error(error) from error
        return _position_of(entries[0][0]) if entries else 0

    async def delete_topics(self, topics: Sequence[str]) -> None:
        if not topics:
            return
        try:
            await self._client.unlink(*map(self._key_of, topics))
        except FAILURES as error:
            raise translate_error(error) from error
        for topic in topics:
            self._signals.notify_listeners(topic)

    def subscribe_to_topic(self, topic: str, wake: Callable[[int], None]) -> Callable[[], None]:
        return self._signals.add_listener(topic, wake, on_subscribed=partial(self._look_again, topic, wake))

    def _look_again(self, topic: str, wake: Callable[[int], None]) -> None:
        """What was appended before signals came is found now, and not a poll later."""
        task = asyncio.ensure_future(self._wake_at_end(topic, wake))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def _wake_at_end(self, topic: str, wake: Callable[[int], None]) -> None:
        with contextlib.suppress(Unavailable):  # the poll of the front looks again
            if end := await self.read_end_position(topic):
                wake(end)

    async def _append_forever(self) -> None:
        while True:
            await self._has_waiting.wait()
            self._has_waiting.clear()
            while batch := self._take_waiting(MOST_BATCH):
                await self._append_batch(batch)

    def _take_waiting(self, most: int | None = None) -> list[Append]:
        count = len(self._waiting) if most is None else min(most, len(self._waiting))
        return [self._waiting.popleft() for _ in range(count)]

    async def _append_batch(self, batch: Sequence[Append]) -> None:
        try:
            answers = await self._send_batch(batch)
        except asyncio.CancelledError:
            self._fail(batch, Unavailable("This process ends."))
            raise
        except FAILURES as error:
            self._pause_appends()
            self._fail([*batch, *self._take_waiting()], translate_error(error))
            return
        self._pause = FIRST_PAUSE
        for append, answer in zip(batch, answers, strict=True):
            self._finish_append(append, answer)

    async def _send_batch(self, batch: Sequence[Append]) -> list[Any]:
        """An answer or an error for each. The connection broke: what was sent may have been done."""
        if not self._script:
            self._script = await self._client.script_load(_APPEND)
        answers = await self._run_script(batch)
        if isinstance(answers[0], NoScriptError):
            self._script = await self._client.script_load(_APPEND)
            answers = await self._run_script(batch)
        return answers

    async def _run_script(self, batch: Sequence[Append]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for one in batch:
                key, channel = self._key_of(one.topic), self._signals.channel_of(one.topic)
                arguments: Sequence[Any] = [key, channel, one.after, self._signals.origin, *one.events]
                pipeline.evalsha(self._script, 2, *arguments)
            return await pipeline.execute(raise_on_error=False)

    def _finish_append(self, append: Append, answer: Any) -> None:
        if isinstance(answer, Exception):
            append.finish(translate_error(answer))
        elif answer >= 0:
            append.finish(make_append_refusal(append, answer))
        else:
            append.finish(None)
            self._signals.notify_local(append.topic, append.after + len(append.events))

    def _fail(self, appends: Sequence[Append], error: Exception) -> None:
        for append in appends:
            append.finish(error)

    def _pause_appends(self) -> None:
        """For a moment nothing is tried: who writes a reply must not wait for each of its words."""
        self._away_until = asyncio.get_running_loop().time() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _key_of(self, topic: str) -> str:
        return self._prefix + topic


def _position_of(entry_id: bytes) -> int:
    return int(entry_id.partition(b"-")[0])


def _make_batch(entries: Sequence[tuple[bytes, dict[bytes, bytes]]], after: int) -> Batch:
    """Up to a leap."""
    first, events = after + 1, list[bytes]()
    for entry_id, fields in entries:
        position = _position_of(entry_id)
        if not events:
            first = position
        elif position != first + len(events):
            break
        events.append(fields[b"e"])
    return Batch(first, events)
