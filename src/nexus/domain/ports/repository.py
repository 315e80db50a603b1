"""The history of a project's files."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct


class Commit(Struct, frozen=True):
    """One entry of a history. `key` names what made it (`1/intake`): of neighbours with one key only the last is kept."""

    commit_id: str
    message: str
    key: str
    created_at: str


class Repository(Protocol):
    """One history of files for each project. Paths as in `FileStore`; the newest state is also there as plain files."""

    async def commit(self, project_id: str, files: Mapping[str, bytes | None], *, message: str, key: str) -> str:
        """Writes (None: removes) files as one commit on the newest one and answers its id. Makes the history on first use.

        When the newest commit has the same key, it is replaced: work that is done again leaves one commit."""
        ...

    async def history(self, project_id: str, *, limit: int = 100) -> Sequence[Commit]:
        """Newest first; empty when nothing was committed."""
        ...

    async def list(self, project_id: str, *, at: str | None = None) -> Sequence[str]:
        """All paths at a commit (default: the newest), sorted. NotFound for an unknown commit."""
        ...

    async def read(self, project_id: str, path: str, *, at: str | None = None) -> bytes:
        """NotFound when the path or the commit is unknown."""
        ...

    async def diff(self, project_id: str, before: str, after: str) -> str:
        """A unified diff, empty when equal."""
        ...
