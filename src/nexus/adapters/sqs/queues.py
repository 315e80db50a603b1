"""The queues in SQS: what they are named, how they are set, and what lies in them."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, NamedTuple, cast

import aioboto3
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.jobs import QueueDepth

LONGEST_POLL_SECONDS = 20
"""The longest wait for messages that SQS knows, and that of who asks for none in particular."""
DAY = 24 * 3600
RECEIVES = 3
"""How often a message comes before it is a dead letter."""
READY_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between looks for a queue that was just made: SQS may need a while to see it everywhere."""
CONFIG = AioConfig(
    connect_timeout=2,
    read_timeout=LONGEST_POLL_SECONDS + 5,
    max_pool_connections=50,
    parameter_validation=False,
    retries={"total_max_attempts": 1},  # who waits for an answer decides about the next attempt
)
FAILURES = (BotoCoreError, ClientError, OSError)
"""What a call raises when SQS is away, busy or refuses; a TimeoutError is an OSError."""
_MISSING = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
_THERE = frozenset({"QueueAlreadyExists", "QueueNameExists"})
_IN_PROGRESS = frozenset({"AWS.SimpleQueueService.PurgeQueueInProgress", "PurgeQueueInProgress"})


class Queue(Struct, frozen=True, kw_only=True):
    """A queue and the one of its dead letters, by name. Times in seconds."""

    name: str
    dead_letters: str
    visibility: int
    retention: int


DEAD_LETTER_RETENTION = 14 * DAY


class QueueSet(NamedTuple):
    """The queues of nexus, of one kind all."""

    build: Queue
    deploy: Queue
    notification: Queue


def make_queue_set(prefix: str = "nexus-") -> QueueSet:
    """What the queues are called, and how they are to be set."""

    def declare_queue(kind: str, *, visibility: int, retention: int) -> Queue:
        name, dead_letters = f"{prefix}{kind}-queue", f"{prefix}{kind}-dlq"
        return Queue(name=name, dead_letters=dead_letters, visibility=visibility, retention=retention)

    return QueueSet(
        build=declare_queue("build", visibility=3600, retention=7 * DAY),
        deploy=declare_queue("deploy", visibility=600, retention=3 * DAY),
        notification=declare_queue("notification", visibility=300, retention=4 * DAY),
    )


QUEUES = make_queue_set()


def open_client(*, region: str, endpoint_url: str | None = None, **session: str) -> AbstractAsyncContextManager[Any]:
    """A client for SQS, to be entered; credentials come from where the SDK looks, or from `session`."""
    client = aioboto3.Session(region_name=region, **session).client("sqs", endpoint_url=endpoint_url, config=CONFIG)
    return cast(AbstractAsyncContextManager[Any], client)


