"""What is sent to SQS goes together where it can, and each entry succeeds or fails by itself."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError
from msgspec import Struct

from nexus.adapters.sqs.queues import FAILURES

Entry = Mapping[str, Any]

BATCH = 10
"""The most entries of one request."""
CALL_SECONDS = 5.0
"""For every call but a poll."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds between two attempts, doubled after each."""
TRIES = 3
"""For an entry that is worth more than one."""


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

    def start_task(self, work: Coroutine[Any, Any, None]) -> None:
        self.watch_task(asyncio.ensure_future(work))

    def watch_task(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait_until_done(self) -> None:
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

    async def add_entry(self, entry: Entry) -> None:
        """One of FAILURES when this entry, or its whole request, failed."""
        pending = PendingEntry(entry, asyncio.get_running_loop().create_future())
        self._pending.append(pending)
        if len(self._pending) == 1:
            self._tasks.start_task(self._send_pending())
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


async def send_with_retries(send: Callable[[], Awaitable[None]]) -> Exception | None:
    """The last failure, when all tries failed."""
    backoff = Backoff()
    for left in reversed(range(TRIES)):
        try:
            await send()
            break
        except FAILURES as error:
            if not left:
                return error
        await asyncio.sleep(backoff.next_pause())
    return None
