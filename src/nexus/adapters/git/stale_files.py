"""What killed gits leave in the histories of projects that nobody works on any more."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import structlog

_SETTLED = 300.0
"""Seconds: one call of nexus takes thirty at most, and a call of the user's holds these locks for a moment."""
_UNFINISHED = 3600.0
"""Seconds: the user's own git may be at objects for longer."""
_LEFT = re.compile(
    r"(HEAD|packed-refs)\.lock|fast_import_crash_\d+|nexus-index-[0-9a-f]{16}(\.lock)?|(HEAD|nexus-shown)-[0-9a-f]{16}"
)

logger = structlog.get_logger()


class StaleFiles:
    """Looks through the repositories below `<root>/projects`, some at a time."""

    def __init__(self, *, root: Path) -> None:
        self._projects = root.absolute() / "projects"
        self._walk = _repositories(self._projects)

    async def collect(self, *, projects: int = 50) -> int:
        """Removes what is old in the next so many projects; how many. Any process may, at any time."""
        return await asyncio.to_thread(self._collect_leftovers, projects)

    def _collect_leftovers(self, projects: int) -> int:
        removed = 0
        for _ in range(projects):
            if (repository := next(self._walk, None)) is None:
                self._walk = _repositories(self._projects)
                break
            removed += _tidy_repository(repository)
        return removed


def _repositories(projects: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        for project in sorted(projects.iterdir()):
            repository = project / ".git"
            if not (repository.is_symlink() or project.is_symlink()) and repository.is_dir():
                yield repository


def _tidy_repository(repository: Path) -> int:
    now = time.time()
    heads, objects = repository / "refs/heads", repository / "objects"
    folders = [objects / "pack", *(folder for folder in _in(objects) if len(folder.name) == 2)]
    return sum(
        (
            *(_remove_if_old(path, now - _SETTLED) for path in _in(repository) if _LEFT.fullmatch(path.name)),
            _remove_if_old(heads / "main.lock", now - _SETTLED),
            *(
                _remove_if_old(path, now - _UNFINISHED)
                for folder in folders
                for path in _in(folder)
                if _is_unfinished(path)
            ),
        )
    )


def _in(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_unfinished(path: Path) -> bool:
    return path.name.startswith(("tmp_obj_", "tmp_pack_", "tmp_idx_"))


def _remove_if_old(path: Path, before: float) -> bool:
    try:
        if path.lstat().st_mtime >= before:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        logger.warning("git.not_collected", path=str(path), reason=error.strerror)
        return False
    return True
