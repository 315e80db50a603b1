"""Whole folders, whatever is in them, copied and compared: git repositories, whose own files no FileStore shows."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex

from msgspec import Struct

from nexus.domain.core.failpoints import hit_failpoint
from nexus.domain.ports.files import TEMPORARY

_CHUNK = 1 << 20


class TreeSummary(Struct, frozen=True):
    """`sha256`: of all that is below a folder, in whatever order: path, kind, whether it may be run, content."""

    files: int
    sha256: str


class _Entry(Struct, frozen=True):
    path: Path
    name: str
    status: os.stat_result

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.status.st_mode)


def is_tree_empty(root: Path) -> bool:
    """Also when it is not there."""
    return not root.exists() or not any(root.iterdir())


def copy_tree(source: Path, target: Path, report_files: Callable[[int], None]) -> None:
    """Folders, files and links as they are. A file that is there with the same size and time is not copied again; each one is whole or
    not there. `report_files` hears after each how many there are."""
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in target.rglob(f"{TEMPORARY}*"):  # by a copy that was killed: in a git repository nobody else removes it
        left.unlink()
    files = 0
    for entry in _iterate_entries(source):
        copy = target / entry.name
        if entry.is_folder:
            copy.mkdir(mode=0o700, exist_ok=True)
        elif entry.is_link:
            _replace_link(entry.path.readlink(), copy)
        elif not _is_same_file(entry, copy):
            hit_failpoint("before:promotion.file")
            _copy_file(entry, copy)
            hit_failpoint("after:promotion.file")
        if not entry.is_folder:
            report_files(files := files + 1)


def summarize_tree(root: Path) -> TreeSummary:
    files, total = 0, 0
    for entry in _iterate_entries(root):
        files += not entry.is_folder
        total += int.from_bytes(_hash_entry(entry))
    return TreeSummary(files, f"{total % 2**256:064x}")


def _iterate_entries(root: Path) -> Iterator[_Entry]:
    """All below a folder, each folder before what is in it, but what is still being written."""
    for at, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(TEMPORARY)]
        for name in (*folders, *(name for name in files if not name.startswith(TEMPORARY))):
            path = Path(at, name)
            entry = _Entry(path, path.relative_to(root).as_posix(), path.lstat())
            if entry.is_folder or entry.is_link or stat.S_ISREG(entry.status.st_mode):
                yield entry


def _is_same_file(entry: _Entry, copy: Path) -> bool:
    try:
        there = copy.lstat()
    except FileNotFoundError:
        return False
    return (there.st_mode, there.st_size, there.st_mtime_ns) == (
        entry.status.st_mode,
        entry.status.st_size,
        entry.status.st_mtime_ns,
    )


def _copy_file(entry: _Entry, copy: Path) -> None:
    temporary = copy.with_name(TEMPORARY + token_hex(8))
    with entry.path.open("rb") as content, temporary.open("xb") as file:
        while some := content.read(_CHUNK):
            file.write(some)
        file.flush()
        os.fsync(file.fileno())
    temporary.chmod(stat.S_IMODE(entry.status.st_mode))
    os.utime(temporary, ns=(entry.status.st_atime_ns, entry.status.st_mtime_ns))
    temporary.replace(copy)


def _replace_link(leads_to: Path, copy: Path) -> None:
    temporary = copy.with_name(TEMPORARY + token_hex(8))
    temporary.symlink_to(leads_to)
    temporary.replace(copy)


def _hash_entry(entry: _Entry) -> bytes:
    kind = "folder" if entry.is_folder else "link" if entry.is_link else "file"
    is_run = kind == "file" and bool(entry.status.st_mode & stat.S_IXUSR)
    digest = hashlib.sha256(f"{kind}\0{int(is_run)}\0".encode() + os.fsencode(entry.name) + b"\0")
    if entry.is_link:
        digest.update(os.fsencode(entry.path.readlink()))
    elif not entry.is_folder:
        with entry.path.open("rb") as content:
            while some := content.read(_CHUNK):
                digest.update(some)
    return digest.digest()
