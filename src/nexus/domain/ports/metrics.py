"""What a process counts, as whoever watches it reads it."""

from typing import Protocol

from msgspec import Struct


class MetricsPage(Struct, frozen=True):
    """All metrics of a process at one moment, in the format that `media_type` names."""

    content: bytes
    media_type: str


class Metrics(Protocol):
    """The metrics of one process. Labels come from sets that are small and known: never from ids, nor from what a stranger sends."""

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts an HTTP request that is over. `route` is the template of its path, empty where there is none; `status` is 0 where
        the peer left before the answer began."""
        ...

    def make_page(self, accept: str) -> MetricsPage:
        """In the format that suits an `Accept` header best; in the plainest one where none does."""
        ...
