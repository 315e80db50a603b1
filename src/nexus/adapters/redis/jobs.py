"""Background jobs between processes by arq. It carries hints: what it loses or repeats, the rows and the sweeper put right.

A job is over for arq once it was delivered to a process with a place for it: arq neither times, retries nor aborts the work itself."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec
import structlog
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.worker import Worker, func

from nexus.adapters.redis.connections import CONNECT_SECONDS, FAILURES, Backoff, stop_task, translate_error
from nexus.domain.ports.jobs import Deliver, Job, QueueDepth

if TYPE_CHECKING:
    from arq.typing import WorkerCoroutine

DELIVER = "deliver_job"
POLL_SECONDS = 0.1
DELIVER_SECONDS = 60
KEPT = timedelta(hours=1)
"""How long a hint waits: by then the sweeper has offered its row many times."""
ROOM_SECONDS = 0.05
"""How often it is looked whether there is a place for one more job."""

logger = structlog.get_logger()
_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode


class ArqJobs:
    """Sends jobs. The pool is opened with the first one, and anew after it broke."""

    def __init__(self, url: str, *, queue_name: str) -> None:
        self._settings, self._queue_name = _make_settings(url), queue_name
        self._pool: ArqRedis | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        if self._pool:
            await self._pool.aclose()

    async def enqueue_job(self, job: Job, *, key: str, priority: int = 3, group: str = "") -> int | None:
        """As the port says; Unavailable while Redis is away. Of what waits, the more urgent comes first."""
        body = msgspec.json.encode(job)
        try:
            pool = await self._open_pool()
            await pool.enqueue_job(
                DELIVER,
                body,
                key,
                priority,
                group,
                _queue_name=self._queue_name,
                _defer_until=_order_by_priority(priority),
                _expires=KEPT,
            )
        except FAILURES as error:
            raise translate_error(error) from error
        return None

    async def _open_pool(self) -> ArqRedis:
        async with self._opening:
            if self._pool is None:
                self._pool = await create_pool(self._settings, job_serializer=_encode, job_deserializer=_decode)
            return self._pool


def _order_by_priority(priority: int) -> datetime:
    """arq takes what was due first: what is more urgent was due an hour earlier for each step."""
    return datetime.now(UTC) - timedelta(hours=priority)


class ArqReceiver:
    """An arq worker in the loop of this process, begun anew whenever it ends: after a restart of Redis, or an error of its own."""

    def __init__(self, url: str, *, queue_name: str, has_room: Callable[[], bool]) -> None:
        self._settings, self._queue_name, self._has_room = _make_settings(url), queue_name, has_room

    async def run(self, deliver: Deliver) -> None:
        """For ever. `deliver` takes a job over into this process; when it raises, the sweeper finds the row."""
        backoff = Backoff()
        while True:
            worker = self._make_worker(deliver)
            gate = asyncio.ensure_future(self._open_while_room(worker, backoff))
            try:
                await worker.async_run()
            except FAILURES as error:
                logger.warning("queue.not_received", reason=str(error))
            except Exception:
                logger.exception("queue.crashed")
            finally:
                await stop_task(gate)
                await _close_worker(worker)
            await backoff.sleep()

    def _make_worker(self, deliver: Deliver) -> Worker:
        async def deliver_job(context: dict[Any, Any], body: bytes, key: str, priority: int, group: str) -> None:
            await deliver(body, key, priority, group)

        return Worker(
            [
                func(
                    cast("WorkerCoroutine", deliver_job),
                    name=DELIVER,
                    keep_result=0,
                    timeout=DELIVER_SECONDS,
                    max_tries=1,
                )
            ],
            queue_name=self._queue_name,
            redis_settings=self._settings,
            handle_signals=False,
            retry_jobs=False,
            poll_delay=POLL_SECONDS,
            queue_read_limit=1,
            job_serializer=_encode,
            job_deserializer=_decode,
            log_results=False,
        )

    async def _open_while_room(self, worker: Worker, backoff: Backoff) -> None:
        while True:
            worker.allow_pick_jobs = self._has_room()
            await asyncio.sleep(ROOM_SECONDS)
            if worker._pool is not None:
                backoff.reset()


async def _close_worker(worker: Worker) -> None:
    """A delivery that is cut is over before: arq would leave its connections open."""
    for delivery in (deliveries := [*worker.tasks.values()]):
        delivery.cancel()
    await asyncio.gather(*deliveries, return_exceptions=True)
    worker.tasks.clear()
    try:
        await worker.close()
    except FAILURES as error:
        logger.info("queue.not_closed", reason=str(error))


async def read_queue_depth(url: str, *, queue_name: str) -> QueueDepth:
    """arq deletes what it delivered, and has no dead letters. Unavailable while Redis is away."""
    try:
        pool = await create_pool(_make_settings(url), default_queue_name=queue_name)
        try:
            return QueueDepth(name=queue_name, waiting=await pool.zcard(queue_name))
        finally:
            await pool.aclose()
    except FAILURES as error:
        raise translate_error(error) from error


def _make_settings(url: str) -> RedisSettings:
    """One attempt at a time: who waits for it decides about the next one."""
    settings = RedisSettings.from_dsn(url)
    settings.conn_timeout, settings.conn_retries = int(CONNECT_SECONDS), 0
    return settings
