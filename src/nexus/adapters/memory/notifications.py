"""Where nobody else is to be told."""

from nexus.domain.ports.notifications import Notification


class SilentNotifier:
    """A Notifier that tells nobody."""

    def send_notification(self, notification: Notification) -> None:
        pass
