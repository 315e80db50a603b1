"""Files in a directory tree: the disk of a laptop, or a network file system mounted by every replica."""

import asyncio
import errno
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import TypeVar

import structlog

from nexus.domain.core.errors import Conflict, NotFound, Unavailable
from nexus.domain.ports.files import LONGEST_PATH, MOST_PARTS, TEMPORARY, check_path, is_valid_file_name

_SETTLED = 60.0
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)
_NO_FILE = (errno.ELOOP, errno.ENXIO)
_NO_FOLDER = (errno.ENOTDIR, errno.ELOOP)
T = TypeVar("T")

logger = structlog.get_logger()


class DirectoryFiles:
    """A `FileStore`. Every part of a path is opened below the folder before it, so that no link can lead outside."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._walk = _list_unfinished_writes(self._root)

    async def read(self, path: str) -> bytes:
        parts = check_path(path)
        return await _run_in_thread(lambda: self._read_file_blocking(parts))

    async def write(self, path: str, content: bytes) -> None:
        parts = check_path(path)
        await _run_in_thread(lambda: self._write_file_blocking(parts, content))

    async def list(self, folder: str = "") -> Sequence[str]:
        parts = check_path(folder) if folder else ()
        return await _run_in_thread(lambda: self._list_files_blocking(parts))

    async def delete_path(self, path: str) -> None:
        parts = check_path(path)
        await _run_in_thread(lambda: self._delete_path_blocking(parts))

    async def delete_all_temp_files(self) -> int:
        """Removes what writes left that were cut by the end of their process; how many. For a process that has the tree for itself."""
        return await asyncio.to_thread(_delete_files_older_than, time.time(), _list_unfinished_writes(self._root))

    async def delete_old_temp_files(self, *, folders: int = 1000) -> int:
        """Removes what cut writes left in the next so many folders; how many. Any process may: a write that goes on for a minute
        without a byte, and loses its file by this, begins again."""
        return await asyncio.to_thread(self._delete_old_temp_blocking, folders)

    def _delete_old_temp_blocking(self, folders: int) -> int:
        left = list(islice(self._walk, folders))
        if len(left) < folders:
            self._walk = _list_unfinished_writes(self._root)
        return _delete_files_older_than(time.time() - _SETTLED, left)

    def _read_file_blocking(self, parts: tuple[str, ...]) -> bytes:
        try:
            with self._open_path_folders(parts[:-1]) as folders:
                content = _read_content(parts[-1], folders[-1])
        except (FileNotFoundError, Conflict):
            content = None
        if content is None:
            raise NotFound(f"There is no file {'/'.join(parts)!r}.")
        return content

    def _write_file_blocking(self, parts: tuple[str, ...], content: bytes) -> None:
        for _ in range(10):
            # a folder that just became empty may vanish between opening it and using it
            with suppress(FileNotFoundError):
                self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
                with self._open_path_folders(parts[:-1], make=True) as folders:
                    return _replace_file(parts[-1], content, folders[-1])
        raise Unavailable("The folder keeps vanishing.", reason="storage")

    def _list_files_blocking(self, parts: tuple[str, ...]) -> Sequence[str]:
        try:
            with self._open_path_folders(parts) as folders:
                found = _list_files(folders[-1], "".join(f"{part}/" for part in parts))
                return sorted(path for path in found if len(path.encode()) <= LONGEST_PATH)
        except (FileNotFoundError, Conflict):
            return []

    def _delete_path_blocking(self, parts: tuple[str, ...]) -> None:
        with suppress(FileNotFoundError, Conflict), self._open_path_folders(parts[:-1]) as folders:
            _delete_file_or_folder(parts[-1], folders[-1])
            for depth in range(len(parts) - 2, -1, -1):
                if not _delete_folder_if_empty(parts[depth], folders[depth]):
                    return

    @contextmanager
    def _open_path_folders(self, parts: Sequence[str], *, make: bool = False) -> Iterator[Sequence[int]]:
        """Descriptors of the root and of every folder on the way; Conflict where something else is in the way."""
        with ExitStack() as opened:
            folders = [os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
            opened.callback(os.close, folders[0])
            for part in parts:
                if make:
                    _make_folder(part, folders[-1])
                folders.append(_open_folder(part, folders[-1]))
                opened.callback(os.close, folders[-1])
            yield folders


async def _run_in_thread(work: Callable[[], T]) -> T:
    """In a thread. It has ended when this ends, cancelled or not: nothing writes behind the back of a later call."""
    running = asyncio.ensure_future(asyncio.to_thread(_translate_errors, work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait((running,))
        if not running.cancelled():
            running.exception()
        raise


def _translate_errors(work: Callable[[], T]) -> T:
    try:
        return work()
    except OSError as error:
        if error.errno in _FULL:
            raise Unavailable("The storage is full.", reason="storage_full") from error
        raise Unavailable("The storage does not answer.", reason="storage") from error


def _open_folder(name: str, folder: int) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except OSError as error:
        if error.errno in _NO_FOLDER:
            raise Conflict(f"{name!r} is not a folder.") from error
        raise


def _make_folder(name: str, folder: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=folder)
        os.fsync(folder)


def _read_content(name: str, folder: int) -> bytes | None:
    """None when it is no plain file. A pipe or a device in its place does not hold the reader."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _replace_file(name: str, content: bytes, folder: int) -> None:
    temporary = TEMPORARY + token_hex(8)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=folder), "wb") as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            _rename_temporary_file(temporary, name, folder)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            raise
    os.fsync(folder)


