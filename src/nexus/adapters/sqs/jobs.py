"""Background jobs between processes by SQS. It carries hints: what it loses or repeats, the rows and the sweeper put right.

A message is over for SQS once its job was delivered to a process with a place for it: nothing renews its visibility while the job runs.
SQS knows no priority; groups (tenants) have their turns where the server allows them on a standard queue."""

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, cast

import msgspec
import structlog
from botocore.exceptions import ClientError
from msgspec import Struct

from nexus.adapters.sqs.queues import FAILURES, Queue, QueueUrls, read_code, translate_failures
from nexus.domain.ports.jobs import Deliver, Job

Entry = Mapping[str, Any]
Message = Mapping[str, Any]

POLL_SECONDS = 5
"""A poll lasts so long where nothing comes. A process that stops waits for the one under way, so that is within what a container has to end."""
BATCH = 10
"""The most entries of one request."""
CALL_SECONDS = 5.0
"""For every call but a poll."""
ROOM_SECONDS = 0.05
"""How often it is looked whether there is a place for one more job."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds between two attempts, doubled after each."""
TRIES = 3
"""For a message that is to be deleted, or made visible again; afterwards its time of visibility decides."""
REASON = "reason"
"""The attribute of a dead letter that says why it could not be read."""
_GROUP = re.compile(r"[!-~]{1,128}")
"""What SQS takes for a group."""
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


class Backoff:
    """Pauses that grow from one failure to the next."""

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE

    def reset(self) -> None:
        self._pause = FIRST_PAUSE

    def next_pause(self) -> float:
        """In seconds."""
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        return pause


class BackgroundTasks:
    """Tasks that end by themselves, and are waited for before the client is closed."""

    def __init__(self) -> None:
        self._tasks = set[asyncio.Task[Any]]()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        self.watch(asyncio.ensure_future(work))

    def watch(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)


class PendingEntry(Struct, frozen=True):
    entry: Entry
    answer: "asyncio.Future[None]"


class Batches:
    """Sends the entries that come in one pass of the loop together, up to ten in a request, and answers each by itself."""

    def __init__(self, send: Callable[[Sequence[Entry]], Awaitable[Mapping[str, Any]]], tasks: BackgroundTasks) -> None:
        self._send, self._tasks = send, tasks
        self._pending: list[PendingEntry] = []

    async def add(self, entry: Entry) -> None:
        """One of FAILURES when this entry, or its whole request, failed."""
        pending = PendingEntry(entry, asyncio.get_running_loop().create_future())
        self._pending.append(pending)
        if len(self._pending) == 1:
            self._tasks.start(self._send_pending())
        await pending.answer

    async def _send_pending(self) -> None:
        """Runs after all who ask in the pass of the loop in which it was started."""
        pending, self._pending = self._pending, []
        await asyncio.gather(*(self._send_batch(pending[at : at + BATCH]) for at in range(0, len(pending), BATCH)))

    async def _send_batch(self, batch: Sequence[PendingEntry]) -> None:
        failed: dict[str, Exception] = {}
        try:
            async with asyncio.timeout(CALL_SECONDS):
                answer = await self._send([{**one.entry, "Id": str(at)} for at, one in enumerate(batch)])
            failed = {one["Id"]: _make_error(one) for one in answer.get("Failed", ())}
        except Exception as error:  # each who waits gets it
            failed = {str(at): error for at in range(len(batch))}
        for at, one in enumerate(batch):
            if one.answer.done():  # who asked waits no longer
                continue
            if error_of_one := failed.get(str(at)):
                one.answer.set_exception(error_of_one)
            else:
                one.answer.set_result(None)


def _make_error(failed: Mapping[str, Any]) -> ClientError:
    """That of one entry, as if it had been sent alone."""
    return ClientError({"Error": {"Code": failed["Code"], "Message": failed.get("Message", "")}}, "batch")


