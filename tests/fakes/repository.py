"""Histories that last as long as the process."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nexus.domain.core.errors import NotFound
from nexus.domain.core.instants import Clock, format_instant, system_clock
from nexus.domain.ports.files import FileStore
from nexus.domain.ports.repository import (
    ANYONE,
    Commit,
    Fence,
    Writer,
    check_file_change,
    check_tracked_path,
    make_project_folder,
)
from tests.fakes.files import MemoryFiles


class _Kept(NamedTuple):
    commit: Commit
    fence: Fence
    parent: str | None
    tree: Mapping[str, bytes]


class MemoryRepository:
    """A `Repository`. `files` is where the newest state of each project appears."""

    def __init__(self, *, files: FileStore | None = None, clock: Clock = system_clock) -> None:
        self._files = files or MemoryFiles()
        self._clock = clock
        self._commits: dict[tuple[str, str], _Kept] = {}
        self._newest: dict[str, str] = {}
        self._one_at_a_time = asyncio.Lock()

    async def commit(
        self, project_id: str, files: Mapping[str, bytes | None], *, message: str, key: str, writer: Writer = ANYONE
    ) -> str:
        folder, fence = make_project_folder(project_id), writer.fence
        check_file_change(files, message=message, key=key, fence=fence)
        async with self._one_at_a_time:
            before = self._kept(project_id)
            fence.check_newest(before.fence if before else Fence())
            await writer.held()
            kept = self._made(project_id, files, message=message.strip(), key=key, fence=fence)
            self._commits[project_id, kept.commit.commit_id] = kept
            self._newest[project_id] = kept.commit.commit_id
            await self._show(folder, before.tree if before else {}, kept.tree)
        return kept.commit.commit_id

    def _made(
        self, project_id: str, files: Mapping[str, bytes | None], *, message: str, key: str, fence: Fence
    ) -> _Kept:
        newest = self._kept(project_id)
        parent = newest.parent if newest and newest.commit.key == key else self._newest.get(project_id)
        below = self._commits[project_id, parent].tree if parent else {}
        number = f"{project_id} {len(self._commits)}".encode()
        commit_id = hashlib.sha1(number, usedforsecurity=False).hexdigest()
        commit = Commit(commit_id=commit_id, message=message, key=key, created_at=format_instant(int(self._clock())))
        return _Kept(commit, fence, parent, _changed(below, files))

    async def list_commits(self, project_id: str, *, limit: int = 100) -> Sequence[Commit]:
        make_project_folder(project_id)
        commits: list[Commit] = []
        at = self._newest.get(project_id)
        while at and len(commits) < limit:
            kept = self._commits[project_id, at]
            commits.append(kept.commit)
            at = kept.parent
        return commits

    async def list(self, project_id: str, *, at: str | None = None) -> Sequence[str]:
        make_project_folder(project_id)
        kept = self._kept(project_id, at)
        return sorted(kept.tree) if kept else []

    async def read(self, project_id: str, path: str, *, at: str | None = None) -> bytes:
        make_project_folder(project_id)
        check_tracked_path(path)
        kept = self._kept(project_id, at)
        if kept is None or path not in kept.tree:
            raise NotFound(f"There is no file {path!r}.")
        return kept.tree[path]

    def _kept(self, project_id: str, at: str | None = None) -> _Kept | None:
        if at is not None and (project_id, at) not in self._commits:
            raise NotFound("There is no such commit.")
        commit_id = self._newest.get(project_id) if at is None else at
        return self._commits[project_id, commit_id] if commit_id else None

    async def _show(self, folder: str, old: Mapping[str, bytes], new: Mapping[str, bytes]) -> None:
        for path in old.keys() - new.keys():
            await self._files.delete_path(f"{folder}/{path}")
        for path, content in new.items():
            if old.get(path) != content:
                await self._files.write(f"{folder}/{path}", content)


def _changed(tree: Mapping[str, bytes], files: Mapping[str, bytes | None]) -> dict[str, bytes]:
    """What gives way: the path itself, all below it, and a file in the place of one of its folders."""
    kept = {
        path: content
        for path, content in tree.items()
        if not any(
            path == other or path.startswith(f"{other}/") or (new is not None and other.startswith(f"{path}/"))
            for other, new in files.items()
        )
    }
    return kept | {path: content for path, content in files.items() if content is not None}
