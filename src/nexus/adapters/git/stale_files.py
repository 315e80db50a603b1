"""What killed gits leave in the histories of projects that nobody works on any more."""

import asyncio
import glob
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

import structlog

_ID = "[0-9a-f]" * 16
_LOCKS = ("HEAD.lock", "packed-refs.lock", "refs/heads/main.lock")
_FILES = ("fast_import_crash_*", f"nexus-index-{_ID}", f"nexus-index-{_ID}.lock", f"HEAD-{_ID}", f"nexus-shown-{_ID}")
_OBJECTS = [f"objects/{folder}/{kind}_*" for folder in ("pack", "??") for kind in ("tmp_obj", "tmp_pack", "tmp_idx")]
BEFORE_WORK = {**dict.fromkeys(_LOCKS, 2.0), "fast_import_crash_*": 0.0}
"""Seconds after which each is nobody's for who works on the project: one call takes milliseconds, and a report is read by nobody."""
_AT_REST = {**dict.fromkeys((*_LOCKS, *_FILES), 300.0), **dict.fromkeys(_OBJECTS, 3600.0)}
"""For who does not: a call of nexus takes thirty seconds at most, and the user's own git may be at objects for longer."""

logger = structlog.get_logger()


class StaleFiles:
    """Looks through the repositories below `<root>/projects`, some at a time."""

    def __init__(self, *, root: Path) -> None:
        self._projects = root.absolute() / "projects"
        self._walk = _list_repositories(self._projects)

    async def delete_stale_files(self, *, projects: int = 50) -> int:
        """Removes what is old in the next so many projects; how many. Any process may, at any time."""
        return await asyncio.to_thread(self._delete_stale_blocking, projects)

    def _delete_stale_blocking(self, projects: int) -> int:
        repositories = list(islice(self._walk, projects))
        if len(repositories) < projects:
            self._walk = _list_repositories(self._projects)
        return sum(delete_old_files(repository, _AT_REST) for repository in repositories)


def _list_repositories(projects: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        for project in sorted(projects.iterdir()):
            repository = project / ".git"
            if not (repository.is_symlink() or project.is_symlink()) and repository.is_dir():
                yield repository


def delete_old_files(repository: Path, ages: Mapping[str, float]) -> int:
    """Removes what these patterns name, each once it is older than its seconds; how many."""
    now = time.time()
    return sum(
        _delete_path_if_old(repository / name, now - seconds)
        for pattern, seconds in ages.items()
        for name in glob.glob(pattern, root_dir=repository)  # noqa: PTH207 - quiet about what goes away meanwhile
    )


def _delete_path_if_old(path: Path, before: float) -> bool:
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
