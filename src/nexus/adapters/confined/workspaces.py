"""Directories that end with their owner: who lives holds the lock on its own; what is marked and held by nobody anybody may remove."""

import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from nexus.domain.core.errors import Unavailable

MARK = ".nexus-room"
"""The file by which a collector knows what `make_workspace` made from whatever else bears such a name. It lies inside, so that it goes where the
workspace goes. Generated code runs below it, and may write nowhere but in a file system of its own: it can neither take the mark away nor
make one. A workspace whose mark is gone all the same stays for ever, as litter is better than the loss of what is not ours."""
_SHAPE = "[a-z0-9_]{8}"
"""What `mkdtemp` appends."""
_UNMARKED_SECONDS = 60.0
_TRIES = 20
_NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP)
"""What a file system answers that locks no directories, as some network ones do: there, nothing is marked or collected."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Workspace:
    """A directory that is held until `remove` or the end of this process, whatever that is."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle: int | None = handle

    def remove(self) -> None:
        """With all that is in it. Quiet when it is done twice."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            try:
                _remove_directory(self.path, handle)
            finally:
                os.close(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


class WorkspacePool:
    """The workspaces of one kind, which a prefix tells, in one directory, which many processes may share."""

    def __init__(self, parent: Path, prefix: str) -> None:
        self.parent, self._prefix = parent, prefix
        self._shape = re.compile(re.escape(prefix) + _SHAPE)

    def make_workspace(self) -> Workspace:
        """A new one, empty but for its mark, for this user alone."""
        self.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(_TRIES):
            if workspace := _lock_workspace(Path(tempfile.mkdtemp(prefix=self._prefix, dir=self.parent))):
                return workspace
        raise Unavailable(f"Directories in {self.parent} keep vanishing.", reason="storage")

    def delete_stale_workspaces(self) -> int:
        """Removes those of this user whose owner is gone; how many. Any process may, at any time: a living one's stay, and so does
        what `make_workspace` did not make."""
        return sum(_delete_if_abandoned(path) for path in self._list_workspace_paths())

    def _list_workspace_paths(self) -> Sequence[Path]:
        try:
            return [path for path in self.parent.iterdir() if self._shape.fullmatch(path.name)]
        except OSError:  # not made yet, or not for this user to read
            return []


def _lock_workspace(path: Path) -> Workspace | None:
    """None when another came between the making and the lock."""
    try:
        handle = os.open(path, _DIRECTORY)
    except FileNotFoundError:
        return None
    workspace = Workspace(path, handle)
    with ExitStack() as undo:
        undo.callback(workspace.remove)
        try:
            if not _try_lock_directory(path, handle):
                return None
            os.close(os.open(MARK, _NEW_FILE, 0o600, dir_fd=handle))
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        undo.pop_all()
    return workspace


def _delete_if_abandoned(path: Path) -> bool:
    try:
        handle = os.open(path, _DIRECTORY)
    except OSError:  # another user's, no directory, or gone meanwhile
        return False
    try:
        marked = _has_mark_file(handle)
        if not (marked or _is_old_and_empty(handle)) or not _try_lock_directory(path, handle):
            return False
        if marked:
            _remove_directory(path, handle)
        else:
            path.rmdir()
        return not path.exists()
    except OSError:  # no locks here, or something came into the unfinished one: it stays
        return False
    finally:
        os.close(handle)


def _has_mark_file(handle: int) -> bool:
    try:
        mark = os.stat(MARK, dir_fd=handle, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISREG(mark.st_mode) and mark.st_uid == os.fstat(handle).st_uid == os.geteuid()


def _is_old_and_empty(handle: int) -> bool:
    """Whether its owner died just before it was marked, or just before it was gone: empty, closed to others, and a while ago."""
    found = os.fstat(handle)
    closed = found.st_uid == os.geteuid() and found.st_mode & 0o777 == 0o700
    return closed and time.time() - found.st_mtime > _UNMARKED_SECONDS and not os.listdir(handle)


def _try_lock_directory(path: Path, handle: int) -> bool:
    """For as long as the handle is open. Not when another has the lock, or when the directory is gone."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except (BlockingIOError, FileNotFoundError):
        return False


def _remove_directory(path: Path, handle: int) -> None:
    """The mark goes last: what a kill in between leaves is collected, and so is what could not be removed at once."""
    with os.scandir(handle) as entries:
        inside = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries if entry.name != MARK]
    for name, is_directory in inside:
        if is_directory:
            shutil.rmtree(name, ignore_errors=True, dir_fd=handle)
        else:
            with suppress(OSError):
                os.unlink(name, dir_fd=handle)
    with suppress(OSError):
        if os.listdir(handle) == [MARK]:
            os.fchmod(handle, 0o700)
            os.unlink(MARK, dir_fd=handle)
        path.rmdir()
