"""What git alone must stand: kills, locks left behind, planted links, rivals, a user's own hands, no git at all."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from nexus.adapters.directory.files import DirectoryFiles
from nexus.adapters.git.repository import GitRepository
from nexus.domain.core.errors import NotFound, Unavailable
from nexus.domain.core.ids import make_ulid_source
from tests.fakes.files import MemoryFiles

ROOT = Path(__file__).parents[2]
PROJECT = make_ulid_source()("prj")


def opened(root: Path) -> GitRepository:
    return GitRepository(root=root, files=DirectoryFiles(root))


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    return opened(tmp_path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return tmp_path / "projects" / PROJECT


def git(tree: Path, *arguments: str) -> str:
    """As a user would, in the folder."""
    author = ("-c", "user.name=user", "-c", "user.email=user@localhost", "-c", "safe.directory=*")
    done = subprocess.run(["git", *author, *arguments], cwd=tree, capture_output=True, text=True, check=True)
    return done.stdout.strip()


async def assert_whole(root: Path, tree: Path, repository: GitRepository) -> None:
    """The tree holds what the newest commit holds, and nothing else; git finds no fault."""
    paths = await repository.list(PROJECT)
    kept = {path: await repository.read(PROJECT, path) for path in paths}
    files = DirectoryFiles(root)
    folder = f"projects/{PROJECT}/"
    assert {path.removeprefix(folder): await files.read(path) for path in await files.list(folder[:-1])} == kept
    assert git(tree, "status", "--porcelain", "--untracked-files=all") == ""
    assert "missing" not in git(tree, "fsck", "--strict")


async def test_a_user_finds_an_ordinary_repository(tmp_path: Path, repository: GitRepository, tree: Path) -> None:
    await repository.commit(
        PROJECT, {"说明/一 二.md": b"1\r\n", ".gitattributes": b"* text eol=crlf ident\n"}, message="题", key="1/a"
    )
    await repository.commit(PROJECT, {"b": b"$Id$\r\n", ".gitignore": b"b\n"}, message="T\n\nBuild: 1", key="1/b")
    assert git(tree, "log", "--format=%an <%ae> %s").split("\n") == [
        "nexus <nexus@localhost> T",
        "nexus <nexus@localhost> 题",
    ]
    assert git(tree, "log", "-1", "--format=%(trailers:unfold)") == "Build: 1\nNexus-Fence: 0/0\nNexus-Key: 1/b"
    assert (tree / "b").read_bytes() == b"$Id$\r\n"
    assert git(tree, "branch", "--all", "--format=%(refname)") == "refs/heads/main"
    await assert_whole(tmp_path, tree, repository)


async def test_the_environment_and_the_configuration_of_the_user_change_nothing(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker, config = tmp_path / "ran", tmp_path / "gitconfig"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {marker}\nexit 1\n")
    script.chmod(0o755)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in ("reference-transaction", "post-index-change", "post-checkout"):
        (hooks / hook).symlink_to(script)
    text = f"[core]\nhooksPath={hooks}\nfsmonitor={script}\n[commit]\ngpgSign=true\n[user]\nname=x\n[diff]\nexternal={script}\n"
    config.write_text(text)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(script))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    repository = opened(tmp_path)
    await repository.commit(PROJECT, {"a": b"1\n"}, message="m", key="1")
    with (tree / ".git/config").open("a") as own:
        own.write(text)
    (tree / ".git/hooks").mkdir(exist_ok=True)
    (tree / ".git/hooks/reference-transaction").symlink_to(script)
    await repository.commit(PROJECT, {"a": b"2\n"}, message="m", key="2")
    assert await repository.read(PROJECT, "a") == b"2\n"
    assert len(await repository.list_commits(PROJECT)) == 2
    assert not marker.exists()


def killed_while_committing(root: Path, run: str, after: int, *, group: bool) -> list[str]:
    """The commits that a process said were made before `kill -9`; `group`: the git it started dies with it."""
    command = [sys.executable, "-m", "tests.contracts.commit_writer", str(root), PROJECT, run]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(after)]
        victims = [*children(child.pid), child.pid] if group else [child.pid]
        for victim in victims:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                continue
        said += child.stdout.read().splitlines(keepends=True)
    return [line.split()[0] for line in said if line.endswith("\n")]


def children(pid: int) -> list[int]:
    listed = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for line in listed for child in line.split()]


@pytest.mark.parametrize("group", [False, True])
async def test_kill_9_keeps_every_acknowledged_commit_and_the_next_call_makes_the_tree_whole(
    tmp_path: Path, tree: Path, group: bool
) -> None:
    said: list[str] = []
    for run in range(4):
        said += await asyncio.to_thread(killed_while_committing, tmp_path, f"run{run}", 2 + run, group=group)
        repository = opened(tmp_path)
        history = [commit.commit_id for commit in await repository.list_commits(PROJECT, limit=1000)]
        assert set(said) <= set(history)
        await assert_whole(tmp_path, tree, repository)
    await repository.commit(PROJECT, {"after": b"1"}, message="m", key="after")
    await assert_whole(tmp_path, tree, repository)


class Crash(BaseException):
    pass


class FilesThatCrash(DirectoryFiles):
    """Ends the process, as far as the repository can tell, before the n-th change of a file."""

    def __init__(self, root: Path, left: int) -> None:
        super().__init__(root)
        self._left = left

    async def write(self, path: str, content: bytes) -> None:
        self._count()
        await super().write(path, content)

    async def delete_path(self, path: str) -> None:
        self._count()
        await super().delete_path(path)

    def _count(self) -> None:
        if self._left == 0:
            raise Crash
        self._left -= 1


@pytest.mark.parametrize("key", ["1", "2"], ids=["replacing", "following"])
@pytest.mark.parametrize("by", ["read", "list", "history", "nothing"])
@pytest.mark.parametrize("left", range(4))
async def test_a_crash_between_branch_and_files_is_made_good_by_the_next_commit_and_readers_leave_the_files_alone(
    tmp_path: Path, tree: Path, left: int, by: str, key: str
) -> None:
    first: Mapping[str, bytes | None] = {"a": b"1", "gone": b"1", "d/e": b"1"}
    repository = opened(tmp_path)
    await repository.commit(PROJECT, {"root": b"0"}, message="m", key="0")
    await repository.commit(PROJECT, first, message="m", key="1")
    crashing = GitRepository(root=tmp_path, files=FilesThatCrash(tmp_path, left))
    with pytest.raises(Crash):
        await crashing.commit(PROJECT, {"a": b"2", "gone": None, "d": b"2", "new": b"2"}, message="m", key=key)
    again, left_undone = opened(tmp_path), git(tree, "status", "--porcelain", "--untracked-files=all")
    match by:
        case "read":
            assert await again.read(PROJECT, "a") == b"2"
        case "list":
            assert await again.list(PROJECT) == ["a", "d", "new", "root"]
        case "history":
            assert len(await again.list_commits(PROJECT)) == (2 if key == "1" else 3)
    assert git(tree, "status", "--porcelain", "--untracked-files=all") == left_undone != ""
    await again.commit(PROJECT, {"other": b""}, message="m", key=key)
    assert git(tree, "status", "--porcelain", "--untracked-files=all") == ""
    await assert_whole(tmp_path, tree, again)


async def test_a_full_disk_is_told_to_who_commits_and_readers_need_no_place(tmp_path: Path) -> None:
    files = MemoryFiles(capacity=10)
    repository = GitRepository(root=tmp_path, files=files)
    with pytest.raises(Unavailable) as caught:
        await repository.commit(PROJECT, {"a": bytes(11)}, message="m", key="1")
    assert caught.value.facts["reason"] == "storage_full"
    assert [commit.key for commit in await repository.list_commits(PROJECT)] == ["1"], "readers need no place"
    with pytest.raises(Unavailable):
        await repository.commit(PROJECT, {"b": b""}, message="m", key="2")


async def test_what_a_failing_git_reported_is_swept_away(repository: GitRepository, tree: Path) -> None:
    await repository.commit(PROJECT, {"a": b"1"}, message="m", key="1")
    (tree / ".git" / "fast_import_crash_77").write_text("fast-import crash report")
    await repository.commit(PROJECT, {"a": b"2"}, message="m", key="2")
    assert not list((tree / ".git").glob("fast_import_crash_*"))


@pytest.mark.parametrize("lock", ["index.lock", "HEAD.lock", "refs/heads/main.lock", "packed-refs.lock", "config.lock"])
async def test_a_lock_that_a_killed_git_left_does_not_stop_a_commit(
    tmp_path: Path, repository: GitRepository, tree: Path, lock: str
) -> None:
    await repository.commit(PROJECT, {"a": b"1"}, message="m", key="1")
    left = tree / ".git" / lock
    left.write_text("")
    os.utime(left, (0, 0))
    await repository.commit(PROJECT, {"a": b"2"}, message="m", key="2")
    assert (tree / "a").read_bytes() == b"2"
    left.unlink(missing_ok=True)
    await assert_whole(tmp_path, tree, repository)


@pytest.mark.parametrize("damage", [b"", b"DIRC garbage", None])
async def test_a_lost_or_damaged_index_is_made_again(
    tmp_path: Path, repository: GitRepository, tree: Path, damage: bytes | None
) -> None:
    await repository.commit(PROJECT, {"a": b"1", "b": b"1"}, message="m", key="1")
    (tree / ".git/index").unlink()
    if damage is not None:
        (tree / ".git/index").write_bytes(damage)
    await repository.commit(PROJECT, {"a": b"2"}, message="m", key="2")
    await assert_whole(tmp_path, tree, repository)


async def test_rivals_on_one_project_all_arrive(tmp_path: Path, tree: Path) -> None:
    rivals = [opened(tmp_path) for _ in range(3)]
    writes = [
        rivals[n % 3].commit(PROJECT, {f"own/{n}": b"x", "shared": str(n).encode()}, message="m", key=str(n))
        for n in range(9)
    ]
    made = await asyncio.gather(*writes)
    history = await rivals[0].list_commits(PROJECT)
    assert sorted(made) == sorted(commit.commit_id for commit in history)
    await rivals[0].commit(PROJECT, {"last": b"x"}, message="m", key="last")
    assert len(await rivals[0].list(PROJECT)) == 11


async def test_a_planted_link_gives_way_and_leads_nowhere(
    tmp_path: Path, repository: GitRepository, tree: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("theirs")
    await repository.commit(PROJECT, {"a": b"1"}, message="m", key="1")
    (tree / "link").symlink_to(outside)
    (tree / "file").symlink_to(outside / "kept")
    await repository.commit(PROJECT, {"link/kept": b"mine", "file": b"mine", "link/new": b"mine"}, message="m", key="2")
    assert [path.name for path in outside.iterdir()] == ["kept"]
    assert (outside / "kept").read_text() == "theirs"
    assert stat.S_ISDIR((tree / "link").lstat().st_mode)
    await assert_whole(tmp_path, tree, repository)


async def test_a_folder_of_the_user_gives_way_to_a_file(tmp_path: Path, repository: GitRepository, tree: Path) -> None:
    await repository.commit(PROJECT, {"a": b"1"}, message="m", key="1")
    (tree / "b/c").mkdir(parents=True)
    (tree / "b/c/d").write_text("untracked")
    await repository.commit(PROJECT, {"b": b"2"}, message="m", key="2")
    await assert_whole(tmp_path, tree, repository)


async def test_what_the_user_changes_elsewhere_in_the_tree_stays(repository: GitRepository, tree: Path) -> None:
    await repository.commit(PROJECT, {"a": b"1", "b": b"1"}, message="m", key="1")
    (tree / "a").write_text("edited")
    (tree / "notes").write_text("mine")
    await repository.commit(PROJECT, {"b": b"2"}, message="m", key="2")
    assert git(tree, "status", "--porcelain").split("\n") == ["M a", "?? notes"]


async def test_the_users_own_commits_are_built_upon(tmp_path: Path, repository: GitRepository, tree: Path) -> None:
    await repository.commit(PROJECT, {"a": b"1"}, message="m", key="1")
    (tree / "a").write_text("by hand")
    (tree / "run").symlink_to("a")
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "-m", "By hand")
    git(tree, "gc", "--quiet")
    await repository.commit(PROJECT, {"b": b"2"}, message="m", key="1")
    assert [(commit.message, commit.key) for commit in await repository.list_commits(PROJECT)] == [
        ("m", "1"),
        ("By hand", ""),
        ("m", "1"),
    ]
    assert await repository.read(PROJECT, "a") == b"by hand"
    assert git(tree, "status", "--porcelain") == ""


async def test_a_branch_of_the_user_is_left_and_main_is_shown(
    tmp_path: Path, repository: GitRepository, tree: Path
) -> None:
    await repository.commit(PROJECT, {"a": b"1"}, message="m", key="1")
    git(tree, "checkout", "--quiet", "-b", "mine")
    await repository.commit(PROJECT, {"a": b"2"}, message="m", key="2")
    assert git(tree, "branch", "--show-current") == "main"
    await assert_whole(tmp_path, tree, repository)


async def test_a_removed_project_begins_again(tmp_path: Path, repository: GitRepository, tree: Path) -> None:
    await repository.commit(PROJECT, {"a": b"1"}, message="m", key="1")
    await DirectoryFiles(tmp_path).delete_path(f"projects/{PROJECT}")
    assert not tree.exists()
    assert await repository.list_commits(PROJECT) == []
    with pytest.raises(NotFound):
        await repository.read(PROJECT, "a")
    await repository.commit(PROJECT, {"b": b"1"}, message="m", key="1")
    await assert_whole(tmp_path, tree, repository)


async def test_something_else_in_the_place_of_the_history_is_refused(
    tmp_path: Path, repository: GitRepository, tree: Path
) -> None:
    await repository.commit(PROJECT, {"a": b"1"}, message="m", key="1")
    (tree / ".git").rename(tmp_path / "elsewhere")
    (tree / ".git").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unavailable):
        await repository.commit(PROJECT, {"a": b"2"}, message="m", key="2")
    with pytest.raises(Unavailable):
        await repository.read(PROJECT, "a")


async def test_a_missing_git_is_told_in_a_sentence(tmp_path: Path) -> None:
    repository = GitRepository(root=tmp_path, files=DirectoryFiles(tmp_path), program="no-such-git")
    with pytest.raises(Unavailable, match="git is not installed"):
        await repository.commit(PROJECT, {"a": b"1"}, message="m", key="1")
    assert not list((tmp_path / "projects").iterdir())


async def test_a_git_that_hangs_is_ended(tmp_path: Path) -> None:
    program, pid = tmp_path / "git", tmp_path / "pid"
    program.write_text(f"#!/bin/sh\nsleep 1000 &\necho $! > {pid}\nwait\n")
    program.chmod(0o755)
    repository = GitRepository(root=tmp_path, files=DirectoryFiles(tmp_path), program=str(program), seconds=0.5)
    with pytest.raises(Unavailable, match="took longer"):
        await repository.commit(PROJECT, {"a": b"1"}, message="m", key="1")
    assert not alive(int(pid.read_text()))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_a_cancelled_commit_leaves_a_whole_tree_behind(tmp_path: Path, tree: Path) -> None:
    repository = opened(tmp_path)
    await repository.commit(PROJECT, {"a": b"0"}, message="m", key="0")
    for turns in (1, 5, 10, 15, 20, 30, 40, 60):
        files: dict[str, bytes | None] = {f"{n}": str(turns).encode() for n in range(5)}
        committing = asyncio.create_task(repository.commit(PROJECT, files, message="m", key=str(turns)))
        for _ in range(turns):
            await asyncio.sleep(0)
        committing.cancel()
        await asyncio.gather(committing, return_exceptions=True)
        await assert_whole(tmp_path, tree, repository)
