"""The fence of a writer where other processes and a user's own hands write to the same git repository."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from nexus.adapters.git.repository import GitRepository
from nexus.domain.ports.repository import Fence, Overtaken, Writer
from tests.contracts.test_git import PROJECT, assert_whole, git, opened
from tests.contracts.test_repository import under


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    return opened(tmp_path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return tmp_path / "projects" / PROJECT


def once(act: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[None]]:
    """What another process does between the look of a writer and its move, the first time."""
    left = [act]

    async def held() -> None:
        if left:
            await left.pop()()

    return held


def keys(tree: Path) -> list[str]:
    return git(tree, "log", "--format=%(trailers:key=Nexus-Key,valueonly,separator=%x2C)").split()


@pytest.mark.parametrize("key", ["1/b", "1/c"], ids=["of the same work", "of other work"])
async def test_after_a_lost_swap_the_fence_is_judged_again(
    tmp_path: Path, repository: GitRepository, tree: Path, key: str
) -> None:
    await repository.commit(PROJECT, {"a": b"1"}, message="m", key="1/a", writer=under(1, 1))
    rival = opened(tmp_path)
    overtake = once(lambda: rival.commit(PROJECT, {"a": b"2"}, message="m", key="1/b", writer=under(1, 2)))
    with pytest.raises(Overtaken):
        stalled = Writer(fence=Fence(1, 1), held=overtake)
        await repository.commit(PROJECT, {"a": b"stale", "stale": b"1"}, message="m", key=key, writer=stalled)
    assert keys(tree) == ["1/b", "1/a"]
    assert (tree / "a").read_bytes() == b"2"
    assert not (tree / "stale").exists()
    await assert_whole(tmp_path, tree, repository)


async def test_after_a_lost_swap_the_later_writer_replaces_what_the_stale_one_made(
    tmp_path: Path, repository: GitRepository, tree: Path
) -> None:
    await repository.commit(PROJECT, {"a": b"1"}, message="m", key="1/a", writer=under(1, 1))
    stalled = opened(tmp_path)
    late = once(lambda: stalled.commit(PROJECT, {"stale": b"1"}, message="m", key="1/b", writer=under(1, 1)))
    await repository.commit(PROJECT, {"b": b"1"}, message="m", key="1/b", writer=Writer(fence=Fence(1, 2), held=late))
    assert keys(tree) == ["1/b", "1/a"]
    assert not (tree / "stale").exists()
    await assert_whole(tmp_path, tree, repository)


async def test_a_swap_that_was_lost_to_the_user_is_tried_again(
    tmp_path: Path, repository: GitRepository, tree: Path
) -> None:
    await repository.commit(PROJECT, {"a": b"1"}, message="m", key="1/a", writer=under(1, 1))

    async def by_hand() -> None:
        git(tree, "commit", "--quiet", "--allow-empty", "-m", "By hand")

    writer = Writer(fence=Fence(1, 1), held=once(by_hand))
    await repository.commit(PROJECT, {"b": b"1"}, message="m", key="1/b", writer=writer)
    assert [commit.message for commit in await repository.list_commits(PROJECT)] == ["m", "By hand", "m"]
    await assert_whole(tmp_path, tree, repository)


async def test_the_fence_lies_in_the_commit_and_outlives_the_process(
    tmp_path: Path, repository: GitRepository, tree: Path
) -> None:
    await repository.commit(PROJECT, {"a": b"1"}, message="Title\n\nBuild: 3", key="3/a", writer=under(3, 12))
    assert git(tree, "log", "-1", "--format=%(trailers:unfold)") == "Build: 3\nNexus-Fence: 3/12\nNexus-Key: 3/a"
    git(tree, "gc", "--quiet")
    with pytest.raises(Overtaken):
        await opened(tmp_path).commit(PROJECT, {"a": b"2"}, message="m", key="3/b", writer=under(3, 11))


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("By hand", ""),
        ("By hand\n\nNexus-Fence: 9/9", ""),
        ("Older\n\nBuild: 1\nNexus-Key: 1/b", "1/b"),
        ("Odd\n\nNexus-Fence: 9\nNexus-Key: 1/b", "1/b"),
        ("Odd\n\nNexus-Fence: " + "9" * 5000 + "/1\nNexus-Key: 1/b", "1/b"),
    ],
    ids=["by hand", "without a key", "older", "half a fence", "endless"],
)
async def test_a_commit_that_keeps_no_fence_has_the_lowest(
    tmp_path: Path, repository: GitRepository, tree: Path, message: str, found: str
) -> None:
    await repository.commit(PROJECT, {"a": b"1"}, message="m", key="1/a", writer=under(1, 2))
    git(tree, "commit", "--quiet", "--allow-empty", "-m", message)
    assert [commit.key for commit in await repository.list_commits(PROJECT)] == [found, "1/a"]
    await repository.commit(PROJECT, {"b": b"1"}, message="m", key="1/b", writer=under(0, 1))
    expected = ["1/b", "1/a"] if found else ["1/b", "", "1/a"]
    assert [commit.key for commit in await repository.list_commits(PROJECT)] == expected
    await assert_whole(tmp_path, tree, repository)
