"""Dead letters go back to where they came from."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import structlog
from botocore.exceptions import ClientError

from nexus.adapters.sqs.batches import BATCH
from nexus.adapters.sqs.queues import (
    FAILURES,
    QueueUrls,
    find_queue_url,
    read_attributes,
    read_code,
    translate_failures,
)
from nexus.domain.core.errors import NotFound, Unavailable

MOVE_SECONDS = 60
"""A letter that is being moved is hidden from others for so long."""
TASK_PAUSE = 0.5
"""Seconds between two looks at a task of the server."""
UNFINISHED = ("RUNNING", "CANCELLING")

logger = structlog.get_logger()


async def redrive_dead_letters(client: Any, name: str) -> int:
    """Moves the dead letters of the queue back into it, as many as lay there at the start, and answers how many were moved: by the server
    itself, or one by one where it does not know how. What could not be moved stays. NotFound for a queue that is not there, or has none;
    Unavailable when SQS does not answer, or gives up."""
    with translate_failures("redrive_dead_letters"):
        target = await find_queue_url(client, name)
        there = await read_attributes(client, target) if target else {}
        if not target or "RedrivePolicy" not in there:
            raise NotFound(f"There is no queue {name} with a queue of dead letters")
        source_arn = json.loads(there["RedrivePolicy"])["deadLetterTargetArn"]
        source = await QueueUrls(client).find(source_arn.rpartition(":")[2])
        left = int((await read_attributes(client, source))["ApproximateNumberOfMessages"])
        if not left:
            return 0
        try:
            await client.start_message_move_task(SourceArn=source_arn, DestinationArn=there["QueueArn"])
        except ClientError as error:
            logger.info("queue.moved_one_by_one", queue=name, reason=read_code(error))
            return await _move_one_by_one(client, source, target, left)
        return await _wait_for_move(client, source_arn)


async def _wait_for_move(client: Any, source_arn: str) -> int:
    """The newest task of the queue, until it is over."""
    while True:
        [task] = (await client.list_message_move_tasks(SourceArn=source_arn, MaxResults=1))["Results"]
        if task["Status"] not in UNFINISHED:
            break
        await asyncio.sleep(TASK_PAUSE)
    if task["Status"] != "COMPLETED":
        raise Unavailable(
            f"SQS gave up to move dead letters: {task.get('FailureReason', task['Status'])}.", reason="queue"
        )
    return int(task["ApproximateNumberOfMessagesMoved"])


async def _move_one_by_one(client: Any, source: str, target: str, left: int) -> int:
    """A letter that dies again meanwhile is not moved twice."""
    moved = 0
    while left > 0 and (letters := await _receive_letters(client, source, most=min(left, BATCH))):
        left -= len(letters)
        moved += sum(await asyncio.gather(*(_move_letter(client, one, source, target) for one in letters)))
    return moved


async def _receive_letters(client: Any, url: str, *, most: int) -> Sequence[Mapping[str, Any]]:
    """Waits a second at most: without a wait, SQS asks a part of its servers only."""
    answer = await client.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=most,
        WaitTimeSeconds=1,
        VisibilityTimeout=MOVE_SECONDS,
        MessageSystemAttributeNames=["MessageGroupId"],
    )
    return cast(Sequence[Mapping[str, Any]], answer.get("Messages", ()))


async def _move_letter(client: Any, letter: Mapping[str, Any], source: str, target: str) -> bool:
    """Sent first, deleted then: it may come twice, and is never lost. One that is refused stays."""
    group = letter.get("Attributes", {}).get("MessageGroupId")
    try:
        await client.send_message(
            QueueUrl=target, MessageBody=letter["Body"], **({"MessageGroupId": group} if group else {})
        )
        await client.delete_message(QueueUrl=source, ReceiptHandle=letter["ReceiptHandle"])
    except FAILURES as error:
        logger.warning("queue.letter_not_moved", message_id=letter["MessageId"], reason=read_code(error))
        return False
    return True