def read_code(error: BaseException) -> str:
    """The code that SQS gave, or the name of the error where none came."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__


@contextmanager
def translate_failures(operation: str) -> Iterator[None]:
    try:
        yield
    except FAILURES as error:
        detail = f"The queue does not answer: {read_code(error)}."
        raise Unavailable(detail, reason="queue", operation=operation) from error


class QueueUrls:
    """Where queues are, asked for once each."""

    def __init__(self, client: Any) -> None:
        self._client, self._urls = client, dict[str, str]()

    async def find(self, name: str) -> str:
        """ClientError when there is no such queue."""
        if name not in self._urls:
            self._urls[name] = str((await self._client.get_queue_url(QueueName=name))["QueueUrl"])
        return self._urls[name]


async def provision_queues(client: Any, queues: Sequence[Queue] = QUEUES) -> list[str]:
    """Makes what is missing, sets what is set otherwise, and answers the names of what it made. Several processes may do so at once;
    nothing is deleted. Unavailable when SQS does not answer."""
    made: list[str] = []
    with translate_failures("provision_queues"):
        for queue in queues:
            letters = {"MessageRetentionPeriod": str(DEAD_LETTER_RETENTION)}
            if await _make_queue(client, queue.dead_letters, letters):
                made.append(queue.dead_letters)
            dead_letters = await _wait_for_attributes(client, queue.dead_letters)
            if await _make_queue(client, queue.name, _build_attributes(queue, dead_letters["QueueArn"])):
                made.append(queue.name)
            await _wait_for_attributes(client, queue.name)
    return made


def list_queue_names(queues: Sequence[Queue] = QUEUES) -> list[str]:
    """Each queue, followed by that of its dead letters."""
    return [name for queue in queues for name in (queue.name, queue.dead_letters)]


async def find_missing_queues(client: Any, queues: Sequence[Queue] = QUEUES) -> list[str]:
    """The names of queues, and of queues of dead letters, that are not there."""
    names = list_queue_names(queues)
    with translate_failures("find_missing_queues"):
        urls = await asyncio.gather(*(find_queue_url(client, name) for name in names))
    return [name for name, url in zip(names, urls, strict=True) if url is None]


async def delete_all_messages(client: Any, queues: Sequence[Queue] = QUEUES) -> list[str]:
    """Deletes all messages of the queues that are there, and answers their names. The queues stay: SQS lets none of the same name be made
    for a minute after one was deleted."""
    purged: list[str] = []
    with translate_failures("delete_all_messages"):
        for name in list_queue_names(queues):
            if url := await find_queue_url(client, name):
                await _delete_queue_messages(client, url)
                purged.append(name)
    return purged


async def _delete_queue_messages(client: Any, url: str) -> None:
    try:
        await client.purge_queue(QueueUrl=url)
    except ClientError as error:
        if read_code(error) not in _IN_PROGRESS:
            raise


async def read_queue_depths(client: Any, queues: Sequence[Queue] = QUEUES) -> list[QueueDepth]:
    """Unavailable when a queue is missing or SQS does not answer."""
    with translate_failures("read_queue_depths"):
        return await asyncio.gather(*(_read_depth(client, queue) for queue in queues))


async def find_queue_url(client: Any, name: str) -> str | None:
    """None when there is no such queue."""
    try:
        return await QueueUrls(client).find(name)
    except ClientError as error:
        if read_code(error) in _MISSING:
            return None
        raise


async def _make_queue(client: Any, name: str, attributes: Mapping[str, str]) -> bool:
    """Whether it was missing. One that is there is set as wanted."""
    if await find_queue_url(client, name) is None:
        try:
            await client.create_queue(QueueName=name, Attributes=attributes)
            return True
        except ClientError as error:
            if read_code(error) not in _THERE:  # another process made it, with other attributes
                raise
    there = await _wait_for_attributes(client, name)
    changed = {key: value for key, value in attributes.items() if not _is_same(there.get(key), value)}
    if changed:
        await client.set_queue_attributes(QueueUrl=await QueueUrls(client).find(name), Attributes=changed)
    return False


def _build_attributes(queue: Queue, dead_letters_arn: str) -> dict[str, str]:
    return {
        "VisibilityTimeout": str(queue.visibility),
        "MessageRetentionPeriod": str(queue.retention),
        "ReceiveMessageWaitTimeSeconds": str(LONGEST_POLL_SECONDS),
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_letters_arn, "maxReceiveCount": str(RECEIVES)}),
    }


def _is_same(there: str | None, wanted: str) -> bool:
    """Servers write the policy in their own way: with numbers for texts, and in any order."""
    if there is None or not wanted.startswith("{"):
        return there == wanted
    one, other = ({key: str(value) for key, value in json.loads(text).items()} for text in (there, wanted))
    return one == other


async def _wait_for_attributes(client: Any, name: str) -> Mapping[str, str]:
    """Those of a queue that was just made. ClientError when it does not appear."""
    for pause in READY_PAUSES:
        try:
            return await read_attributes(client, await QueueUrls(client).find(name))
        except ClientError as error:
            if read_code(error) not in _MISSING:
                raise
        await asyncio.sleep(pause)
    return await read_attributes(client, await QueueUrls(client).find(name))


async def read_attributes(client: Any, url: str) -> Mapping[str, str]:
    """All attributes of a queue."""
    answer = await client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return cast(Mapping[str, str], answer["Attributes"])


async def _read_depth(client: Any, queue: Queue) -> QueueDepth:
    urls = QueueUrls(client)
    there = await read_attributes(client, await urls.find(queue.name))
    dead = await read_attributes(client, await urls.find(queue.dead_letters))
    oldest = there.get("ApproximateAgeOfOldestMessage")
    return QueueDepth(
        name=queue.name,
        waiting=int(there["ApproximateNumberOfMessages"]),
        in_flight=int(there["ApproximateNumberOfMessagesNotVisible"]),
        delayed=int(there["ApproximateNumberOfMessagesDelayed"]),
        dead=int(dead["ApproximateNumberOfMessages"]) + int(dead["ApproximateNumberOfMessagesNotVisible"]),
        oldest_seconds=None if oldest is None else float(oldest),
    )
