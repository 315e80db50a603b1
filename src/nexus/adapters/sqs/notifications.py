"""What came to its end, as messages in the notification queue."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
import structlog
from msgspec import Struct, structs

from nexus.adapters.sqs.batches import send_with_retries
from nexus.adapters.sqs.queues import Queue, read_code
from nexus.adapters.sqs.sender import MessageSender
from nexus.domain.ports.notifications import Notification

logger = structlog.get_logger()


class Envelope(Struct, frozen=True, kw_only=True):
    """The body of a message: what happened, to whom it is to be told, and about what."""

    type: str
    target: Mapping[str, Any]
    payload: Mapping[str, Any]


class SqsNotifier:
    def __init__(self, client: Any, *, queue: Queue) -> None:
        self._sender = MessageSender(client, queue=queue)

    async def close(self) -> None:
        """Waits for what is being sent."""
        await self._sender.close()

    def send_notification(self, notification: Notification) -> None:
        self._sender.tasks.start_task(self._send(notification))

    async def _send(self, notification: Notification) -> None:
        body = msgspec.json.encode(make_envelope(notification)).decode()
        if error := await send_with_retries(partial(self._sender.send_message, body, group=notification.tenant_id)):
            logger.warning("notification.not_sent", type=notification.type, reason=read_code(error))


def make_envelope(notification: Notification) -> Envelope:
    payload = structs.asdict(notification)
    target = {name: payload.pop(name) for name in ("tenant_id", "user_id")}
    return Envelope(type=payload.pop("type"), target=target, payload=payload)
