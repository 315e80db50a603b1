"""Where the feeds are kept."""

from nexus.domain.events.model import Event
from nexus.domain.ports.rows import Table

EVENTS = Table("events", Event, ("topic", "position"), expires="expires_at")
