"""The history of a project's files."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.ids import is_id
from nexus.domain.ports.files import checked


class Commit(Struct, frozen=True):
    """One entry of a history. `key` names what made it (`1/intake`): of neighbours with one key only the last is kept."""

    commit_id: str
    message: str
    key: str
    created_at: str


class Repository(Protocol):
    """One history of files for each project. Paths as in `FileStore`, where the newest state also lies as plain files
    below `projects/<project_id>`. An id that is no project's, a path, key or message against the rules is InvalidInput."""

    async def commit(self, project_id: str, files: Mapping[str, bytes | None], *, message: str, key: str) -> str:
        """Writes (None: removes) files as one commit on the newest one and answers its id. Makes the history on first use.
        A file takes the place of a folder and a folder that of a file. No files: an empty commit.

        When the newest commit has the same key, it is replaced, with all its files: work that is done again leaves one
        commit. Unavailable: whether it was made is unknown, do it again."""
        ...

    async def history(self, project_id: str, *, limit: int = 100) -> Sequence[Commit]:
        """Newest first; empty when nothing was committed."""
        ...

    async def list(self, project_id: str, *, at: str | None = None) -> Sequence[str]:
        """All paths at a commit (default: the newest), sorted; empty without a history. NotFound for an unknown commit."""
        ...

    async def read(self, project_id: str, path: str, *, at: str | None = None) -> bytes:
        """NotFound when the path or the commit is unknown."""
        ...

    async def diff(self, project_id: str, before: str, after: str) -> str:
        """A unified diff, empty when equal. NotFound when a commit is unknown."""
        ...


def project_folder(project_id: str) -> str:
    """Where the newest files of a project lie in the file store."""
    if not is_id(project_id, "prj"):
        raise InvalidInput("This is not the id of a project.")
    return f"projects/{project_id}"


def tracked(path: str) -> str:
    """The path, when a repository may hold it; else InvalidInput."""
    checked(path, below=f"projects/prj_{26 * '0'}/")
    return path


def check_change(files: Mapping[str, bytes | None], *, message: str, key: str) -> None:
    """InvalidInput unless these files, this message and this key can be one commit."""
    written = {tracked(path) for path, content in files.items() if content is not None}
    for path in files:
        parts = tuple(tracked(path).split("/"))
        if any("/".join(parts[:depth]) in written for depth in range(1, len(parts))):
            raise InvalidInput(f"Of {path!r}, a part of the path is a file of the same commit.")
    if not (key.strip() == key and 0 < len(key) <= 200 and key.isprintable()):
        raise InvalidInput("A key is one line of 1 to 200 printable characters.")
    if not message.strip() or len(message) > 10_000 or not message.replace("\n", "").replace("\t", "").isprintable():
        raise InvalidInput("A message has 1 to 10 000 printable characters.")
