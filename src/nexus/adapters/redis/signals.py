"""Signals between processes by publish and subscribe: one connection to listen, fan-out in the process."""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

import structlog
from redis.asyncio import Redis
from redis.asyncio.connection import Connection

from nexus.adapters.redis.connections import FAILURES, Backoff, stop_task
from nexus.domain.ports.signals import Signals

MOST_UNSENT = 10_000
"""Signals that wait for the connection; more are lost, as all are while Redis is away."""
SILENCE_SECONDS = 5.0
"""How long the listening connection may be silent before it is asked whether it lives."""

logger = structlog.get_logger()


class RedisSignals:
    """Listeners of this process are woken at once, by `local`, those of others through Redis. What is signalled while Redis is away is lost for them."""

    def __init__(self, client: Redis, local: Signals, *, prefix: str) -> None:
        self._client, self._prefix = client, f"{prefix}signal:"
        self._local, self.origin = local, secrets.token_hex(4)
        self._unsent = deque[tuple[str, int]](maxlen=MOST_UNSENT)
        self._has_unsent, self._has_changes = asyncio.Event(), asyncio.Event()
        self._wanted = dict[str, list[Callable[[], None] | None]]()
        self._subscribed = set[str]()
        self._tasks = list[asyncio.Task[None]]()

    def open(self) -> None:
        self._tasks = [asyncio.ensure_future(self._publish_forever()), asyncio.ensure_future(self._listen_forever())]

    async def close(self) -> None:
        for task in self._tasks:
            await stop_task(task)

    def notify_listeners(self, key: str, position: int = 0) -> None:
        self._local.notify_listeners(key, position)
        self._unsent.append((key, position))
        self._has_unsent.set()

    def notify_local(self, key: str, position: int) -> None:
        """Wakes the listeners of this process alone: the others were told by who committed it."""
        self._local.notify_listeners(key, position)

    def add_listener(
        self, key: str, wake: Callable[[int], None], *, on_subscribed: Callable[[], None] | None = None
    ) -> Callable[[], None]:
        """As the port says. `on_subscribed` is called each time that signals of others come from now on: what was signalled before that
        may have been missed."""
        stop_local = self._local.add_listener(key, wake)
        listeners = self._wanted.setdefault(key, [])
        listeners.append(on_subscribed)
        if on_subscribed and key in self._subscribed:
            on_subscribed()
        self._has_changes.set()

        def stop() -> None:
            stop_local()
            with suppress(ValueError):
                listeners.remove(on_subscribed)
            if not listeners and self._wanted.get(key) is listeners:
                del self._wanted[key]
                self._has_changes.set()

        return _call_once(stop)

    def encode_signal(self, position: int) -> str:
        """What is published: the origin, so that a process skips its own signals, and the position."""
        return f"{self.origin} {position}"

    def channel_of(self, key: str) -> str:
        return self._prefix + key

    async def _publish_forever(self) -> None:
        while True:
            await self._has_unsent.wait()
            self._has_unsent.clear()
            batch = [self._unsent.popleft() for _ in range(len(self._unsent))]
            async with self._client.pipeline(transaction=False) as pipeline:
                for key, position in batch:
                    pipeline.publish(self.channel_of(key), self.encode_signal(position))
                try:
                    await pipeline.execute()
                except FAILURES as error:
                    logger.warning("signals.not_published", count=len(batch), reason=str(error))

    async def _listen_forever(self) -> None:
        backoff = Backoff()
        while True:
            connection: Connection = self._client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # redis
            try:
                await connection.connect()  # type: ignore[no-untyped-call]  # redis
                backoff.reset()
                await self._receive_messages(connection)
            except FAILURES as error:
                logger.warning("signals.not_subscribed", reason=str(error))
            except Exception:
                logger.exception("signals.crashed")
            finally:
                self._subscribed.clear()
                await connection.disconnect(nowait=True)
            await backoff.sleep()

    async def _receive_messages(self, connection: Connection) -> None:
        """Until the connection breaks."""
        sending = asyncio.ensure_future(self._send_changes(connection))
        try:
            while not sending.done():
                message = await connection.read_response(disable_decoding=True, timeout=2 * SILENCE_SECONDS)
                if message is None:
                    raise ConnectionError("it is silent")
                self._handle_message(message)
            sending.result()
        finally:
            await stop_task(sending)

    async def _send_changes(self, connection: Connection) -> None:
        """Subscribes to what is wanted, and asks for a sign of life in between."""
        asked = set[str]()
        while True:
            self._has_changes.clear()
            wanted = set(self._wanted)
            for command, keys in (("SUBSCRIBE", wanted - asked), ("UNSUBSCRIBE", asked - wanted)):
                if keys:
                    await connection.send_command(command, *self._channels_of(keys))
            self._subscribed -= asked - wanted
            asked = wanted
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    await self._has_changes.wait()
            except TimeoutError:
                await connection.send_command("PING")

    def _channels_of(self, keys: Iterable[str]) -> list[str]:
        return [self.channel_of(key) for key in sorted(keys)]

    def _handle_message(self, message: object) -> None:
        """A list in which bytes come first and second; where nothing is subscribed, the answer to a ping is no list."""
        if not isinstance(message, list) or not isinstance(message[1], bytes):
            return
        kind, channel = message[0], message[1].decode()
        key = channel.removeprefix(self._prefix)
        if kind == b"subscribe":
            self._subscribed.add(key)
            for on_subscribed in tuple(self._wanted.get(key, ())):
                if on_subscribed:
                    on_subscribed()
        elif kind == b"message":
            origin, _, position = message[2].decode().partition(" ")
            if origin != self.origin:
                self._local.notify_listeners(key, int(position))


def _call_once(act: Callable[[], None]) -> Callable[[], None]:
    is_called = False

    def call() -> None:
        nonlocal is_called
        if not is_called:
            is_called = True
            act()

    return call
