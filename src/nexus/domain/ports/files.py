"""Files below one root, by relative path."""

from collections.abc import Sequence
from typing import Protocol


class FileStore(Protocol):
    """Paths are relative POSIX text; one that leaves the root, is absolute, empty, holds control characters or an empty,
    `.` or `..` part, or a part that starts with `-` or exceeds 200 bytes, is InvalidInput. Links are never followed."""

    async def read(self, path: str) -> bytes:
        """NotFound when there is no such file."""
        ...

    async def write(self, path: str, content: bytes) -> None:
        """Whole or not at all, synced before it answers; makes folders as needed. Unavailable when the disk is full."""
        ...

    async def list(self, folder: str = "") -> Sequence[str]:
        """All files below a folder, as paths from the root, sorted. Empty when there is no such folder."""
        ...

    async def remove(self, path: str) -> None:
        """A file, or a folder with all that is in it. Quiet when absent."""
        ...
