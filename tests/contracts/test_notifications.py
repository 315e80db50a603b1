"""A notifier sends in the background, and what comes out at the other side of SQS."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError
from structlog.testing import capture_logs

from nexus.adapters.memory.notifications import SilentNotifier
from nexus.adapters.sqs.notifications import SqsNotifier
from nexus.adapters.sqs.queues import Queue, provision_queues
from nexus.domain.ports.notifications import Notification, Notifier
from tests.contracts.sqs_server import AS_ON_AWS, Call, Changed, fail_one_entry, name_queues, sqs_client
from tests.fakes.notifications import MemoryNotifier

ENDED = Notification(
    type="build.completed", tenant_id="tnt_1", user_id="usr_1", project_id="prj_1", build_no=2, task_id="tsk_1",
    agent_ids=["agt_1"], status="completed", at="2026-01-01T00:00:00.000Z",
)  # fmt: skip


@pytest.fixture
async def client(sqs_url: str) -> AsyncIterator[Any]:
    async with sqs_client(sqs_url) as client:
        yield client


@pytest.fixture
async def queue(client: Any) -> Queue:
    queue = name_queues()[2]
    await provision_queues(client, [queue])
    return queue


async def read_messages(client: Any, queue: Queue) -> list[dict[str, Any]]:
    url = (await client.get_queue_url(QueueName=queue.name))["QueueUrl"]
    answer = await client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"])
    return list(answer.get("Messages", ()))


@pytest.mark.parametrize("notifier", [SilentNotifier(), MemoryNotifier()], ids=["memory", "fake"])
def test_a_notification_is_accepted_at_once(notifier: Notifier) -> None:
    notifier.send_notification(ENDED)


async def test_a_notification_is_a_message_with_type_target_and_payload(client: Any, queue: Queue) -> None:
    notifier = SqsNotifier(client, queue=queue)
    notifier.send_notification(ENDED)
    await notifier.close()
    [message] = await read_messages(client, queue)
    assert msgspec.json.decode(message["Body"]) == {
        "type": "build.completed",
        "target": {"tenant_id": "tnt_1", "user_id": "usr_1"},
        "payload": {
            "project_id": "prj_1",
            "build_no": 2,
            "task_id": "tsk_1",
            "agent_ids": ["agt_1"],
            "version": None,
            "status": "completed",
            "at": "2026-01-01T00:00:00.000Z",
        },
    }


@AS_ON_AWS
async def test_the_group_of_a_notification_is_its_tenant(client: Any, queue: Queue) -> None:
    notifier = SqsNotifier(client, queue=queue)
    notifier.send_notification(ENDED)
    await notifier.close()
    [message] = await read_messages(client, queue)
    assert message["Attributes"]["MessageGroupId"] == "tnt_1"


async def test_a_send_that_fails_is_tried_again(client: Any, queue: Queue) -> None:
    notifier = SqsNotifier(Changed(client, send_message_batch=fail_one_entry(2)), queue=queue)
    notifier.send_notification(ENDED)
    await notifier.close()
    assert len(await read_messages(client, queue)) == 1


async def test_a_notification_that_cannot_be_sent_is_lost_with_a_line_and_nobody_waits_for_it(queue: Queue) -> None:
    asked = asyncio.Event()

    def refuse(call: Call) -> Call:
        async def fail(**request: Any) -> Any:
            asked.set()
            raise ClientError({"Error": {"Code": "InternalError"}}, "SendMessageBatch")

        return fail

    async with sqs_client("http://127.0.0.1:1") as nowhere:
        notifier = SqsNotifier(Changed(nowhere, send_message_batch=refuse, get_queue_url=refuse), queue=queue)
        with capture_logs() as logs:
            notifier.send_notification(ENDED)
            assert not asked.is_set()
            await notifier.close()
    assert [(one["event"], one["type"], one["reason"]) for one in logs] == [
        ("notification.not_sent", "build.completed", "InternalError")
    ]
