"""Background jobs between processes by SQS. It carries hints: what it loses or repeats, the rows and the sweeper put right.

A message is over for SQS once its job was delivered to a process with a place for it: nothing renews its visibility while the job runs.
SQS knows no priority; groups (tenants) have their turns where the server allows them on a standard queue."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import msgspec
import structlog
from msgspec import Struct

from nexus.adapters.sqs.batches import BATCH, CALL_SECONDS, BackgroundTasks, Backoff, Batches, Entry, send_with_retries
from nexus.adapters.sqs.queues import FAILURES, Queue, QueueUrls, read_code, translate_failures
from nexus.adapters.sqs.sender import MessageSender
from nexus.domain.ports.jobs import Deliver, Job

Message = Mapping[str, Any]

POLL_SECONDS = 5
"""A poll lasts so long where nothing comes. A process that stops waits for the one under way, so that is within what a container has to end."""
ROOM_SECONDS = 0.05
"""How often it is looked whether there is a place for one more job."""
REASON = "reason"
"""The attribute of a dead letter that says why it could not be read."""
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)

logger = structlog.get_logger()


class Envelope(Struct, frozen=True, kw_only=True):
    """The body of a message."""

    job: msgspec.Raw
    key: str
    priority: int = 3
    group: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Envelope).decode


class SqsJobs:
    """Sends jobs into one queue."""

    def __init__(self, client: Any, *, queue: Queue) -> None:
        self._sender = MessageSender(client, queue=queue)

    async def close(self) -> None:
        """Waits for what is being sent."""
        await self._sender.close()

    async def enqueue_job(self, job: Job, *, key: str, priority: int = 3, group: str = "") -> int | None:
        """As the port says; Unavailable when SQS does not answer, or refuses this job."""
        envelope = Envelope(job=msgspec.Raw(_encode(job)), key=key, priority=priority, group=group)
        with translate_failures("send_message_batch"):
            await self._sender.send_message(_encode(envelope).decode(), group=group)
        return None


class SqsReceiver:
    """Polls one queue. `has_room`: how many more jobs this process can run now; True counts as one."""

    def __init__(
        self, client: Any, *, queue: Queue, has_room: Callable[[], int], poll_seconds: int = POLL_SECONDS
    ) -> None:
        self._client, self._queue, self._urls = client, queue, QueueUrls(client)
        self._has_room, self._poll_seconds = has_room, poll_seconds
        self._tasks = BackgroundTasks()
        self._deletes = Batches(self._delete_batch, self._tasks)
        self._releases = Batches(self._release_batch, self._tasks)

    async def run(self, deliver: Deliver) -> None:
        """For ever. `deliver` takes a job over into this process; when it raises, the message comes again after its time of visibility.

        A cancel ends it at once, and no poll: what the poll under way brings is made visible again, for which `close` waits."""
        backoff = Backoff()
        while True:
            places = int(self._has_room())
            if places < 1:
                await asyncio.sleep(ROOM_SECONDS)
                continue
            try:
                messages = await self._receive(min(places, BATCH))
            except Exception as error:
                self._log_failure(error)
                await asyncio.sleep(backoff.next_pause())
                continue
            backoff.reset()
            await self._deliver_all(messages, deliver)

    async def close(self) -> None:
        """Waits for a poll that is under way, at most for its length, and until all that came has been deleted or given back."""
        await self._tasks.wait_until_done()

    def _log_failure(self, error: Exception) -> None:
        if isinstance(error, FAILURES):
            logger.warning("queue.not_received", queue=self._queue.name, reason=read_code(error))
        else:
            logger.error("queue.crashed", queue=self._queue.name, exc_info=error)

    async def _receive(self, most: int) -> Sequence[Message]:
        poll = asyncio.ensure_future(self._poll(most))
        self._tasks.watch_task(poll)
        try:
            await asyncio.wait([poll])  # a cancel ends the wait, never the poll: SQS would give messages to nobody
        except asyncio.CancelledError:
            self._tasks.start_task(self._release_late(poll))
            raise
        return poll.result()

    async def _poll(self, most: int) -> Sequence[Message]:
        answer = await self._client.receive_message(
            QueueUrl=await self._urls.find(self._queue.name),
            MaxNumberOfMessages=most,
            WaitTimeSeconds=self._poll_seconds,
        )
        return cast(Sequence[Message], answer.get("Messages", ()))

    async def _release_late(self, poll: "asyncio.Task[Sequence[Message]]") -> None:
        """Gives back what came when nobody asked any longer."""
        try:
            messages = await poll
        except Exception as error:
            self._log_failure(error)
            return
        for message in messages:
            self._tasks.start_task(self._release(message))

    async def _deliver_all(self, messages: Sequence[Message], deliver: Deliver) -> None:
        waiting = deque(messages)
        try:
            while waiting:
                await self._deliver_message(waiting[0], deliver)
                waiting.popleft()
        finally:
            for message in waiting:  # cut by a cancel
                self._tasks.start_task(self._release(message))

    async def _deliver_message(self, message: Message, deliver: Deliver) -> None:
        """What cannot be read is a dead letter. When `deliver` fails otherwise, the message comes again."""
        try:
            envelope = _decode(message["Body"])
            await deliver(bytes(envelope.job), envelope.key, envelope.priority, envelope.group)
        except _UNREADABLE as error:
            self._tasks.start_task(self._move_to_dead_letters(message, str(error) or type(error).__name__))
        except Exception:
            logger.exception("queue.not_delivered", queue=self._queue.name, message_id=message["MessageId"])
        else:
            self._tasks.start_task(self._delete(message))

    async def _move_to_dead_letters(self, message: Message, reason: str) -> None:
        """Sent first, deleted then; when it cannot be sent, it comes again."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._client.send_message(
                    QueueUrl=await self._urls.find(self._queue.dead_letters),
                    MessageBody=message["Body"],
                    MessageAttributes={REASON: {"DataType": "String", "StringValue": reason}},
                )
        except FAILURES as error:
            self._log_undone("queue.letter_not_moved", message, error)
            return
        logger.warning("queue.unreadable", queue=self._queue.name, message_id=message["MessageId"], reason=reason)
        await self._delete(message)

    async def _delete(self, message: Message) -> None:
        entry = {"ReceiptHandle": message["ReceiptHandle"]}
        if error := await send_with_retries(partial(self._deletes.add_entry, entry)):
            self._log_undone("queue.not_deleted", message, error)

    async def _release(self, message: Message) -> None:
        entry = {"ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
        if error := await send_with_retries(partial(self._releases.add_entry, entry)):
            self._log_undone("queue.not_released", message, error)

    def _log_undone(self, event: str, message: Message, error: Exception) -> None:
        logger.warning(event, queue=self._queue.name, message_id=message["MessageId"], reason=read_code(error))

    async def _delete_batch(self, entries: Sequence[Entry]) -> Mapping[str, Any]:
        url = await self._urls.find(self._queue.name)
        return cast(Mapping[str, Any], await self._client.delete_message_batch(QueueUrl=url, Entries=entries))

    async def _release_batch(self, entries: Sequence[Entry]) -> Mapping[str, Any]:
        url = await self._urls.find(self._queue.name)
        answer = await self._client.change_message_visibility_batch(QueueUrl=url, Entries=entries)
        return cast(Mapping[str, Any], answer)
