"""Histories in git repositories, one for each project, that a user can open with git itself."""

import asyncio
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple
from weakref import WeakValueDictionary

from nexus.adapters.git.command import Git, make_git_error
from nexus.adapters.git.stale_files import BEFORE_WORK, delete_old_files
from nexus.adapters.git.worktree import (
    Worktree,
    has_git_repository,
    make_private_folder,
    read_checkout_state,
    replace_file_atomically,
)
from nexus.domain.core.errors import NotFound, Unavailable
from nexus.domain.core.failpoints import hit_failpoint
from nexus.domain.core.instants import Clock, format_instant, system_clock
from nexus.domain.ports.files import TEMPORARY, FileStore
from nexus.domain.ports.repository import (
    ANYONE,
    Commit,
    Fence,
    Writer,
    check_file_change,
    check_tracked_path,
    make_project_folder,
)

_MAIN = "refs/heads/main"
_SCRATCH = "refs/nexus/scratch"
_NOTHING = "0" * 40
_TRIES = 20
_COMMIT_ID = re.compile(r"[0-9a-f]{40}")
_TRAILER = re.compile(r"[A-Za-z][A-Za-z0-9-]*: \S.*")
_KEY = "Nexus-Key: "
_FENCE = "Nexus-Fence: "
_FENCED = re.compile(rf"(?P<message>.*)\n{_FENCE}(?P<build_no>[0-9]{{1,18}})/(?P<task>[0-9]{{1,18}})", re.DOTALL)
_CONFIGURATION = b"""[core]
\trepositoryformatversion = 0
\tbare = false
\tfilemode = false
\tautocrlf = false
\tquotepath = false
"""
_ATTRIBUTES = b"* -text -eol -ident -filter -working-tree-encoding\n"
"""Whatever a project's own attributes say, its files are what was committed, byte for byte."""


class _Newest(NamedTuple):
    commit_id: str
    parents: Sequence[str]
    key: str
    fence: Fence


class _Message(NamedTuple):
    """What the text of a commit holds."""

    message: str
    key: str
    fence: Fence


