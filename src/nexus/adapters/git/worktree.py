"""The plain files of a project: brought to a commit so that a crash at any point is made good by doing it again.

The index says what the files were last brought to; it moves only after them. So the difference between index and commit is
always a list of all that may still be wrong."""

import asyncio
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

from nexus.adapters.git.command import Git
from nexus.domain.core.errors import Conflict, InvalidInput, Unavailable
from nexus.domain.ports.files import FileStore
from nexus.domain.ports.repository import check_tracked_path

_SHOWN = "nexus-shown"
_INDEX = "nexus-index-"
_HEAD = b"ref: refs/heads/main\n"


class _Difference(NamedTuple):
    path: str
    mode: bytes
    blob: str


class Worktree:
    """`files` holds the tree of a project at the path that the tree has below `root`."""

    def __init__(self, *, git: Git, root: Path, files: FileStore) -> None:
        self._git = git
        self._root = root
        self._files = files

    async def checkout_commit(self, tree: Path, commit_id: str, *, known: Mapping[str, bytes | None]) -> None:
        """Files, then index, to the commit. `known`: contents of the commit that are at hand."""
        differences = [
            one for one in await self._list_index_differences(tree, commit_id) if _is_trackable_path(one.path)
        ]
        for gone in differences:
            if gone.mode == b"000000":
                await self._files.delete_path(self._make_store_path(tree, gone.path))
        wanted = [one for one in differences if one.mode.startswith(b"100")]
        contents = await self._read_blobs(tree, [one for one in wanted if known.get(one.path) is None])
        for one in wanted:
            content = known.get(one.path)
            await self._write_tree_file(tree, one.path, contents[one.blob] if content is None else content)
        await self._set_index_to_commit(tree, commit_id)

    def _make_store_path(self, tree: Path, path: str) -> str:
        return f"{tree.relative_to(self._root).as_posix()}/{path}"

    async def _list_index_differences(self, tree: Path, commit_id: str) -> Sequence[_Difference]:
        """What the commit has in the place of what the index has; mode 000000: nothing."""
        arguments = ("diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", commit_id, "--")
        answer = await self._git.run_command(tree, *arguments)
        if answer.code:  # a damaged index says nothing: everything may be wrong
            await asyncio.to_thread((tree / ".git/index").unlink, missing_ok=True)
            return list(_parse_differences(await self._git.run_command_or_raise(tree, *arguments)))
        return list(_parse_differences(answer.out))

    async def _read_blobs(self, tree: Path, differences: Sequence[_Difference]) -> Mapping[str, bytes]:
        if not differences:
            return {}
        asked = "".join(f"{one.blob}\n" for one in differences).encode()
        return dict(_parse_git_objects(await self._git.run_command_or_raise(tree, "cat-file", "--batch", stdin=asked)))

    async def _write_tree_file(self, tree: Path, path: str, content: bytes) -> None:
        try:
            await self._files.write(self._make_store_path(tree, path), content)
        except Conflict:
            for obstacle in await asyncio.to_thread(_list_path_obstacles, tree, path):
                await self._files.delete_path(self._make_store_path(tree, obstacle))
            await self._files.write(self._make_store_path(tree, path), content)

    async def _set_index_to_commit(self, tree: Path, commit_id: str) -> None:
        index = tree / ".git" / (_INDEX + token_hex(8))
        try:
            await asyncio.to_thread(_copy_index_file, tree / ".git/index", index)
            await self._git.run_command_or_raise(tree, "read-tree", "--reset", commit_id, index=index)
            await asyncio.to_thread(_replace_git_index, tree, index, commit_id)
        finally:
            index.unlink(missing_ok=True)
            index.with_name(f"{index.name}.lock").unlink(missing_ok=True)  # of a git that was cut


def read_checkout_state(tree: Path) -> tuple[str | None, str | None]:
    """The newest commit, and the one that the files were last brought to."""
    if not has_git_repository(tree):
        return None, None
    shown = _read_text_if_exists(tree / ".git" / _SHOWN)
    newest = _read_text_if_exists(tree / ".git/refs/heads/main") or _find_packed_main_ref(
        _read_text_if_exists(tree / ".git/packed-refs") or ""
    )
    return newest, shown


def has_git_repository(tree: Path) -> bool:
    repository = tree / ".git"
    if repository.is_symlink() or (repository.exists() and not repository.is_dir()):
        raise Unavailable("In the place of this project's history is something else.", part="git")
    return repository.exists()


def replace_file_atomically(path: Path, content: bytes) -> None:
    """One small file of a repository, whole or not at all."""
    fresh = path.with_name(f"{path.name}-{token_hex(8)}")
    try:
        _write_private_file(fresh, content)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def make_private_folder(folder: Path) -> None:
    """The folder and those above it that are not there yet, for their owner alone."""
    for path in (*reversed(folder.parents), folder):
        if not path.is_dir():
            path.mkdir(mode=0o700, exist_ok=True)


def _write_private_file(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)


def _replace_git_index(tree: Path, index: Path, commit_id: str) -> None:
    repository = tree / ".git"
    index.replace(repository / "index")
    if (repository / "HEAD").read_bytes() != _HEAD:
        replace_file_atomically(repository / "HEAD", _HEAD)
    replace_file_atomically(repository / _SHOWN, f"{commit_id}\n".encode())


def _copy_index_file(index: Path, copy: Path) -> None:
    if index.exists():
        _write_private_file(copy, index.read_bytes())


def _read_text_if_exists(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None


def _find_packed_main_ref(text: str) -> str | None:
    for line in text.splitlines():
        commit_id, _, name = line.partition(" ")
        if name == "refs/heads/main":
            return commit_id
    return None


def _parse_differences(raw: bytes) -> Iterator[_Difference]:
    fields = raw.split(b"\0")
    for about, path in zip(fields[::2], fields[1::2], strict=False):
        mode, _, blob, *_ = about.removeprefix(b":").split(b" ")
        yield _Difference(os.fsdecode(path), mode, blob.decode())


def _parse_git_objects(raw: bytes) -> Iterator[tuple[str, bytes]]:
    while raw:
        line, _, rest = raw.partition(b"\n")
        blob, _, size = line.decode().split(" ")
        yield blob, rest[: int(size)]
        raw = rest[int(size) + 1 :]


def _is_trackable_path(path: str) -> bool:
    """What a user committed under a name that nexus would not use, the user also has in the files."""
    try:
        return bool(check_tracked_path(path))
    except InvalidInput:
        return False


def _list_path_obstacles(tree: Path, path: str) -> Sequence[str]:
    """The first part of the path that is no folder but should be one, or the path itself."""
    parts = path.split("/")
    for depth in range(1, len(parts)):
        above = "/".join(parts[:depth])
        try:
            if not stat.S_ISDIR((tree / above).lstat().st_mode):
                return [above]
        except FileNotFoundError:
            return []
    return [path]
