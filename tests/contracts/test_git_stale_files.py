"""What killed gits left is collected; what living ones hold, and the history, stay."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from nexus.adapters.git.stale_files import StaleFiles

LEFT = [
    "HEAD.lock",
    "packed-refs.lock",
    "refs/heads/main.lock",
    "fast_import_crash_4711",
    "nexus-index-0123456789abcdef",
    "nexus-index-0123456789abcdef.lock",
    "nexus-shown-0123456789abcdef",
    "HEAD-0123456789abcdef",
    "objects/pack/tmp_pack_a1B2c3",
    "objects/pack/tmp_idx_a1B2c3",
    "objects/ab/tmp_obj_a1B2c3",
]
"""What a kill may leave in a repository."""
KEPT = ["index.lock", "HEAD-of-mine", "description", "refs/heads/tmp_obj_branch"]
"""What is the user's own."""


def git(tree: Path, *arguments: str) -> str:
    who = ("-c", "user.name=ann", "-c", "user.email=ann@localhost")
    done = subprocess.run(["git", *who, *arguments], cwd=tree, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def repository(root: Path) -> Path:
    """A project with a history in this data directory."""
    tree = root / "projects/prj_1"
    tree.mkdir(parents=True)
    git(tree, "init", "--quiet", "--initial-branch=main")
    (tree / "a.md").write_text("a")
    git(tree, "add", "a.md")
    git(tree, "commit", "--quiet", "--message=One")
    return tree / ".git"


def left(repository: Path, names: list[str], *, seconds_ago: float) -> None:
    for name in names:
        path = repository / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("left")
        os.utime(path, (time.time() - seconds_ago, time.time() - seconds_ago))


def there(repository: Path, names: list[str]) -> list[str]:
    return [name for name in names if (repository / name).exists()]


async def test_what_a_kill_left_is_collected_and_the_history_stays(tmp_path: Path) -> None:
    project = repository(tmp_path)
    before = sorted(path.relative_to(project) for path in project.rglob("*"))
    left(project, LEFT, seconds_ago=7200)
    stale = StaleFiles(root=tmp_path)
    assert (await stale.delete_stale_files(), await stale.delete_stale_files()) == (len(LEFT), 0)
    (project / "objects/ab").rmdir()
    assert sorted(path.relative_to(project) for path in project.rglob("*")) == before
    assert (git(project.parent, "log", "--format=%s"), git(project.parent, "fsck", "--strict")) == ("One", "")


async def test_what_is_young_or_the_users_own_stays(tmp_path: Path) -> None:
    project = repository(tmp_path)
    left(project, LEFT, seconds_ago=60)
    left(project, KEPT, seconds_ago=7200)
    assert await StaleFiles(root=tmp_path).delete_stale_files() == 0
    assert there(project, [*LEFT, *KEPT]) == [*LEFT, *KEPT]


async def test_some_projects_are_looked_at_in_a_round_and_all_in_some(tmp_path: Path) -> None:
    projects = [tmp_path / f"projects/prj_{number}/.git" for number in range(5)]
    for project in projects:
        project.mkdir(parents=True)
        left(project, ["HEAD.lock"], seconds_ago=7200)
    stale = StaleFiles(root=tmp_path)
    assert [await stale.delete_stale_files(projects=2) for _ in range(4)] == [2, 2, 1, 0]


async def test_links_are_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere/.git"
    elsewhere.mkdir(parents=True)
    left(elsewhere, ["HEAD.lock"], seconds_ago=7200)
    (tmp_path / "projects/prj_1").mkdir(parents=True)
    (tmp_path / "projects/prj_1/.git").symlink_to(elsewhere)
    (tmp_path / "projects/prj_2").symlink_to(elsewhere.parent)
    assert await StaleFiles(root=tmp_path).delete_stale_files() == 0
    assert (elsewhere / "HEAD.lock").exists()


@pytest.mark.parametrize("there_is", ["nothing", "no projects", "a project without a history"])
async def test_where_nothing_is_nothing_is_collected(tmp_path: Path, there_is: str) -> None:
    if there_is != "nothing":
        (tmp_path / "projects").mkdir()
    if there_is == "a project without a history":
        (tmp_path / "projects/prj_1").mkdir()
    assert await StaleFiles(root=tmp_path).delete_stale_files() == 0