class GitRepository:
    """A `Repository`: the working tree of a project is `<root>/projects/<project_id>`; `files` has the same root.

    Objects are written first, then the branch moves by compare and swap, then the files follow. What a crash leaves out of
    the last step, the next commit makes good; who reads, reads objects alone."""

    def __init__(
        self,
        *,
        root: Path,
        files: FileStore,
        clock: Clock = system_clock,
        program: str | None = None,
        seconds: float = 30.0,
    ) -> None:
        self._root = root.absolute()
        self._clock = clock
        self._git = Git(program=program, seconds=seconds)
        self._worktree = Worktree(git=self._git, root=self._root, files=files)
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    async def commit(
        self, project_id: str, files: Mapping[str, bytes | None], *, message: str, key: str, writer: Writer = ANYONE
    ) -> str:
        tree = self._root / make_project_folder(project_id)
        check_file_change(files, message=message, key=key, fence=writer.fence)
        text = _format_commit_message(message.strip(), key, writer.fence)
        async with self._get_tree_lock(tree):
            await self._ensure_repository(tree)
            for _ in range(_TRIES):
                newest = await self._read_newest_commit(tree, await self._checkout_newest_commit(tree))
                writer.fence.check_newest(newest.fence if newest else Fence())
                change = _encode_fast_import(newest, files, text=text, key=key, seconds=int(self._clock()))
                hit_failpoint("before:git.objects")
                made = await self._git.run_command_or_raise(tree, "fast-import", "--quiet", "--done", stdin=change)
                hit_failpoint("after:git.objects")
                commit_id = made.decode().strip()
                await writer.held()
                hit_failpoint("before:git.branch")
                if await self._move_branch_to_commit(tree, newest, commit_id):
                    hit_failpoint("after:git.branch")
                    hit_failpoint("before:git.files")
                    await self._worktree.checkout_commit(tree, commit_id, known=files)
                    hit_failpoint("after:git.files")
                    return commit_id
        raise Unavailable("Others keep committing to this project.", part="git")

    async def list_commits(self, project_id: str, *, limit: int = 100) -> Sequence[Commit]:
        tree = self._root / make_project_folder(project_id)
        newest = await self._find_newest_commit_id(tree)
        if newest is None or limit < 1:
            return []
        arguments = ("log", "-z", f"--max-count={limit}", "--format=%H%x00%ct%x00%B", "--encoding=UTF-8", newest, "--")
        fields = (await self._git.run_command_or_raise(tree, *arguments)).decode(errors="replace").split("\0")
        return [_make_commit_record(*entry) for entry in zip(fields[::3], fields[1::3], fields[2::3], strict=False)]

    async def list(self, project_id: str, *, at: str | None = None) -> Sequence[str]:
        tree = self._root / make_project_folder(project_id)
        newest = await self._find_newest_commit_id(tree)
        if newest is None and at is None:
            return []
        commit_id = await self._check_commit_exists(tree, at) if at is not None else str(newest)
        raw = await self._git.run_command_or_raise(tree, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit_id)
        return sorted(raw.decode(errors="replace").split("\0")[:-1])

    async def read(self, project_id: str, path: str, *, at: str | None = None) -> bytes:
        tree, path = self._root / make_project_folder(project_id), check_tracked_path(path)
        newest = await self._find_newest_commit_id(tree)
        commit_id = newest if at is None else at
        if newest and commit_id and _COMMIT_ID.fullmatch(commit_id):
            asked = f"{commit_id}^{{commit}}:{path}\n".encode()
            raw = await self._git.run_command_or_raise(tree, "cat-file", "--batch", stdin=asked)
            line, _, content = raw.partition(b"\n")
            if re.fullmatch(rb"[0-9a-f]{40} blob \d+", line):
                return content[:-1]
        raise NotFound(f"There is no file {path!r}.")

    def _get_tree_lock(self, tree: Path) -> asyncio.Lock:
        return self._locks.setdefault(tree, asyncio.Lock())

    async def _find_newest_commit_id(self, tree: Path) -> str | None:
        """For readers, who may run beside the process that writes: they leave the working tree alone."""
        return (await asyncio.to_thread(read_checkout_state, tree))[0]

    async def _checkout_newest_commit(self, tree: Path) -> str | None:
        newest, shown = await asyncio.to_thread(read_checkout_state, tree)
        if newest and newest != shown:
            await self._worktree.checkout_commit(tree, newest, known={})
        return newest

    async def _ensure_repository(self, tree: Path) -> None:
        """A repository appears whole: it is made beside the tree and moved into its place."""
        if await asyncio.to_thread(has_git_repository, tree):
            await asyncio.to_thread(delete_old_files, tree / ".git", BEFORE_WORK)
            return
        fresh = tree.with_name(TEMPORARY + token_hex(8))
        try:
            await asyncio.to_thread(make_private_folder, fresh)
            await self._git.init_bare_repository(fresh)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, fresh, ignore_errors=True)
            raise
        await asyncio.to_thread(
            _move_repository_into_place, fresh, tree
        )  # whoever waits may be cancelled: it cleans up by itself

    async def _read_newest_commit(self, tree: Path, commit_id: str | None) -> _Newest | None:
        if commit_id is None:
            return None
        raw = (await self._git.run_command_or_raise(tree, "cat-file", "commit", commit_id)).decode(errors="replace")
        head, _, text = raw.partition("\n\n")
        parents = [line.removeprefix("parent ") for line in head.split("\n") if line.startswith("parent ")]
        told = _parse_commit_message(text)
        return _Newest(commit_id, parents, told.key, told.fence)

    async def _move_branch_to_commit(self, tree: Path, newest: _Newest | None, commit_id: str) -> bool:
        """Moves the branch; False when it moved meanwhile, or when what held it is gone."""
        expected = newest.commit_id if newest else None
        answer = await self._git.run_command(tree, "update-ref", _MAIN, commit_id, expected or _NOTHING)
        if answer.code == 0:
            return True
        if ".lock': File exists" in answer.problem:
            await asyncio.to_thread(delete_old_files, tree / ".git", BEFORE_WORK)
            return False
        if (await asyncio.to_thread(read_checkout_state, tree))[0] == expected:
            raise make_git_error("update-ref", answer)
        return False

    async def _check_commit_exists(self, tree: Path, commit_id: str) -> str:
        exists = await asyncio.to_thread(has_git_repository, tree)
        if exists and _COMMIT_ID.fullmatch(commit_id):
            told = await self._git.run_command_or_raise(
                tree, "cat-file", "--batch-check", stdin=f"{commit_id}\n".encode()
            )
            if told.split(b" ")[1:2] == [b"commit"]:
                return commit_id
        raise NotFound("There is no such commit.")


