"""A notifier that remembers."""

from nexus.domain.ports.notifications import Notification


class MemoryNotifier:
    def __init__(self) -> None:
        self.sent = list[Notification]()

    def send_notification(self, notification: Notification) -> None:
        self.sent.append(notification)
