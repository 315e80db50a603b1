"""The sign of life of the work that a process has in hand."""

from typing import Protocol


class Pulse(Protocol):
    """Beats for what it holds, though the process' own loop be busy; no more once that loop hangs, so that a hung process is replaced
    and a busy one is not. A key whose beat is refused is dropped: somebody else has it."""

    def hold(self, key: str, fence: int) -> None:
        """From now on `key` is beaten for under this fence."""
        ...

    def drop(self, key: str) -> None:
        """No more. Quiet when it is not held."""
        ...
