"""The history of a project's files."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct

from nexus.domain.core.errors import Conflict, InvalidInput
from nexus.domain.core.ids import is_valid_id
from nexus.domain.ports.files import check_path


class Commit(Struct, frozen=True):
    """One entry of a history. `key` names what made it (`1/intake`): of neighbours with one key only the last is kept."""

    commit_id: str
    message: str
    key: str
    created_at: str


class Overtaken(Conflict):
    """A writer with a higher fence has committed meanwhile: nothing of this one may come after it."""

    title = "Another writer has gone on"


class Fence(NamedTuple):
    """Orders the writers of a project: a later build comes after an earlier one, and within a build a later hold of its task."""

    build_no: int = 0
    task: int = 0

    def check_newest(self, newest: "Fence") -> None:
        """Overtaken when what is newest was made under a higher fence."""
        if self < newest:
            raise Overtaken(f"The newest commit was made under fence {newest}, this one under {self}.")

    def __str__(self) -> str:
        return f"{self.build_no}/{self.task}"


async def _skip_writer_check() -> None:
    """Of a writer that nobody can take the place of."""


class Writer(Struct, frozen=True, kw_only=True):
    """Who commits. `held` is awaited right before a commit counts, and raises when the writer holds its fence no more."""

    fence: Fence = Fence()
    held: Callable[[], Awaitable[object]] = _skip_writer_check


ANYONE = Writer()
"""Comes after nobody: it may commit only where no fence was ever used, or where the newest commit is a user's own."""


class Repository(Protocol):
    """One history of files for each project. Paths as in `FileStore`, where the newest state also lies as plain files
    below `projects/<project_id>`. An id that is no project's, a path, key or message against the rules is InvalidInput."""

    async def commit(
        self, project_id: str, files: Mapping[str, bytes | None], *, message: str, key: str, writer: Writer = ANYONE
    ) -> str:
        """Writes (None: removes) files as one commit on the newest one and answers its id. Makes the history on first use.
        A file takes the place of a folder and a folder that of a file. No files: an empty commit.

        When the newest commit has the same key, it is replaced, with all its files: work that is done again leaves one
        commit. Unavailable: whether it was made is unknown, do it again.

        Overtaken, and nothing is made, when the newest commit has a higher fence than the writer; a commit that keeps none, as a
        user's own, has the lowest. What `writer.held` raises is raised, and nothing is made."""
        ...

    async def list_commits(self, project_id: str, *, limit: int = 100) -> Sequence[Commit]:
        """Newest first; empty when nothing was committed."""
        ...

    async def list(self, project_id: str, *, at: str | None = None) -> Sequence[str]:
        """All paths at a commit (default: the newest), sorted; empty without a history. NotFound for an unknown commit."""
        ...

    async def read(self, project_id: str, path: str, *, at: str | None = None) -> bytes:
        """NotFound when the path or the commit is unknown."""
        ...


def make_project_folder(project_id: str) -> str:
    """Where the newest files of a project lie in the file store."""
    if not is_valid_id(project_id, "prj"):
        raise InvalidInput("This is not the id of a project.")
    return f"projects/{project_id}"


def check_tracked_path(path: str) -> str:
    """The path, when a repository may hold it; else InvalidInput."""
    check_path(path, below=f"projects/prj_{26 * '0'}/")
    return path


def check_file_change(files: Mapping[str, bytes | None], *, message: str, key: str, fence: Fence) -> None:
    """InvalidInput unless these files, this message, this key and this fence can be one commit."""
    written = {check_tracked_path(path) for path, content in files.items() if content is not None}
    for path in files:
        parts = tuple(check_tracked_path(path).split("/"))
        if any("/".join(parts[:depth]) in written for depth in range(1, len(parts))):
            raise InvalidInput(f"Of {path!r}, a part of the path is a file of the same commit.")
    if not (key.strip() == key and 0 < len(key) <= 200 and key.isprintable()):
        raise InvalidInput("A key is one line of 1 to 200 printable characters.")
    if not all(0 <= part < 10**18 for part in fence):
        raise InvalidInput("A fence is two numbers from 0 on, of at most 18 digits.")
    if not message.strip() or len(message) > 10_000 or not message.replace("\n", "").replace("\t", "").isprintable():
        raise InvalidInput("A message has 1 to 10 000 printable characters.")
