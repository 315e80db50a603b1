"""The client of a nexus server: typed calls, and streams that survive their connections."""

from nexus.client.client import Client
from nexus.client.errors import ApiError, NotNexus, Unreachable
from nexus.client.pages import Pages
from nexus.client.pauses import Pauses
from nexus.client.streams import Event
from nexus.wire.problems import Problem

__all__ = ["ApiError", "Client", "Event", "NotNexus", "Pages", "Pauses", "Problem", "Unreachable"]
