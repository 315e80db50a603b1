"""Sends messages into one queue."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import structlog
from botocore.exceptions import ClientError

from nexus.adapters.sqs.batches import BackgroundTasks, Batches, Entry
from nexus.adapters.sqs.queues import Queue, QueueUrls, read_code

_GROUP = re.compile(r"[!-~]{1,128}")
"""What SQS takes for a group."""

logger = structlog.get_logger()


class MessageSender:
    """A message carries its group where the server takes groups on a standard queue, so that groups have their turns."""

    def __init__(self, client: Any, *, queue: Queue) -> None:
        self._client, self._queue, self._urls = client, queue, QueueUrls(client)
        self.tasks = BackgroundTasks()
        self._sends = Batches(self._send_batch, self.tasks)
        self._has_groups = True

    async def close(self) -> None:
        """Waits for what is being sent."""
        await self.tasks.wait_until_done()

    async def send_message(self, body: str, *, group: str) -> None:
        """One of FAILURES when it was not sent."""
        is_grouped = self._has_groups and _GROUP.fullmatch(group) is not None
        if is_grouped and await self._try_grouped(body, group):
            return
        await self._sends.add_entry({"MessageBody": body})
        if is_grouped and self._has_groups:
            self._has_groups = False
            logger.info("queue.without_groups", queue=self._queue.name)

    async def _try_grouped(self, body: str, group: str) -> bool:
        """False when the server refuses, which may have to do with the group."""
        try:
            await self._sends.add_entry({"MessageBody": body, "MessageGroupId": group})
        except ClientError as error:
            if read_code(error) == "InvalidParameterValue":
                return False
            raise
        return True

    async def _send_batch(self, entries: Sequence[Entry]) -> Mapping[str, Any]:
        url = await self._urls.find(self._queue.name)
        return cast(Mapping[str, Any], await self._client.send_message_batch(QueueUrl=url, Entries=entries))
