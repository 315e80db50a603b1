"""Directories that end with their owner: who lives holds the lock on its own, and what nobody holds anybody may remove."""

import errno
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from nexus.domain.core.errors import Unavailable

_TRIES = 20
_NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP)
"""What a file system answers that locks no directories, as some network ones do: there, nothing is collected."""


class Room:
    """A directory that is held until `remove` or the end of this process, whatever that is."""

    def __init__(self, path: Path, lock: int | None) -> None:
        self.path = path
        self._lock = lock

    def remove(self) -> None:
        """With all that is in it. Quiet when it is done twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


class Rooms:
    """The rooms of one kind, which a prefix tells, in one directory, which many processes may share."""

    def __init__(self, parent: Path, prefix: str) -> None:
        self.parent, self._prefix = parent, prefix

    def take(self) -> Room:
        """A new one, empty, for this user alone."""
        self.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(_TRIES):
            path = Path(tempfile.mkdtemp(prefix=self._prefix, dir=self.parent))
            try:
                lock = _held(path)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                return Room(path, None)
            if lock is not None:  # else a collector came between the two, and has removed it
                return Room(path, lock)
        raise Unavailable(f"Directories in {self.parent} keep vanishing.", reason="storage")

    def collect(self) -> int:
        """Removes those of this user whose owner is gone; how many. Any process may, at any time: a living one's stay."""
        return sum(_collected(path) for path in self.parent.glob(f"{self._prefix}*"))


def _collected(path: Path) -> bool:
    try:
        lock = _held(path)
    except OSError:  # another user's, or no directory
        return False
    if lock is None:
        return False
    try:
        if os.fstat(lock).st_uid == os.geteuid():
            shutil.rmtree(path, ignore_errors=True)
        return not path.exists()
    finally:
        os.close(lock)


def _held(path: Path) -> int | None:
    """The lock on a directory; None when another has it, or when the directory is gone."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.lstat(path)):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None