def _encode_fast_import(
    newest: _Newest | None, files: Mapping[str, bytes | None], *, text: str, key: str, seconds: int
) -> bytes:
    """For fast-import: one commit, whose id it prints, on a branch that is dropped before it could appear."""
    parents: Sequence[str] = []
    if newest:
        parents = newest.parents if newest.key == key else [newest.commit_id]
    message = text.encode()
    lines = [b"commit %b" % _SCRATCH.encode(), b"mark :1", b"committer nexus <nexus@localhost> %d +0000" % seconds]
    lines += [b"data %d\n%b" % (len(message), message)]
    lines += [b"%b %b" % (b"merge" if nth else b"from", parent.encode()) for nth, parent in enumerate(parents)]
    lines += [b"D %b" % _quote_path(path) for path in files]
    for path, content in files.items():
        if content is not None:
            lines += [b"M 100644 inline %b\ndata %d\n%b" % (_quote_path(path), len(content), content)]
    lines += [b"", b"get-mark :1", b"reset %b" % _SCRATCH.encode(), b"from %b" % _NOTHING.encode(), b"", b"done", b""]
    return b"\n".join(lines)


def _quote_path(path: str) -> bytes:
    return b'"%b"' % path.replace('"', '\\"').encode()


def _format_commit_message(message: str, key: str, fence: Fence) -> str:
    """Fence and key join the trailers that the message may end with. A fence is always there: what looks like one in the message is
    not the last."""
    paragraphs = message.split("\n\n")
    last = paragraphs[-1].split("\n") if len(paragraphs) > 1 else []
    joined = bool(last) and all(_TRAILER.fullmatch(line) for line in last)
    return f"{message}{'' if joined else chr(10)}\n{_FENCE}{fence}\n{_KEY}{key}\n"


def _parse_commit_message(text: str) -> _Message:
    """Without the trailers that `_format_commit_message` adds, or what users and older histories have of them."""
    above, found, key = text.rstrip("\n").rpartition(f"\n{_KEY}")
    if not found or "\n" in key:
        return _Message(text.strip(), "", Fence())
    if fenced := _FENCED.fullmatch(above):
        return _Message(fenced["message"].strip(), key, Fence(int(fenced["build_no"]), int(fenced["task"])))
    return _Message(above.strip(), key, Fence())


def _make_commit_record(commit_id: str, seconds: str, text: str) -> Commit:
    told = _parse_commit_message(text)
    return Commit(commit_id=commit_id, message=told.message, key=told.key, created_at=format_instant(int(seconds)))


def _move_repository_into_place(fresh: Path, tree: Path) -> None:
    try:
        make_private_folder(fresh / "info")
        replace_file_atomically(fresh / "config", _CONFIGURATION)
        replace_file_atomically(fresh / "info/exclude", f"{TEMPORARY}*\n".encode())
        replace_file_atomically(fresh / "info/attributes", _ATTRIBUTES)
        make_private_folder(tree)
        fresh.rename(tree / ".git")
    except OSError:
        if not has_git_repository(tree):  # else another process was first
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
