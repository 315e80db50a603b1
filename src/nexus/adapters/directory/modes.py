"""What nexus keeps is for its own user: what an older one, an unpacked archive or a careless hand left open is closed."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

import structlog

_OTHERS = 0o077
_ENTRY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

logger = structlog.get_logger()


def make_paths_owner_only(paths: Iterable[Path]) -> None:
    """Takes the rights of group and others from these entries where they are there; from all that is in a folder before from the
    folder itself, so that what was cut goes on at the next time. A folder that is closed is not looked into: nobody could reach it.
    Links are left alone."""
    for path in paths:
        if not _is_accessible_to_others(path):
            continue
        for at, folders, files in os.walk(path, topdown=False):
            for name in (*folders, *files):
                _make_path_owner_only(Path(at, name))
        _make_path_owner_only(path)


def _is_accessible_to_others(path: Path) -> bool:
    try:
        found = path.lstat().st_mode
    except FileNotFoundError:
        return False
    return not stat.S_ISLNK(found) and bool(found & _OTHERS)


def _make_path_owner_only(path: Path) -> None:
    try:
        if not _is_accessible_to_others(path):
            return
        entry = os.open(path, _ENTRY)
        try:
            os.fchmod(entry, stat.S_IMODE(os.fstat(entry).st_mode) & ~_OTHERS)
        finally:
            os.close(entry)
    except FileNotFoundError:
        return
    except OSError as error:
        logger.warning("files.open_to_others", path=str(path), reason=error.strerror)
