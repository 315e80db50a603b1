"""One process for each data directory."""

import fcntl
import os
from pathlib import Path
from types import TracebackType

from nexus.domain.core.errors import Conflict


class DirectoryLock:
    """Holds a directory for this process until `release` or the end of the process, whatever that is."""

    def __init__(self, directory: Path) -> None:
        """Makes the directory where there is none. Conflict names the process that holds it already."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise Conflict(
                f"Another nexus (process {holder}) already works in {directory}; stop it or choose another data directory",
                directory=str(directory),
                holder=holder,
            ) from None
        os.truncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> "DirectoryLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def find_holder(directory: Path) -> str | None:
    """The id of the process that holds a directory, `unknown` where it left none; None when nobody does. Makes nothing."""
    try:
        file = os.open(directory / "lock", os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(file, 32).decode(errors="replace").strip() or "unknown"
    else:
        return None
    finally:
        os.close(file)
