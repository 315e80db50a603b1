"""Files below one root, by relative path."""

import unicodedata
from collections.abc import Sequence
from typing import Protocol

from nexus.domain.core.errors import InvalidInput

LONGEST_PATH = 1_000
"""Bytes of a whole path."""
MOST_PARTS = 32
TEMPORARY = ".nexus-write-"
"""How the name of a file starts that a store is still writing: never listed, refused as a path."""
_LONGEST_PART = 200


class FileStore(Protocol):
    """Paths are relative POSIX text; one that leaves the root, is absolute, empty, holds control characters or an empty,
    `.` or `..` part, or a part that starts with `-` or exceeds 200 bytes, is InvalidInput. So is more than 32 parts or 1000
    bytes, a backslash, and a part that git could take for `.git`. Links are never followed.

    Folders exist through the files in them. A file in the place of a folder, or the reverse, is a Conflict."""

    async def read(self, path: str) -> bytes:
        """NotFound when there is no such file."""
        ...

    async def write(self, path: str, content: bytes) -> None:
        """Whole or not at all, synced before it answers; makes folders as needed. Unavailable when the disk is full."""
        ...

    async def list(self, folder: str = "") -> Sequence[str]:
        """All files below a folder, as paths from the root, sorted. Empty when there is no such folder."""
        ...

    async def delete_path(self, path: str) -> None:
        """A file, or a folder with all that is in it. Quiet when absent."""
        ...


def check_path(path: str, *, below: str = "") -> tuple[str, ...]:
    """The parts of a path that keeps the rules of `FileStore`, also when it lies below that folder; else InvalidInput."""
    whole = below + path
    if (
        len(whole) > LONGEST_PATH
        or len(whole.encode(errors="replace")) > LONGEST_PATH
        or whole.count("/") >= MOST_PARTS
    ):
        raise InvalidInput("The path is too long.")
    parts = tuple(path.split("/"))
    for part in parts:
        if fault := _find_file_name_fault(part):
            raise InvalidInput(f"The path {path!r} is not allowed: {fault}.")
    return parts


def is_valid_file_name(name: str) -> bool:
    """Whether a file may be called so."""
    return not _find_file_name_fault(name)


def _find_file_name_fault(part: str) -> str:
    if part in ("", ".", ".."):
        return "it must be relative, without empty, `.` or `..` parts"
    if part.startswith(("-", TEMPORARY)):
        return f"a part starts with `-` or `{TEMPORARY}`"
    if "\\" in part or any(unicodedata.category(character) in ("Cc", "Cs") for character in part):
        return "it holds a backslash or a control character"
    if len(part.encode()) > _LONGEST_PART:
        return f"a part is longer than {_LONGEST_PART} bytes"
    return "`.git` belongs to the history" if _is_git_metadata_name(part) else ""


def _is_git_metadata_name(part: str) -> bool:
    """Also in the spellings that other systems resolve to `.git`: case, invisible characters, trailing dots, streams."""
    seen = "".join(character for character in part if unicodedata.category(character) != "Cf")
    return seen.casefold().split(":")[0].rstrip(" .") in (".git", "git~1")
