"""The promises of a queue between processes, and of the end at which jobs arrive, over every adapter."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
import pytest

from nexus.adapters.redis.jobs import ArqJobs, ArqReceiver, read_queue_depth
from nexus.adapters.sqs.jobs import SqsJobs, SqsReceiver
from nexus.adapters.sqs.queues import provision_queues, read_queue_depths
from nexus.domain.builds.model import RunBuild
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.jobs import Deliver, JobQueue, JobReceiver, QueueDepth
from tests.contracts.conftest import ELASTICMQ, PEER, find_sqs_url
from tests.contracts.sqs_server import name_queues, sqs_client

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq closes so

HasRoom = Callable[[], bool]


class Transport(NamedTuple):
    """A queue, and what makes a receiver of it for a process with so much room."""

    jobs: JobQueue
    make_receiver: Callable[[HasRoom], Any]
    read_depth: Callable[[], Awaitable[QueueDepth]]

    @asynccontextmanager
    async def receive(self, deliver: Deliver, has_room: HasRoom = lambda: True) -> AsyncIterator[None]:
        receiver: JobReceiver = self.make_receiver(has_room)
        running = asyncio.ensure_future(receiver.run(deliver))
        try:
            async with asyncio.timeout(60):
                yield
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            if isinstance(receiver, SqsReceiver):
                await receiver.close()


ARQ = pytest.param("arq", marks=PEER)


@pytest.fixture(params=[ARQ, "sqs", ELASTICMQ])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    async with AsyncExitStack() as stack:
        if request.param == "arq":
            url, name = request.getfixturevalue("redis_server").url, f"t{uuid4().hex[:8]}"
            arq = ArqJobs(url, queue_name=name)
            stack.push_async_callback(arq.close)
            yield Transport(
                arq,
                lambda has_room: ArqReceiver(url, queue_name=name, has_room=has_room),
                lambda: read_queue_depth(url, queue_name=name),
            )
            return
        client, queue = (
            await stack.enter_async_context(sqs_client(find_sqs_url(request))),
            name_queues()[0],
        )
        await provision_queues(client, [queue])
        sqs = SqsJobs(client, queue=queue)
        stack.push_async_callback(sqs.close)

        async def read_depth() -> QueueDepth:
            return (await read_queue_depths(client, [queue]))[0]

        yield Transport(sqs, lambda room: SqsReceiver(client, queue=queue, has_room=room, poll_seconds=0), read_depth)


@pytest.fixture(params=["arq", "sqs"])
async def nobody(request: pytest.FixtureRequest) -> AsyncIterator[JobQueue]:
    """A queue whose server is away."""
    if request.param == "arq":
        yield ArqJobs("redis://127.0.0.1:1/0", queue_name="none")
        return
    async with sqs_client("http://127.0.0.1:1") as client:
        yield SqsJobs(client, queue=name_queues()[0])


class Desk:
    """Where jobs arrive, and how many it has a place for."""

    def __init__(self, places: int = 100) -> None:
        self.came, self.places = asyncio.Queue[tuple[bytes, str, int, str]](), places

    def has_room(self) -> bool:
        return self.came.qsize() < self.places

    async def deliver(self, body: bytes, key: str, priority: int, group: str) -> None:
        self.came.put_nowait((body, key, priority, group))


async def test_a_job_arrives_as_it_was_sent(transport: Transport) -> None:
    sent = RunBuild(task_id="tsk_é")
    assert await transport.jobs.enqueue_job(sent, key="k", priority=5, group="tenant-1") is None
    async with transport.receive((desk := Desk()).deliver):
        body, *others = await desk.came.get()
    assert (msgspec.json.decode(body, type=RunBuild), others) == (sent, ["k", 5, "tenant-1"])


async def test_every_job_is_delivered_once_to_one_of_two_processes(transport: Transport) -> None:
    names, desk = {f"{number:02}" for number in range(12)}, Desk()
    await asyncio.gather(*(transport.jobs.enqueue_job(RunBuild(task_id=name), key=name) for name in names))
    async with transport.receive(desk.deliver), transport.receive(desk.deliver):
        came = [(await desk.came.get())[1] for _ in names]
    assert sorted(came) == sorted(names) and desk.came.empty()


async def test_nothing_is_delivered_where_there_is_no_room(transport: Transport) -> None:
    for name in ("a", "b", "c"):
        await transport.jobs.enqueue_job(RunBuild(task_id=name), key=name)
    full, free = Desk(places=1), Desk()
    async with transport.receive(full.deliver, full.has_room):
        await full.came.get()
        await full.came.get()
        full.places = 0
        async with transport.receive(free.deliver, free.has_room):
            await free.came.get()
    assert (full.came.qsize(), free.came.qsize()) == (0, 0)


async def test_what_cannot_be_delivered_keeps_no_other_from_it(transport: Transport) -> None:
    for name in ("bad", "good"):
        await transport.jobs.enqueue_job(RunBuild(task_id=name), key=name)
    desk = Desk()

    async def deliver(body: bytes, key: str, priority: int, group: str) -> None:
        if key == "bad":
            raise RuntimeError(key)
        await desk.deliver(body, key, priority, group)

    async with transport.receive(deliver):
        assert (await desk.came.get())[1] == "good"


async def test_what_waits_is_counted(transport: Transport) -> None:
    for name in ("a", "b"):
        await transport.jobs.enqueue_job(RunBuild(task_id=name), key=name)
    assert (await transport.read_depth()).waiting == 2


async def test_a_queue_that_is_away_is_unavailable(nobody: JobQueue) -> None:
    with pytest.raises(Unavailable):
        await nobody.enqueue_job(RunBuild(task_id="a"), key="a")
