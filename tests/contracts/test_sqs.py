"""Jobs through SQS: what arrives, what comes again, and what is lost never."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace
from structlog.testing import capture_logs

from nexus.adapters.sqs.batches import LONGEST_PAUSE, Backoff
from nexus.adapters.sqs.jobs import SqsJobs, SqsReceiver
from nexus.adapters.sqs.queues import Queue, provision_queues
from nexus.domain.builds.model import RunBuild
from nexus.domain.core.errors import Unavailable
from tests.contracts.conftest import ELASTICMQ
from tests.contracts.sqs_server import (
    AS_ON_AWS,
    NO_QUEUE,
    Call,
    Changed,
    fail_one_entry,
    name_queues,
    read_depth,
    send,
    sqs_client,
)
from tests.peers.servers import PeerServer, build_elasticmq_command, build_moto_command, run_peer


class Desk:
    """Where jobs arrive. A job whose key is refused raises."""

    def __init__(self, *refused: str) -> None:
        self.came = asyncio.Queue[tuple[bytes, str, int, str]]()
        self.refused = set(refused)

    async def deliver(self, body: bytes, key: str, priority: int, group: str) -> None:
        self.came.put_nowait((body, key, priority, group))
        if key in self.refused:
            raise RuntimeError(key)

    async def keys(self, number: int) -> list[str]:
        return sorted([(await self.came.get())[1] for _ in range(number)])


@asynccontextmanager
async def receive(
    client: Any, queue: Queue, desk: Desk, *, has_room: Callable[[], int] = lambda: 10, poll_seconds: int = 0
) -> AsyncIterator[SqsReceiver]:
    """A receiver that runs until the block ends, and has nothing under way then."""
    receiver = SqsReceiver(client, queue=queue, has_room=has_room, poll_seconds=poll_seconds)
    running = asyncio.ensure_future(receiver.run(desk.deliver))
    try:
        async with asyncio.timeout(60):
            yield receiver
    finally:
        assert not running.done(), "it ended by itself"
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await receiver.close()


async def wait_for_depth(client: Any, queue: Queue, *expected: int) -> None:
    async with asyncio.timeout(30):
        while await read_depth(client, queue) != expected:
            await asyncio.sleep(0.01)


@pytest.fixture
async def client(sqs_url: str) -> AsyncIterator[Any]:
    async with sqs_client(sqs_url) as client:
        yield client


@pytest.fixture
async def queue(client: Any) -> Queue:
    queue = name_queues()[0]
    await provision_queues(client, [queue])
    return queue


@pytest.fixture
async def jobs(client: Any, queue: Queue) -> AsyncIterator[SqsJobs]:
    jobs = SqsJobs(client, queue=queue)
    yield jobs
    await jobs.close()


@pytest.fixture(params=["moto", ELASTICMQ])
def server(request: pytest.FixtureRequest) -> Iterator[PeerServer]:
    """One that answers others while one polls, and that a test may kill."""
    with run_peer(build_elasticmq_command if request.param == "elasticmq" else build_moto_command) as server:
        yield server


async def test_a_job_arrives_as_it_was_sent_and_leaves_nothing_behind(client: Any, queue: Queue, jobs: SqsJobs) -> None:
    desk = Desk()
    await jobs.enqueue_job(RunBuild(task_id="é1"), key="k\n1", priority=5, group="tenant-1")
    async with receive(client, queue, desk):
        body, *others = await desk.came.get()
    assert (msgspec.json.decode(body, type=RunBuild), others) == (RunBuild(task_id="é1"), ["k\n1", 5, "tenant-1"])
    assert await read_depth(client, queue) == (0, 0, 0)


async def test_what_is_sent_at_once_goes_out_together_up_to_ten(client: Any, queue: Queue) -> None:
    jobs, names = SqsJobs(counted := Changed(client), queue=queue), [f"{number:02}" for number in range(23)]
    await send(jobs, *names)
    sizes = [len(request["Entries"]) for name, request in counted.calls if name == "send_message_batch"]
    assert sorted(sizes) == [3, 10, 10]
    async with receive(client, queue, desk := Desk()):
        assert await desk.keys(23) == names
    assert await read_depth(client, queue) == (0, 0, 0)


@AS_ON_AWS
async def test_the_group_is_that_of_the_message_where_it_can_be_one(client: Any, queue: Queue, jobs: SqsJobs) -> None:
    for group in ("tenant-1", "", "two words", "x" * 129):
        await jobs.enqueue_job(RunBuild(task_id="1"), key="1", group=group)
    url = (await client.get_queue_url(QueueName=queue.name))["QueueUrl"]
    answer = await client.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["MessageGroupId"]
    )
    groups = [one.get("Attributes", {}).get("MessageGroupId") for one in answer["Messages"]]
    assert sorted(groups, key=str) == [None, None, None, "tenant-1"]


@pytest.mark.parametrize("whole", [True, False], ids=["the request", "each entry"])
async def test_a_server_that_refuses_groups_gets_none_from_then_on(client: Any, queue: Queue, whole: bool) -> None:
    def refuse_groups(call: Call) -> Call:
        async def refuse(**request: Any) -> Any:
            refused = [one for one in request["Entries"] if "MessageGroupId" in one]
            if refused and whole:
                raise ClientError({"Error": {"Code": "InvalidParameterValue"}}, "SendMessageBatch")
            others = [one for one in request["Entries"] if one not in refused]
            answer = await call(**{**request, "Entries": others}) if others else {}
            return {**answer, "Failed": [{"Id": one["Id"], "Code": "InvalidParameterValue"} for one in refused]}

        return refuse

    jobs = SqsJobs(changed := Changed(client, send_message_batch=refuse_groups), queue=queue)
    for name, requests in [("a", 2), ("b", 3)]:
        await jobs.enqueue_job(RunBuild(task_id=name), key=name, group="tenant-1")
        assert changed.count("send_message_batch") == requests
    assert await read_depth(client, queue) == (2, 0, 0)


async def test_of_jobs_sent_together_only_the_one_that_fails_is_unavailable(client: Any, queue: Queue) -> None:
    jobs = SqsJobs(Changed(client, send_message_batch=fail_one_entry(1)), queue=queue)
    sends = [jobs.enqueue_job(RunBuild(task_id=name), key=name) for name in ("a", "b", "c")]
    first, *others = await asyncio.gather(*sends, return_exceptions=True)
    assert isinstance(first, Unavailable)
    assert "InternalError" in first.detail
    assert others == [None, None]
    async with receive(client, queue, desk := Desk()):
        assert await desk.keys(2) == ["b", "c"]


async def test_who_no_longer_waits_for_a_send_spoils_no_other(client: Any, queue: Queue, jobs: SqsJobs) -> None:
    one, other = (asyncio.ensure_future(jobs.enqueue_job(RunBuild(task_id=name), key=name)) for name in ("a", "b"))
    await asyncio.sleep(0)
    one.cancel()
    await other
    assert one.cancelled()
    async with receive(client, queue, desk := Desk()):
        assert await desk.keys(2) == ["a", "b"]


async def test_a_missing_queue_is_unavailable(client: Any) -> None:
    with pytest.raises(Unavailable, match=NO_QUEUE):
        await send(SqsJobs(client, queue=name_queues()[0]), "a")


async def test_an_entry_that_is_not_deleted_is_tried_again_and_no_other(
    client: Any, queue: Queue, jobs: SqsJobs
) -> None:
    changed = Changed(client, delete_message_batch=fail_one_entry(1))
    await send(jobs, "a", "b", "c")
    async with receive(changed, queue, desk := Desk()):
        assert await desk.keys(3) == ["a", "b", "c"]
    deleted = [len(request["Entries"]) for name, request in changed.calls if name == "delete_message_batch"]
    assert (sum(deleted), deleted[-1]) == (4, 1)
    assert await read_depth(client, queue) == (0, 0, 0)


async def test_what_cannot_be_deleted_is_said_once_and_comes_again(client: Any, queue: Queue, jobs: SqsJobs) -> None:
    await send(jobs, "a")
    with capture_logs() as logs:
        async with receive(Changed(client, delete_message_batch=fail_one_entry(3)), queue, desk := Desk()):
            assert await desk.keys(1) == ["a"]
    assert [(one["event"], one["reason"]) for one in logs] == [("queue.not_deleted", "InternalError")]
    assert await read_depth(client, queue) == (0, 1, 0)


POISON = [
    "no json",
    '{"key": "a"}',
    '{"job": {}, "key": 7}',
    '{"job": ' + "[" * 60_000 + "]" * 60_000 + ', "key": "a"}',
]


@pytest.mark.parametrize("poison", POISON, ids=["no json", "no job", "a wrong key", "too deep"])
async def test_what_cannot_be_read_is_a_dead_letter_with_its_reason(
    client: Any, queue: Queue, jobs: SqsJobs, poison: str
) -> None:
    urls = [(await client.get_queue_url(QueueName=name))["QueueUrl"] for name in (queue.name, queue.dead_letters)]
    await client.send_message(QueueUrl=urls[0], MessageBody=poison)
    await send(jobs, "good")
    async with receive(client, queue, desk := Desk()):
        assert await desk.keys(1) == ["good"]
        await wait_for_depth(client, queue, 0, 0, 1)
    assert desk.came.empty()
    [letter] = (await client.receive_message(QueueUrl=urls[1], MessageAttributeNames=["All"]))["Messages"]
    assert letter["Body"] == poison
    assert letter["MessageAttributes"]["reason"]["StringValue"]


async def test_a_job_of_a_kind_that_the_process_does_not_know_is_a_dead_letter(
    client: Any, queue: Queue, jobs: SqsJobs
) -> None:
    async def refuse(body: bytes, key: str, priority: int, group: str) -> None:
        raise msgspec.ValidationError("no such job")

    receiver = SqsReceiver(client, queue=queue, has_room=lambda: 10, poll_seconds=0)
    await send(jobs, "a")
    running = asyncio.ensure_future(receiver.run(refuse))
    await wait_for_depth(client, queue, 0, 0, 1)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await receiver.close()


async def test_what_cannot_be_read_stays_when_it_cannot_be_sent_on(client: Any, queue: Queue) -> None:
    url = (await client.get_queue_url(QueueName=queue.name))["QueueUrl"]
    await client.send_message(QueueUrl=url, MessageBody="no json")
    tried = asyncio.Event()

    def refuse(call: Call) -> Call:
        async def fail(**request: Any) -> Any:
            tried.set()
            raise ClientError({"Error": {"Code": "InternalError"}}, "SendMessage")

        return fail

    async with receive(Changed(client, send_message=refuse), queue, Desk()):
        await tried.wait()
    assert await read_depth(client, queue) == (0, 1, 0)


async def test_a_job_that_is_not_delivered_comes_again_and_is_a_dead_letter_after_three_times(
    client: Any, queue: Queue, jobs: SqsJobs
) -> None:
    await provision_queues(client, [queue := replace(queue, visibility=0)])
    await send(jobs, "bad")
    async with receive(client, queue, desk := Desk("bad")):
        assert await desk.keys(3) == ["bad"] * 3
        await wait_for_depth(client, queue, 0, 0, 1)
    assert desk.came.empty()


async def test_a_job_that_is_not_delivered_stays_and_the_others_are_delivered(
    client: Any, queue: Queue, jobs: SqsJobs
) -> None:
    await send(jobs, "a", "bad", "c")
    async with receive(client, queue, desk := Desk("bad")):
        assert await desk.keys(3) == ["a", "bad", "c"]
    assert await read_depth(client, queue) == (0, 1, 0)


async def test_no_more_is_asked_for_than_there_is_room(client: Any, queue: Queue, jobs: SqsJobs) -> None:
    await send(jobs, "a", "b", "c", "d")
    desk, most = Desk(), 3
    counted = Changed(client)
    async with receive(counted, queue, desk, has_room=lambda: most - desk.came.qsize()):
        async with asyncio.timeout(30):
            while desk.came.qsize() < 3:
                await asyncio.sleep(0.001)
        before = counted.count("receive_message")
        await wait_for_depth(client, queue, 1, 0, 0)
        assert counted.count("receive_message") == before
        assert await desk.keys(4) == ["a", "b", "c", "d"]
    asked = [request["MaxNumberOfMessages"] for name, request in counted.calls if name == "receive_message"]
    assert max(asked) <= 3


async def test_a_stop_while_a_job_is_delivered_gives_it_and_what_waits_behind_it_back(
    client: Any, queue: Queue, jobs: SqsJobs
) -> None:
    await send(jobs, "a", "b", "c")
    reached = asyncio.Queue[str]()

    async def deliver(body: bytes, key: str, priority: int, group: str) -> None:
        reached.put_nowait(key)
        if reached.qsize() == 2:
            await asyncio.Event().wait()

    receiver = SqsReceiver(client, queue=queue, has_room=lambda: 10, poll_seconds=0)
    running = asyncio.ensure_future(receiver.run(deliver))
    async with asyncio.timeout(30):
        while reached.qsize() < 2:
            await asyncio.sleep(0.001)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await receiver.close()
    assert await read_depth(client, queue) == (2, 0, 0)


async def test_a_stop_in_a_long_poll_is_immediate_and_loses_nothing(server: PeerServer) -> None:
    [queue, *_] = name_queues()
    async with sqs_client(server.url) as client:
        await provision_queues(client, [queue])
        polling, late = Changed(client), Desk()
        receiver = SqsReceiver(polling, queue=queue, has_room=lambda: 1)
        running = asyncio.ensure_future(receiver.run(late.deliver))
        async with asyncio.timeout(60):
            while not polling.count("receive_message"):
                await asyncio.sleep(0.001)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            await send(SqsJobs(client, queue=queue), "a")
            await receiver.close()
        assert await read_depth(client, queue) == (1, 0, 0)
        assert (polling.count("receive_message"), polling.count("change_message_visibility_batch")) == (1, 1)
        async with receive(client, queue, desk := Desk()):
            assert await desk.keys(1) == ["a"]
        assert late.came.empty()


async def test_a_server_that_was_away_is_asked_again_and_each_failure_is_one_line(server: PeerServer) -> None:
    [queue, *_] = name_queues()
    async with sqs_client(server.url) as client:
        await provision_queues(client, [queue])
        jobs, asked = SqsJobs(client, queue=queue), Changed(client)
        with capture_logs() as logs:
            async with receive(asked, queue, desk := Desk()):
                await send(jobs, "before")
                assert await desk.keys(1) == ["before"]
                server.kill()
                with pytest.raises(Unavailable):
                    await send(jobs, "lost")
                while len([one for one in logs if one["event"] == "queue.not_received"]) < 3:
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(server.start)
                await provision_queues(client, [queue])
                await send(jobs, "after")
                assert await desk.keys(1) == ["after"]
        assert {one["event"] for one in logs} <= {"queue.not_received", "queue.not_deleted"}
        assert len(logs) < asked.count("receive_message")


async def test_a_receiver_survives_an_error_of_its_own(client: Any, queue: Queue, jobs: SqsJobs) -> None:
    broken = iter([True])

    def break_once(call: Call) -> Call:
        async def receive_message(**request: Any) -> Any:
            if next(broken, False):
                raise KeyError("odd")
            return await call(**request)

        return receive_message

    await send(jobs, "a")
    with capture_logs() as logs:
        async with receive(Changed(client, receive_message=break_once), queue, desk := Desk()):
            assert await desk.keys(1) == ["a"]
    assert [one["event"] for one in logs] == ["queue.crashed"]


def test_pauses_grow_up_to_the_longest_and_begin_anew() -> None:
    backoff = Backoff()
    pauses = [backoff.next_pause() for _ in range(8)]
    assert pauses == sorted(pauses)
    assert (pauses[0] < 0.2, pauses[1] > pauses[0], pauses[-2:]) == (True, True, [LONGEST_PAUSE] * 2)
    backoff.reset()
    assert backoff.next_pause() == pauses[0]
