"""The queues in SQS: how they are made, what is told of them, and how dead letters come back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError
from structlog.testing import capture_logs

from nexus.adapters.sqs.jobs import SqsJobs
from nexus.adapters.sqs.queues import (
    QUEUES,
    Queue,
    delete_all_messages,
    find_missing_queues,
    provision_queues,
    read_queue_depths,
)
from nexus.adapters.sqs.redrive import redrive_dead_letters
from nexus.domain.core.errors import NotFound, Unavailable
from tests.contracts.sqs_server import AS_ON_AWS, NO_QUEUE, Call, Changed, name_queues, read_depth, send, sqs_client


@pytest.fixture
async def client(sqs_url: str) -> AsyncIterator[Any]:
    async with sqs_client(sqs_url) as client:
        yield client


@pytest.fixture
async def queue(client: Any) -> Queue:
    queue = name_queues()[0]
    await provision_queues(client, [queue])
    return queue


async def test_provisioning_makes_the_queues_as_declared_and_a_second_time_nothing(client: Any) -> None:
    queues = name_queues()
    names = [name for one in queues for name in (one.dead_letters, one.name)]
    assert await provision_queues(client, queues) == names
    assert await provision_queues(client, queues) == []
    days = {"build": (3600, 7), "deploy": (600, 3), "notification": (300, 4)}
    for one, (visibility, kept) in zip(queues, days.values(), strict=True):
        there, dead = [await read_attributes(client, name) for name in (one.name, one.dead_letters)]
        assert there["VisibilityTimeout"] == str(visibility)
        assert there["ReceiveMessageWaitTimeSeconds"] == "20"
        policy = msgspec.json.decode(there["RedrivePolicy"])
        assert (policy["deadLetterTargetArn"], int(policy["maxReceiveCount"])) == (dead["QueueArn"], 3)
        if "MessageRetentionPeriod" in there:  # ElasticMQ tells none
            periods = there["MessageRetentionPeriod"], dead["MessageRetentionPeriod"]
            assert periods == (str(kept * 86400), str(14 * 86400))


def test_the_queues_have_the_names_that_are_agreed() -> None:
    assert [(one.name, one.dead_letters) for one in QUEUES] == [
        ("nexus-build-queue", "nexus-build-dlq"),
        ("nexus-deploy-queue", "nexus-deploy-dlq"),
        ("nexus-notification-queue", "nexus-notification-dlq"),
    ]


async def test_several_processes_may_provision_at_once(sqs_url: str, client: Any) -> None:
    queues = name_queues()

    async def provision_alone() -> list[str]:
        async with sqs_client(sqs_url) as own:
            return await provision_queues(own, queues)

    made = await asyncio.gather(*(provision_alone() for _ in range(5)))
    assert {name for names in made for name in names} == {n for one in queues for n in (one.name, one.dead_letters)}
    assert await find_missing_queues(client, queues) == []
    assert await provision_queues(client, queues) == []


async def test_provisioning_sets_what_is_set_otherwise_and_keeps_what_lies_there(client: Any, queue: Queue) -> None:
    await send(SqsJobs(client, queue=queue), "a")
    url = (await client.get_queue_url(QueueName=queue.name))["QueueUrl"]
    await client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "7", "DelaySeconds": "1"})
    changed = Changed(client)
    assert await provision_queues(changed, [queue]) == []
    *_, request = [request for name, request in changed.calls if name == "set_queue_attributes"]
    assert request["Attributes"]["VisibilityTimeout"] == "3600"
    assert "ReceiveMessageWaitTimeSeconds" not in request["Attributes"], "it is set as wanted"
    there = await read_attributes(client, queue.name)
    assert (there["VisibilityTimeout"], there["DelaySeconds"]) == ("3600", "1")
    assert await read_depth(client, queue) == (1, 0, 0)


@AS_ON_AWS
async def test_provisioning_bears_a_queue_that_another_process_made_otherwise(client: Any) -> None:
    [queue, *_] = name_queues()

    def make_before(call: Call) -> Call:
        async def create(**request: Any) -> Any:
            await call(QueueName=request["QueueName"], Attributes={"MessageRetentionPeriod": "60"})
            return await call(**request)

        return create

    assert await provision_queues(Changed(client, create_queue=make_before), [queue]) == []
    assert (await read_attributes(client, queue.name))["MessageRetentionPeriod"] == str(queue.retention)


async def test_what_is_missing_is_named(client: Any) -> None:
    build, deploy, _ = queues = name_queues()
    await provision_queues(client, queues[2:])
    await client.create_queue(QueueName=build.dead_letters)
    assert await find_missing_queues(client, queues) == [build.name, deploy.name, deploy.dead_letters]
    with pytest.raises(Unavailable, match=NO_QUEUE):
        await read_queue_depths(client, queues)


async def test_depths_are_counted_for_each_queue_and_an_age_is_read_where_it_is_said(client: Any) -> None:
    queues = name_queues()
    await provision_queues(client, queues)
    await send(SqsJobs(client, queue=queues[1]), "a", "b", "c")
    url = (await client.get_queue_url(QueueName=queues[1].name))["QueueUrl"]
    await client.receive_message(QueueUrl=url, MaxNumberOfMessages=1)

    def say_age(call: Call) -> Call:
        async def get(**request: Any) -> Any:
            answer = await call(**request)
            return {**answer, "Attributes": {**answer["Attributes"], "ApproximateAgeOfOldestMessage": "12"}}

        return get

    build, deploy, _ = await read_queue_depths(client, queues)
    assert (build.waiting, build.in_flight, build.delayed, build.dead, build.oldest_seconds) == (0, 0, 0, 0, None)
    assert (deploy.name, deploy.waiting, deploy.in_flight) == (queues[1].name, 2, 1)
    aged = await read_queue_depths(Changed(client, get_queue_attributes=say_age), queues)
    assert [one.oldest_seconds for one in aged] == [12.0] * 3


async def test_dead_letters_go_back(client: Any, queue: Queue) -> None:
    url = (await client.get_queue_url(QueueName=queue.dead_letters))["QueueUrl"]
    for number in range(12):
        await client.send_message(QueueUrl=url, MessageBody=f"{number}")
    assert await redrive_dead_letters(client, queue.name) == 12
    assert await read_depth(client, queue) == (12, 0, 0)


@AS_ON_AWS
async def test_dead_letters_go_back_with_their_group_and_one_that_is_refused_stays(client: Any, queue: Queue) -> None:
    url = (await client.get_queue_url(QueueName=queue.dead_letters))["QueueUrl"]
    for number in range(12):
        await client.send_message(QueueUrl=url, MessageBody=f"{number}", MessageGroupId="tenant-1")

    def refuse_one(call: Call) -> Call:
        async def send_message(**request: Any) -> Any:
            if request["MessageBody"] == "3":
                raise ClientError({"Error": {"Code": "InternalError"}}, "SendMessage")
            assert request["MessageGroupId"] == "tenant-1"
            return await call(**request)

        return send_message

    with capture_logs() as logs:
        assert await redrive_dead_letters(Changed(client, send_message=refuse_one), queue.name) == 11
    assert [(one["event"], one["reason"]) for one in logs][1:] == [("queue.letter_not_moved", "InternalError")]
    assert await read_depth(client, queue) == (11, 0, 1)


def move_on_server(*states: str) -> dict[str, Callable[[Call], Call]]:
    """Calls that moto does not know: the task is started, and each look at it finds the next state."""
    left = iter(states)

    def start(call: Call) -> Call:
        async def start_message_move_task(**request: Any) -> Any:
            return {"TaskHandle": "t"}

        return start_message_move_task

    def look(call: Call) -> Call:
        async def list_message_move_tasks(**request: Any) -> Any:
            task = {"Status": next(left), "ApproximateNumberOfMessagesMoved": 2, "FailureReason": "AccessDenied"}
            return {"Results": [task]}

        return list_message_move_tasks

    return {"start_message_move_task": start, "list_message_move_tasks": look}


async def test_a_server_that_moves_dead_letters_itself_is_let_do_so(client: Any, queue: Queue) -> None:
    url = (await client.get_queue_url(QueueName=queue.dead_letters))["QueueUrl"]
    assert await redrive_dead_letters(Changed(client, **move_on_server()), queue.name) == 0
    await client.send_message(QueueUrl=url, MessageBody="a")
    moving = Changed(client, **move_on_server("RUNNING", "COMPLETED"))
    assert await redrive_dead_letters(moving, queue.name) == 2
    assert (moving.count("send_message"), moving.count("list_message_move_tasks")) == (0, 2)
    [request] = [request for name, request in moving.calls if name == "start_message_move_task"]
    assert [arn.rpartition(":")[2] for arn in request.values()] == [queue.dead_letters, queue.name]
    with pytest.raises(Unavailable, match="AccessDenied"):
        await redrive_dead_letters(Changed(client, **move_on_server("FAILED")), queue.name)


async def test_only_a_queue_with_dead_letters_can_be_redriven(client: Any, queue: Queue) -> None:
    assert await redrive_dead_letters(client, queue.name) == 0
    for name in (queue.dead_letters, "nowhere"):
        with pytest.raises(NotFound):
            await redrive_dead_letters(client, name)


async def read_attributes(client: Any, name: str) -> Mapping[str, str]:
    url = (await client.get_queue_url(QueueName=name))["QueueUrl"]
    answer = await client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return dict(answer["Attributes"])


async def test_all_messages_are_deleted_and_the_queues_stay(client: Any, queue: Queue) -> None:
    await send(SqsJobs(client, queue=queue), "a", "b")
    assert await delete_all_messages(client, [queue]) == [queue.name, queue.dead_letters]
    assert await read_depth(client, queue) == (0, 0, 0)
    assert await delete_all_messages(client, name_queues()) == []
