"""What every `FileStore` promises."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from nexus.adapters.directory.files import DirectoryFiles
from nexus.domain.core.errors import Conflict, InvalidInput, NotFound, Unavailable
from nexus.domain.ports.files import FileStore, check_path
from tests.fakes.files import MemoryFiles

ESCAPES = [
    "",
    "/",
    "/etc/passwd",
    "..",
    "../x",
    "a/../../x",
    "a/..",
    "a/../b",
    ".",
    "./a",
    "a/.",
    "a//b",
    "a/",
    "//a",
    "a\0b",
    "\0",
    "a\nb",
    "a\x7f",
    "a\x85b",
    "a\\..\\b",
    "-rf",
    "a/--help",
    "\ud800",
    "x" * 201,
    "名" * 67,
    "/".join(["a"] * 33),
    "/".join(["x" * 199] * 6),
    ".git",
    "a/.GIT/config",
    ".g\u200cit/config",
    "git~1/x",
    ".git. /x",
    ".git::$INDEX_ALLOCATION/x",
    ".nexus-write-00",
    "x" * 1_000_000,
]
NAMES = [
    "a",
    ".env",
    "..a",
    "a b",
    "文件/说明 一.md",
    "a:b",
    "~",
    "*?[]",
    '"quoted"',
    "名" * 66,
    ".gitignore",
    "\u00e9",
    "e\u0301",
]


@pytest.fixture(params=["memory", "directory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    return MemoryFiles() if request.param == "memory" else DirectoryFiles(tmp_path / "root")


@pytest.mark.parametrize("path", ESCAPES, ids=lambda path: repr(path[:30]))
async def test_a_path_against_the_rules_is_refused_by_every_verb(files: FileStore, path: str) -> None:
    for act in (lambda: files.read(path), lambda: files.write(path, b"x"), lambda: files.delete_path(path)):
        with pytest.raises(InvalidInput):
            await act()
    with pytest.raises(InvalidInput):
        await files.list(path or "/")
    assert await files.list() == []


@pytest.mark.parametrize("path", NAMES)
async def test_what_was_written_is_read(files: FileStore, path: str) -> None:
    await files.write(path, b"one")
    await files.write(path, b"\0two")
    assert await files.read(path) == b"\0two"
    assert await files.list() == [path]


async def test_nothing_is_there_at_first(files: FileStore) -> None:
    assert await files.list() == []
    assert await files.list("a") == []
    await files.delete_path("a/b")
    with pytest.raises(NotFound):
        await files.read("a/b")


async def test_a_file_may_be_empty_or_large(files: FileStore) -> None:
    await files.write("empty", b"")
    await files.write("large", bytes(5_000_000))
    assert (await files.read("empty"), len(await files.read("large"))) == (b"", 5_000_000)


async def test_a_list_is_sorted_and_stays_in_its_folder(files: FileStore) -> None:
    for path in ("b", "a/c", "a-", "a/b/z", "ab/c", "a.b"):
        await files.write(path, b"")
    assert await files.list() == sorted(["b", "a/c", "a-", "a/b/z", "ab/c", "a.b"])
    assert await files.list("a") == ["a/b/z", "a/c"]
    assert await files.list("b") == []


async def test_removing_takes_a_file_or_a_whole_folder_and_can_be_done_twice(files: FileStore) -> None:
    for path in ("a/b/c", "a/d", "ab"):
        await files.write(path, b"")
    for _ in range(2):
        await files.delete_path("a/d")
        assert await files.list() == ["a/b/c", "ab"]
    for _ in range(2):
        await files.delete_path("a")
        assert await files.list() == ["ab"]


async def test_a_folder_is_no_file_and_a_file_no_folder(files: FileStore) -> None:
    await files.write("a/b", b"")
    for wrong in ("a", "a/b/c"):
        with pytest.raises(NotFound):
            await files.read(wrong)
        with pytest.raises(Conflict):
            await files.write(wrong, b"")
    await files.delete_path("a/b/c")
    assert await files.list() == ["a/b"]


async def test_a_folder_goes_with_its_last_file(files: FileStore) -> None:
    await files.write("a/b/c/d", b"")
    await files.delete_path("a/b/c/d")
    await files.write("a", b"now a file")
    assert await files.list() == ["a"]


async def test_readers_see_one_whole_content_or_the_other(files: FileStore) -> None:
    contents = [bytes([number]) * 100_000 for number in range(8)]
    await files.write("a", contents[0])
    writes = [files.write("a", content) for content in contents]
    reads = [files.read("a") for _ in range(30)]
    seen = await asyncio.gather(*writes, *reads)
    assert {content for content in seen if content is not None} <= set(contents)
    assert await files.read("a") in contents


async def test_folders_may_come_and_go_at_the_same_time(files: FileStore) -> None:
    async def come_and_go(number: int) -> None:
        for _ in range(10):
            await files.write(f"a/b/{number}", b"x")
            await files.delete_path(f"a/b/{number}")

    await asyncio.gather(*(come_and_go(number) for number in range(6)))
    assert await files.list() == []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


async def test_a_link_to_a_folder_is_not_followed(root: Path) -> None:
    files = DirectoryFiles(root)
    (root / "link").symlink_to("../outside")
    with pytest.raises(NotFound):
        await files.read("link/secret")
    with pytest.raises(Conflict):
        await files.write("link/new", b"x")
    await files.delete_path("link/secret")
    assert await files.list() == await files.list("link") == []
    assert [path.name for path in (root.parent / "outside").iterdir()] == ["secret"]
    await files.delete_path("link")
    assert (root.parent / "outside/secret").read_text() == "secret"
    assert not (root / "link").is_symlink()


async def test_a_link_to_a_file_is_not_followed(root: Path) -> None:
    files = DirectoryFiles(root)
    (root / "link").symlink_to("../outside/secret")
    with pytest.raises(NotFound):
        await files.read("link")
    assert await files.list() == []
    await files.write("link", b"mine")
    assert (await files.read("link"), (root.parent / "outside/secret").read_text()) == (b"mine", "secret")


async def test_links_within_a_removed_folder_take_nothing_with_them(root: Path) -> None:
    files = DirectoryFiles(root)
    await files.write("a/b", b"")
    (root / "a/link").symlink_to(root.parent / "outside")
    await files.delete_path("a")
    assert (root.parent / "outside/secret").exists()
    assert not (root / "a").exists()


async def test_pipes_and_names_that_cannot_be_asked_for_are_passed_over(root: Path) -> None:
    files = DirectoryFiles(root)
    os.mkfifo(root / "pipe")
    (root / ".git").mkdir()
    (root / ".git/config").write_text("")
    Path(os.fsdecode(bytes(root) + b"/\xff\xfe")).write_text("")
    (root / "-x").write_text("")
    assert await files.list() == []
    with pytest.raises(NotFound):
        await files.read("pipe")


async def test_what_a_crash_left_is_not_listed_and_goes_when_it_is_old(root: Path) -> None:
    files = DirectoryFiles(root)
    old, new = root / ".nexus-write-old", root / ".nexus-write-new"
    for left in (old, new):
        left.write_text("half")
    os.utime(old, (0, 0))
    assert await files.list() == []
    assert await files.delete_old_temp_files() == 1
    assert (old.exists(), new.exists()) == (False, True)


async def test_what_cut_writes_left_is_collected_wherever_it_is_and_what_goes_on_stays(root: Path) -> None:
    files = DirectoryFiles(root)
    await files.write("a/b/kept", b"kept")
    left = [root / ".nexus-write-1", root / "a/b/.nexus-write-2", root / "a/.nexus-write-folder"]
    left[2].mkdir()
    (left[2] / "inside").write_text("half")
    for path in left[:2]:
        path.write_text("half")
    (root / "a/.nexus-write-new").write_text("goes on")
    (root / "a/.git").mkdir()
    (root / "a/.git/.nexus-write-3").write_text("not ours")
    for path in (*left, root / "a/.git/.nexus-write-3"):
        os.utime(path, (0, 0))
    assert (await files.delete_old_temp_files(), await files.delete_old_temp_files()) == (3, 0)
    assert sorted(path.name for path in (root / "a").iterdir()) == [".git", ".nexus-write-new", "b"]
    assert (root / "a/.git/.nexus-write-3").exists()
    assert await files.list() == ["a/b/kept"]


async def test_a_large_tree_is_looked_through_some_folders_at_a_time_and_then_again(root: Path) -> None:
    files = DirectoryFiles(root)

    def leave() -> None:
        for number in range(5):
            (root / f"{number}").mkdir(exist_ok=True)
            (root / f"{number}/.nexus-write-x").write_text("half")
            os.utime(root / f"{number}/.nexus-write-x", (0, 0))

    for _ in range(2):
        leave()
        found = [await files.delete_old_temp_files(folders=2) for _ in range(4)]
        assert (sum(found), max(found)) == (5, 2)


async def test_a_write_whose_file_was_collected_begins_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, taken, sync = DirectoryFiles(root), list[str](), os.fsync

    def slow(descriptor: int) -> None:
        sync(descriptor)
        if not taken:
            taken.extend(path.name for path in root.glob(".nexus-write-*"))
            (root / taken[0]).unlink()

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", slow)
        await files.write("a", b"content")
    assert len(taken) == 1
    assert (await files.read("a"), [path.name for path in root.iterdir()]) == (b"content", ["a"])


async def test_there_is_nothing_to_collect_where_no_folder_is(tmp_path: Path) -> None:
    assert await DirectoryFiles(tmp_path / "none").delete_old_temp_files() == 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_a_full_disk_is_told_and_leaves_what_was_there(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    files = DirectoryFiles(root)
    await files.write("a", b"old")

    def full(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(Unavailable) as caught:
            await files.write("a", b"new")
    assert caught.value.facts["reason"] == "storage_full"
    assert await files.read("a") == b"old"
    assert [path.name for path in root.iterdir()] == ["a"]


async def test_the_memory_can_be_full_too() -> None:
    files = MemoryFiles(capacity=5)
    await files.write("a", b"12345")
    with pytest.raises(Unavailable) as caught:
        await files.write("b", b"6")
    assert caught.value.facts["reason"] == "storage_full"
    await files.write("a", b"54321")
    assert await files.list() == ["a"]


async def test_a_disk_that_refuses_is_unavailable(root: Path) -> None:
    (root / "file").write_text("")
    with pytest.raises(Unavailable) as caught:
        await DirectoryFiles(root / "file").write("a", b"")
    assert str(root) not in caught.value.detail


async def test_a_cancelled_write_has_ended_when_its_cancellation_shows(root: Path) -> None:
    files = DirectoryFiles(root)
    writing = asyncio.create_task(files.write("a", bytes(3_000_000)))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert not list(root.glob(".nexus-write-*"))


async def test_no_descriptor_is_left_open(root: Path) -> None:
    files = DirectoryFiles(root)

    async def everything() -> None:
        await files.write("a/b/c", b"")
        await files.list()
        for path in ("a/b", "a/b/c/d", "x"):
            with pytest.raises(NotFound):
                await files.read(path)
        with pytest.raises(Conflict):
            await files.write("a/b", b"")
        await files.delete_path("a/b/c")

    await everything()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        await everything()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_parts_of_a_good_path_are_answered() -> None:
    assert check_path("a/文/c") == ("a", "文", "c")
