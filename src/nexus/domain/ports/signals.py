"""Wake-ups between those who change something and those who wait for it, in whatever process. Never the truth."""

from collections.abc import Callable
from typing import Protocol


class Signals(Protocol):
    """A signal may be lost, and costs then the delay until those who wait look by themselves."""

    def notify_listeners(self, key: str, position: int = 0) -> None:
        """Wakes all who listen to the key, in every process; `position` tells how far what they wait for has come."""
        ...

    def add_listener(self, key: str, wake: Callable[[int], None]) -> Callable[[], None]:
        """Calls `wake` in the loop with the position of each signal, until the answer is called, which may be done twice."""
        ...
