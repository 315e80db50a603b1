"""What carries jobs between processes, and tells others: nothing where one does everything, arq in Redis, or SQS."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

from nexus.composition.backends import Backends, describe_missing_parts
from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.jobs import JobQueue, JobReceiver, QueueDepth
from nexus.domain.ports.notifications import Notifier
from nexus.jobs.lanes import Lanes
from nexus.settings import Settings

QUEUE_NAME = "nexus:background"


async def open_queue(backends: Backends) -> JobQueue | None:
    """None where all jobs run in the process that makes them. InvalidInput names the queues that SQS lacks."""
    settings = backends.settings
    if settings.queue.backend == "inprocess":
        return None
    if settings.queue.backend == "sqs":
        return await _open_sqs_jobs(backends)
    from nexus.adapters.redis.jobs import ArqJobs

    jobs = ArqJobs(settings.redis.url, queue_name=QUEUE_NAME)
    backends.stack.push_async_callback(jobs.close)
    return jobs


async def _open_sqs_jobs(backends: Backends) -> JobQueue:
    from nexus.adapters.sqs.jobs import SqsJobs
    from nexus.adapters.sqs.queues import find_missing_queues, make_queue_set

    client, queues = await backends.open_sqs(), make_queue_set(backends.settings.queue.prefix)
    if missing := await find_missing_queues(client, queues):
        raise InvalidInput(describe_missing_parts("SQS", missing))
    jobs = SqsJobs(client, queue=queues.build)
    backends.stack.push_async_callback(jobs.close)
    return jobs


async def open_receiver(backends: Backends, lanes: Lanes) -> JobReceiver | None:
    settings, has_room = backends.settings, partial(lanes.has_room, "background")
    if settings.queue.backend == "inprocess":
        return None
    if settings.queue.backend == "sqs":
        from nexus.adapters.sqs.jobs import SqsReceiver
        from nexus.adapters.sqs.queues import make_queue_set

        queue = make_queue_set(settings.queue.prefix).build
        receiver = SqsReceiver(await backends.open_sqs(), queue=queue, has_room=has_room)
        backends.stack.push_async_callback(receiver.close)
        return receiver
    from nexus.adapters.redis.jobs import ArqReceiver

    return ArqReceiver(settings.redis.url, queue_name=QUEUE_NAME, has_room=has_room)


async def open_notifier(backends: Backends) -> Notifier:
    """Other systems are told through SQS, or not at all."""
    if backends.settings.queue.backend != "sqs":
        from nexus.adapters.memory.notifications import SilentNotifier

        return SilentNotifier()
    from nexus.adapters.sqs.notifications import SqsNotifier
    from nexus.adapters.sqs.queues import make_queue_set

    queue = make_queue_set(backends.settings.queue.prefix).notification
    notifier = SqsNotifier(await backends.open_sqs(), queue=queue)
    backends.stack.push_async_callback(notifier.close)
    return notifier


async def read_queue_depths(settings: Settings, stack: AsyncExitStack) -> Sequence[QueueDepth]:
    """What lies in each queue; nothing where there is none between processes."""
    if settings.queue.backend == "inprocess":
        return []
    if settings.queue.backend == "sqs":
        from nexus.adapters.sqs.queues import make_queue_set
        from nexus.adapters.sqs.queues import read_queue_depths as read_sqs_depths

        client = await Backends(settings, stack).open_sqs()
        return await read_sqs_depths(client, make_queue_set(settings.queue.prefix))
    from nexus.adapters.redis.jobs import read_queue_depth

    return [await read_queue_depth(settings.redis.url, queue_name=QUEUE_NAME)]
