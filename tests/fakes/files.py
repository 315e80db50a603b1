"""Files that last as long as the process."""

from collections.abc import Sequence

from nexus.domain.core.errors import Conflict, NotFound, Unavailable
from nexus.domain.ports.files import check_path


class MemoryFiles:
    """A `FileStore`. `capacity`: how many bytes fit before the storage is full."""

    def __init__(self, *, capacity: int | None = None) -> None:
        self._contents: dict[str, bytes] = {}
        self._capacity = capacity

    async def read(self, path: str) -> bytes:
        check_path(path)
        if path not in self._contents:
            raise NotFound(f"There is no file {path!r}.")
        return self._contents[path]

    async def write(self, path: str, content: bytes) -> None:
        parts = check_path(path)
        if any("/".join(parts[:depth]) in self._contents for depth in range(1, len(parts))):
            raise Conflict(f"A part of {path!r} is a file.")
        if any(other.startswith(f"{path}/") for other in self._contents):
            raise Conflict(f"{path!r} is a folder.")
        others = sum(len(kept) for other, kept in self._contents.items() if other != path)
        if self._capacity is not None and others + len(content) > self._capacity:
            raise Unavailable("The storage is full.", reason="storage_full")
        self._contents[path] = bytes(content)

    async def list(self, folder: str = "") -> Sequence[str]:
        below = "/".join((*check_path(folder), "")) if folder else ""
        return sorted(path for path in self._contents if path.startswith(below))

    async def delete_path(self, path: str) -> None:
        check_path(path)
        for other in [other for other in self._contents if other == path or other.startswith(f"{path}/")]:
            del self._contents[other]