class SqsJobs:
    """Sends jobs into one queue."""

    def __init__(self, client: Any, *, queue: Queue) -> None:
        self._client, self._queue, self._urls = client, queue, QueueUrls(client)
        self._tasks = BackgroundTasks()
        self._sends = Batches(self._send_batch, self._tasks)
        self._has_groups = True

    async def close(self) -> None:
        """Waits for what is being sent."""
        await self._tasks.wait()

    async def enqueue_job(self, job: Job, *, key: str, priority: int = 3, group: str = "") -> int | None:
        """As the port says; Unavailable when SQS does not answer, or refuses this job."""
        envelope = Envelope(job=msgspec.Raw(_encode(job)), key=key, priority=priority, group=group)
        with translate_failures("send_message_batch"):
            await self._send(_encode(envelope).decode(), group)
        return None

    async def _send(self, body: str, group: str) -> None:
        is_grouped = self._has_groups and _GROUP.fullmatch(group) is not None
        if is_grouped and await self._try_grouped(body, group):
            return
        await self._sends.add({"MessageBody": body})
        if is_grouped and self._has_groups:
            self._has_groups = False
            logger.info("queue.without_groups", queue=self._queue.name)

    async def _try_grouped(self, body: str, group: str) -> bool:
        """False when the server refuses, which may have to do with the group."""
        try:
            await self._sends.add({"MessageBody": body, "MessageGroupId": group})
        except ClientError as error:
            if read_code(error) == "InvalidParameterValue":
                return False
            raise
        return True

    async def _send_batch(self, entries: Sequence[Entry]) -> Mapping[str, Any]:
        url = await self._urls.find(self._queue.name)
        return cast(Mapping[str, Any], await self._client.send_message_batch(QueueUrl=url, Entries=entries))


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
        await self._tasks.wait()

    def _log_failure(self, error: Exception) -> None:
        if isinstance(error, FAILURES):
            logger.warning("queue.not_received", queue=self._queue.name, reason=read_code(error))
        else:
            logger.error("queue.crashed", queue=self._queue.name, exc_info=error)

    async def _receive(self, most: int) -> Sequence[Message]:
        poll = asyncio.ensure_future(self._poll(most))
        self._tasks.watch(poll)
        try:
            await asyncio.wait([poll])  # a cancel ends the wait, never the poll: SQS would give messages to nobody
        except asyncio.CancelledError:
            self._tasks.start(self._release_late(poll))
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
            self._tasks.start(self._release(message))

    async def _deliver_all(self, messages: Sequence[Message], deliver: Deliver) -> None:
        waiting = deque(messages)
        try:
            while waiting:
                await self._deliver_message(waiting[0], deliver)
                waiting.popleft()
        finally:
            for message in waiting:  # cut by a cancel
                self._tasks.start(self._release(message))

    async def _deliver_message(self, message: Message, deliver: Deliver) -> None:
        """What cannot be read is a dead letter. When `deliver` fails otherwise, the message comes again."""
        try:
            envelope = _decode(message["Body"])
            await deliver(bytes(envelope.job), envelope.key, envelope.priority, envelope.group)
        except _UNREADABLE as error:
            self._tasks.start(self._move_to_dead_letters(message, str(error) or type(error).__name__))
        except Exception:
            logger.exception("queue.not_delivered", queue=self._queue.name, message_id=message["MessageId"])
        else:
            self._tasks.start(self._delete(message))

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
        if error := await _try_entry(self._deletes, {"ReceiptHandle": message["ReceiptHandle"]}):
            self._log_undone("queue.not_deleted", message, error)

    async def _release(self, message: Message) -> None:
        entry = {"ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
        if error := await _try_entry(self._releases, entry):
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


async def _try_entry(batches: Batches, entry: Entry) -> Exception | None:
    """The last failure, when all tries failed."""
    backoff = Backoff()
    for left in reversed(range(TRIES)):
        try:
            await batches.add(entry)
            break
        except FAILURES as error:
            if not left:
                return error
        await asyncio.sleep(backoff.next_pause())
    return None
