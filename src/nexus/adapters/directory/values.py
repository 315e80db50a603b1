"""Large values as files that are called by their SHA-256, and the removal of those to which no row refers."""

import asyncio
import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path

import structlog
from msgspec import Struct

from nexus.adapters.directory.files import DirectoryFiles
from nexus.domain.core.errors import NotFound
from nexus.domain.ports.values import DamagedValue

FOLDER = "spilled"
GRACE_SECONDS = 86_400.0
"""How long a value is kept after it was written, and again after no row referred to it: longer than any write, any reader of an older row and
any index take."""
RECENT_BYTES = 16_000_000
"""What is remembered of values that were read: the lease of a row is renewed every second, and the row is read for that."""
_ASIDE = ".unused"

logger = structlog.get_logger()


class KeptValue(Struct, frozen=True):
    """`is_aside`: a sweep has found before that nothing refers to it. `is_old`: nothing happened to it for the grace."""

    digest: str
    path: Path
    is_aside: bool
    is_old: bool


class SweptValues(Struct, frozen=True):
    """How many values a sweep saw, set aside because nothing refers to them, and deleted because nothing did before."""

    seen: int
    set_aside: int
    deleted: int


class RecentValues:
    """The values that were asked for last, as many as fit."""

    def __init__(self, most: int) -> None:
        self._contents, self._space = OrderedDict[str, bytes](), most

    def find(self, digest: str) -> bytes | None:
        if (content := self._contents.get(digest)) is not None:
            self._contents.move_to_end(digest)
        return content

    def add(self, digest: str, content: bytes) -> None:
        self._space += len(self._contents.pop(digest, b"")) - len(content)
        self._contents[digest] = content
        while self._space < 0:
            self._space += len(self._contents.popitem(last=False)[1])


class DirectoryValues:
    """A ValueStore below the root of the files. A value is deleted by the second sweep that finds no row which refers to it, and can be read
    until then; one that is written again meanwhile is there again."""

    def __init__(self, root: Path, *, grace: float = GRACE_SECONDS, clock: Callable[[], float] = time.time) -> None:
        self._root, self._grace, self._clock = root.absolute() / FOLDER, grace, clock
        self._files, self._recent = DirectoryFiles(self._root), RecentValues(RECENT_BYTES)

    async def keep_value(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        if not await asyncio.to_thread(_touch_file, self._root / _make_path(digest), len(content)):
            await self._files.write(_make_path(digest), content)
        return digest

    async def read_value(self, digest: str) -> bytes:
        if (content := self._recent.find(digest)) is None:
            content = await self._read_checked_file(digest)
            self._recent.add(digest, content)
        return content

    async def _read_checked_file(self, digest: str) -> bytes:
        path = _make_path(digest)
        for name in (path, path + _ASIDE, path):  # a sweep may move it to and fro meanwhile
            with suppress(NotFound):
                content = await self._files.read(name)
                if hashlib.sha256(content).hexdigest() == digest:
                    return content
                logger.error("value.damaged", path=str(self._root / name))
                raise DamagedValue(f"The file {FOLDER}/{name} is not what was written there.")
        logger.error("value.missing", path=str(self._root / path))
        raise DamagedValue(f"The file {FOLDER}/{path} is missing, and a row refers to it.")

    async def list_values(self) -> list[KeptValue]:
        return await asyncio.to_thread(lambda: list(self._iterate_values()))

    async def delete_unused_values(self, listed: Collection[KeptValue], used: Collection[str]) -> SweptValues:
        """`used`: the digests to which rows refer, read after `listed`."""
        return await asyncio.to_thread(self._sweep_values, listed, used)

    def _iterate_values(self) -> Iterator[KeptValue]:
        before = self._clock() - self._grace
        for path in self._root.glob("??/*"):
            digest = path.name.removesuffix(_ASIDE)
            if len(digest) == hashlib.sha256().digest_size * 2:
                with suppress(FileNotFoundError):
                    status = path.stat()
                    is_old = max(status.st_mtime, status.st_ctime) < before  # the latter, where a sweep was cut
                    yield KeptValue(digest, path, path.name.endswith(_ASIDE), is_old)

    def _sweep_values(self, listed: Collection[KeptValue], used: Collection[str]) -> SweptValues:
        set_aside = deleted = 0
        for value in listed:
            if value.digest in used:
                if value.is_aside:
                    _move_file(value.path, value.path.with_name(value.digest))
            elif value.is_old and value.is_aside:
                value.path.unlink(missing_ok=True)
                deleted += 1
            elif value.is_old:
                set_aside += self._set_aside(value.path)
        return SweptValues(len(listed), set_aside, deleted)

    def _set_aside(self, path: Path) -> bool:
        """Not what was written again since it was listed: its row may be about to come. Whoever writes it from now on writes it anew."""
        aside = path.with_name(path.name + _ASIDE)
        if not _move_file(path, aside):
            return False
        now = self._clock()
        if aside.stat().st_mtime < now - self._grace:
            os.utime(aside, (now, now))
            return True
        _move_file(aside, path)
        return False


def _make_path(digest: str) -> str:
    return f"{digest[:2]}/{digest}"


def _touch_file(path: Path, size: int) -> bool:
    """Whether it is there, whole, and now as young as if it had just been written."""
    try:
        os.utime(path)
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _move_file(path: Path, target: Path) -> bool:
    try:
        path.rename(target)
    except FileNotFoundError:
        return False
    return True
