"""One process for each data directory."""

import fcntl
import os
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from typing import TextIO

from nexus.domain.core.errors import Conflict


class DirectoryLock(AbstractContextManager["DirectoryLock"]):
    """Holds a directory for this process until `release` or the end of the process, whatever that is."""

    def __init__(self, directory: Path) -> None:
        """Makes the directory where there is none. Conflict names the process that holds it already."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = open(directory / "lock", "a+", errors="replace", opener=partial(os.open, mode=0o600))  # noqa: SIM115
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read_lock_holder_pid(self._file)
            self.release()
            raise Conflict(
                f"Another nexus (process {holder}) already works in {directory}; stop it or choose another data directory",
                directory=str(directory),
                holder=holder,
            ) from None
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        self._file.close()

    def __exit__(self, *raised: object) -> None:
        self.release()


def find_lock_holder_pid(directory: Path) -> str | None:
    """The id of the process that holds a directory, `unknown` where it left none; None when nobody does. Makes nothing."""
    with suppress(FileNotFoundError, NotADirectoryError), (directory / "lock").open(errors="replace") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read_lock_holder_pid(file)
    return None


def _read_lock_holder_pid(file: TextIO) -> str:
    file.seek(0)
    return file.read(32).strip() or "unknown"