def _rename_temporary_file(temporary: str, name: str, folder: int) -> None:
    try:
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except IsADirectoryError:
        if not _delete_folder_if_empty(name, folder):
            raise Conflict(f"{name!r} is a folder.") from None
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def _delete_file_or_folder(name: str, folder: int) -> None:
    """FileNotFoundError when it is not there."""
    for _ in range(10):
        is_folder = stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
        try:
            if is_folder:
                shutil.rmtree(name, dir_fd=folder)
            else:
                os.unlink(name, dir_fd=folder)
        except OSError as error:
            if error.errno not in (errno.ENOENT, *_NOT_EMPTY):
                raise
            continue  # someone writes or removes below it at the same time
        os.fsync(folder)
        return
    raise Unavailable("The folder keeps filling.", reason="storage")


def _delete_folder_if_empty(name: str, folder: int) -> bool:
    try:
        os.rmdir(name, dir_fd=folder)
    except OSError as error:
        if error.errno not in _NOT_EMPTY:
            raise
        return False
    os.fsync(folder)
    return True


def _list_files(folder: int, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not is_valid_file_name(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False) and prefix.count("/") < MOST_PARTS - 1:
                yield from _list_files_below(entry.name, folder, prefix)
            elif entry.is_file(follow_symlinks=False):
                yield prefix + entry.name


def _list_files_below(name: str, folder: int, prefix: str) -> Iterator[str]:
    try:
        below = _open_folder(name, folder)
    except (FileNotFoundError, Conflict):
        return  # it went away, or changed its kind, since it was seen
    try:
        yield from _list_files(below, f"{prefix}{name}/")
    finally:
        os.close(below)


def _list_unfinished_writes(root: Path) -> Iterator[Sequence[Path]]:
    """Folder by folder, what has the name of a file that is still written."""
    for at, folders, names in os.walk(root):
        left = [name for name in (*folders, *names) if name.startswith(TEMPORARY)]
        folders[:] = [name for name in folders if name not in left and name != ".git"]
        yield [Path(at, name) for name in left]


def _delete_files_older_than(before: float, left: Iterable[Sequence[Path]]) -> int:
    """What is younger belongs to a write that goes on."""
    return sum(_delete_path_if_old(path, before) for paths in left for path in paths)


def _delete_path_if_old(path: Path, before: float) -> bool:
    try:
        if path.lstat().st_mtime >= before:
            return False
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        logger.warning("files.not_collected", path=str(path), reason=error.strerror)
        return False
    return True
