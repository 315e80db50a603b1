"""What is told to other systems once it has come to its end."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct


class Notification(Struct, frozen=True, kw_only=True):
    """`type`: `build.completed`, `build.failed`, `build.cancelled` or `agent.deployed`. `user_id` asked for it; `at` is an instant.
    A build has a `task_id` and the agents that its project has by then; a deployment has one agent and its `version`."""

    type: str
    tenant_id: str
    user_id: str | None
    project_id: str
    build_no: int | None = None
    task_id: str | None = None
    agent_ids: Sequence[str] = ()
    version: int | None = None
    status: str
    at: str


class Notifier(Protocol):
    """Tells other systems, as well as it can: the rows and the events of a build are the truth."""

    def send_notification(self, notification: Notification) -> None:
        """To be called after the commit; returns at once. It is lost where this process dies before it was sent, or the other side stays away."""
        ...
