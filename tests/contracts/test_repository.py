"""What every `Repository` promises."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from nexus.adapters.directory.files import DirectoryFiles
from nexus.adapters.git.repository import GitRepository
from nexus.domain.core.errors import Conflict, InvalidInput, NotFound, Unavailable
from nexus.domain.core.ids import make_ulid_source
from nexus.domain.ports.files import FileStore
from nexus.domain.ports.repository import Fence, Overtaken, Repository, Writer
from tests.contracts.test_files import ESCAPES
from tests.fakes.files import MemoryFiles
from tests.fakes.repository import MemoryRepository

NEW_ID = make_ulid_source()
UNKNOWN = "0123456789" * 4
NAMES = [
    ".env",
    "a b",
    "文件/说明 一.md",
    "a:b",
    "*?[]",
    ':(top)"quoted"',
    "'",
    ":1",
    "HEAD",
    "{}^~",
    "名" * 66,
    ".gitignore",
    "e\u0301",
]


class Place(NamedTuple):
    repository: Repository
    files: FileStore


@pytest.fixture(params=["memory", "git"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    files: FileStore = MemoryFiles() if request.param == "memory" else DirectoryFiles(tmp_path)
    if request.param == "memory":
        return Place(MemoryRepository(files=files, clock=lambda: 1_700_000_000.9), files)
    return Place(GitRepository(root=tmp_path, files=files, clock=lambda: 1_700_000_000.9), files)


@pytest.fixture
def repository(place: Place) -> Repository:
    return place.repository


@pytest.fixture
def project_id() -> str:
    return NEW_ID("prj")


def under(build_no: int, task: int) -> Writer:
    return Writer(fence=Fence(build_no, task))


async def shown(place: Place, project_id: str) -> dict[str, bytes]:
    folder = f"projects/{project_id}"
    return {path.removeprefix(f"{folder}/"): await place.files.read(path) for path in await place.files.list(folder)}


async def test_a_project_without_commits_has_nothing(repository: Repository, project_id: str) -> None:
    assert await repository.list_commits(project_id) == []
    assert await repository.list(project_id) == []
    with pytest.raises(NotFound):
        await repository.read(project_id, "a")
    with pytest.raises(NotFound):
        await repository.list(project_id, at=UNKNOWN)


async def test_a_commit_keeps_its_files_and_shows_them(place: Place, project_id: str) -> None:
    repository = place.repository
    first = await repository.commit(
        project_id, {"a": b"1", "d/b": b"\0\xff\r\n", "e": b""}, message="一\n\nWhy", key="1/x"
    )
    second = await repository.commit(project_id, {"a": b"2", "d/b": None, "d/c": b"3"}, message="Two", key="1/y")
    assert await repository.list(project_id) == ["a", "d/c", "e"]
    assert await repository.list(project_id, at=first) == ["a", "d/b", "e"]
    assert await repository.read(project_id, "d/b", at=first) == b"\0\xff\r\n"
    assert await repository.read(project_id, "e") == b""
    assert [await repository.read(project_id, "a", at=at) for at in (first, second, None)] == [b"1", b"2", b"2"]
    newest, oldest = await repository.list_commits(project_id)
    assert (newest.commit_id, newest.message, newest.key) == (second, "Two", "1/y")
    assert (oldest.commit_id, oldest.message, oldest.key) == (first, "一\n\nWhy", "1/x")
    assert newest.created_at == "2023-11-14T22:13:20.000Z"
    assert await repository.list_commits(project_id, limit=1) == [newest]
    assert await repository.list_commits(project_id, limit=0) == []
    assert await shown(place, project_id) == {"a": b"2", "d/c": b"3", "e": b""}


@pytest.mark.parametrize("path", NAMES)
async def test_any_good_name_can_be_committed(place: Place, project_id: str, path: str) -> None:
    commit_id = await place.repository.commit(project_id, {path: b"one"}, message="m", key="k")
    assert await place.repository.list(project_id) == [path]
    assert await place.repository.read(project_id, path, at=commit_id) == b"one"
    assert await shown(place, project_id) == {path: b"one"}
    await place.repository.commit(project_id, {path: None}, message="m", key="l")
    assert await place.repository.list(project_id) == []
    assert await shown(place, project_id) == {}


@pytest.mark.parametrize(
    "path", [*ESCAPES, "/".join(["x" * 195] * 5), "/".join(["a"] * 31)], ids=lambda path: repr(path[:30])
)
async def test_a_path_against_the_rules_is_refused_and_nothing_is_made(
    place: Place, project_id: str, path: str
) -> None:
    for content in (b"x", None):
        with pytest.raises(InvalidInput):
            await place.repository.commit(project_id, {"good": b"x", path: content}, message="m", key="k")
    with pytest.raises(InvalidInput):
        await place.repository.read(project_id, path)
    assert await place.repository.list_commits(project_id) == []
    assert await place.files.list() == []


@pytest.mark.parametrize(
    "wrong", ["", "..", "../x", "prj_", "agt_01ARZ3NDEKTSV4RRFFQ69G5FAV", "prj_01ARZ3NDEKTSV4RRFFQ69G5FA/"]
)
async def test_only_ids_of_projects_are_taken(repository: Repository, wrong: str) -> None:
    acts: list[Callable[[], object]] = [
        lambda: repository.commit(wrong, {}, message="m", key="k"),
        lambda: repository.list_commits(wrong),
        lambda: repository.list(wrong),
        lambda: repository.read(wrong, "a"),
    ]
    for act in acts:
        with pytest.raises(InvalidInput):
            await act()  # type: ignore[misc]  # every one of them is a coroutine


@pytest.mark.parametrize(
    ("message", "key"),
    [("", "k"), (" \n", "k"), ("a\0b", "k"), ("a\x1b[31m", "k"), ("\ud800", "k"), ("x" * 10_001, "k"),
     ("m", ""), ("m", "a\nNexus-Key: b"), ("m", " k"), ("m", "k" * 201)],
)  # fmt: skip
async def test_a_message_or_key_that_would_not_come_back_is_refused(
    repository: Repository, project_id: str, message: str, key: str
) -> None:
    with pytest.raises(InvalidInput):
        await repository.commit(project_id, {}, message=message, key=key)


@pytest.mark.parametrize(
    "message",
    [
        "One line",
        "Title\n\nBuild: 1\nStage: intake",
        "Nexus-Key: forged",
        "Title\n\nNexus-Key: forged",
        "data 5\ndone",
        "Nexus-Fence: 9/9",
        "Title\n\nNexus-Fence: 9/9",
        "Title\n\nNexus-Fence: 9/9\nNexus-Key: forged",
        "题目：一",
    ],
)
async def test_a_message_and_its_key_come_back(repository: Repository, project_id: str, message: str) -> None:
    await repository.commit(project_id, {}, message=f"\n{message}\n", key="1/阶段 一")
    (commit,) = await repository.list_commits(project_id)
    assert (commit.message, commit.key) == (message, "1/阶段 一")
    await repository.commit(project_id, {}, message=message, key="1/b", writer=under(1, 2))
    with pytest.raises(Overtaken):
        await repository.commit(project_id, {}, message=message, key="1/c", writer=under(1, 1))
    assert [commit.message for commit in await repository.list_commits(project_id)] == [message, message]


async def test_a_commit_may_change_nothing(repository: Repository, project_id: str) -> None:
    await repository.commit(project_id, {"a": b"1"}, message="m", key="1")
    await repository.commit(project_id, {"a": b"1", "never/was": None}, message="m", key="2")
    await repository.commit(project_id, {}, message="m", key="3")
    assert [commit.key for commit in await repository.list_commits(project_id)] == ["3", "2", "1"]
    assert await repository.list(project_id) == ["a"]


async def test_work_that_is_done_again_leaves_one_commit_and_only_its_own_files(place: Place, project_id: str) -> None:
    commit = place.repository.commit
    await commit(project_id, {"kept": b"1", "changed": b"1", "gone": b"1"}, message="m", key="1/a")
    await commit(project_id, {"changed": b"2", "gone": None, "left/over": b"2"}, message="try 1", key="1/b")
    await commit(project_id, {"own": b"3"}, message="try 2", key="1/b")
    assert [(one.key, one.message) for one in await place.repository.list_commits(project_id)] == [
        ("1/b", "try 2"),
        ("1/a", "m"),
    ]
    assert await shown(place, project_id) == {"kept": b"1", "changed": b"1", "gone": b"1", "own": b"3"}
    await commit(project_id, {"own": b"4"}, message="m", key="1/a")
    assert [one.key for one in await place.repository.list_commits(project_id)] == ["1/a", "1/b", "1/a"]


async def test_the_first_commit_can_be_done_again(place: Place, project_id: str) -> None:
    for number in (b"1", b"2", b"2"):
        await place.repository.commit(project_id, {number.decode(): number}, message="m", key="1/a")
    assert len(await place.repository.list_commits(project_id)) == 1
    assert await shown(place, project_id) == {"2": b"2"}


async def test_files_and_folders_take_each_others_place(place: Place, project_id: str) -> None:
    for files in ({"a": b"file"}, {"a/b/c": b"deep", "a/d": b""}, {"a/b": b"less deep"}, {"a": b"file again"}):
        await place.repository.commit(project_id, files, message="m", key=str(files))
        assert {path: (await shown(place, project_id))[path] for path in files} == files
        assert list(await shown(place, project_id)) == await place.repository.list(project_id)
    assert await place.repository.list(project_id) == ["a"]
    with pytest.raises(InvalidInput):
        await place.repository.commit(project_id, {"x": b"", "x/y": b""}, message="m", key="k")
    await place.repository.commit(project_id, {"a": None, "a/y": b"1"}, message="m", key="k")
    assert await shown(place, project_id) == {"a/y": b"1"}


async def test_removing_a_folder_takes_all_below_it(place: Place, project_id: str) -> None:
    await place.repository.commit(project_id, {"a/b/c": b"1", "a/d": b"1", "ab": b"1"}, message="m", key="1")
    await place.repository.commit(project_id, {"a": None}, message="m", key="2")
    assert await shown(place, project_id) == {"ab": b"1"}


@pytest.mark.parametrize(
    "at", [UNKNOWN, "", "HEAD", "main", "--all", "-p", "HEAD~1", UNKNOWN[:7], "\0", "x\ny", "HEAD:a"]
)
async def test_only_ids_of_commits_name_a_state(repository: Repository, project_id: str, at: str) -> None:
    await repository.commit(project_id, {"a": b"1"}, message="m", key="1")
    with pytest.raises(NotFound):
        await repository.read(project_id, "a", at=at)
    with pytest.raises(NotFound):
        await repository.list(project_id, at=at)


async def test_projects_do_not_see_each_other(repository: Repository, project_id: str) -> None:
    theirs = await repository.commit(project_id, {"a": b"1"}, message="m", key="1")
    await repository.commit(NEW_ID("prj"), {"b": b"1"}, message="m", key="1")
    other = NEW_ID("prj")
    await repository.commit(other, {"b": b"2"}, message="m", key="1")
    with pytest.raises(NotFound):
        await repository.read(other, "a", at=theirs)
    with pytest.raises(NotFound):
        await repository.list(other, at=theirs)


async def test_a_folder_or_a_missing_path_is_not_found(repository: Repository, project_id: str) -> None:
    await repository.commit(project_id, {"a/b": b"1"}, message="m", key="1")
    for path in ("a", "c", "a/b/c"):
        with pytest.raises(NotFound):
            await repository.read(project_id, path)


async def test_concurrent_commits_to_one_project_all_arrive(place: Place, project_id: str) -> None:
    writes = [
        place.repository.commit(project_id, {f"own/{n}": b"x", "shared": str(n).encode()}, message="m", key=str(n))
        for n in range(8)
    ]
    made = await asyncio.gather(*writes)
    history = await place.repository.list_commits(project_id)
    assert sorted(made) == sorted(commit.commit_id for commit in history)
    files = await shown(place, project_id)
    assert sorted(files) == [*(f"own/{n}" for n in range(8)), "shared"]
    assert files["shared"] == history[0].key.encode()


async def test_large_and_many_files_fit(repository: Repository, project_id: str) -> None:
    files: dict[str, bytes | None] = {f"{n % 7}/{n}": b"x" * n for n in range(300)}
    await repository.commit(project_id, files | {"large": bytes(3_000_000)}, message="m", key="1")
    assert len(await repository.list(project_id)) == 301
    assert len(await repository.read(project_id, "large")) == 3_000_000


async def test_the_longest_and_deepest_paths_fit_below_the_folder_of_a_project(place: Place, project_id: str) -> None:
    files: dict[str, bytes | None] = {"/".join(["a"] * 30): b"1", "/".join(["x" * 190] * 5): b"2"}
    await place.repository.commit(project_id, files, message="m", key="1")
    assert await shown(place, project_id) == files


async def test_a_full_disk_is_told_and_the_same_key_heals_it(project_id: str) -> None:
    repository = MemoryRepository(files=MemoryFiles(capacity=10))
    with pytest.raises(Unavailable):
        await repository.commit(project_id, {"a": bytes(11)}, message="m", key="1")
    await repository.commit(project_id, {"a": bytes(9)}, message="m", key="1")
    assert len(await repository.list_commits(project_id)) == 1


@pytest.mark.parametrize("key", ["1/a", "1/b"], ids=["of the same work", "of other work"])
@pytest.mark.parametrize(("newest", "stale"), [((1, 2), (1, 1)), ((2, 1), (1, 9)), ((1, 10), (1, 9)), ((0, 1), (0, 0))])
async def test_a_writer_that_was_overtaken_is_refused_and_changes_nothing(
    place: Place, project_id: str, newest: tuple[int, int], stale: tuple[int, int], key: str
) -> None:
    repository = place.repository
    await repository.commit(project_id, {"a": b"1", "gone": b"1"}, message="m", key="1/0")
    await repository.commit(project_id, {"a": b"2"}, message="m", key="1/a", writer=under(*newest))
    before = await repository.list_commits(project_id)
    with pytest.raises(Overtaken):
        await repository.commit(
            project_id, {"a": b"stale", "gone": None, "new": b""}, message="m", key=key, writer=under(*stale)
        )
    assert await repository.list_commits(project_id) == before
    assert await repository.list(project_id) == ["a", "gone"]
    assert await shown(place, project_id) == {"a": b"2", "gone": b"1"}
    await repository.commit(project_id, {"a": b"3"}, message="m", key="1/c", writer=under(*newest))
    assert await shown(place, project_id) == {"a": b"3", "gone": b"1"}


async def test_what_a_stale_writer_leaves_just_before_its_successor_is_replaced(place: Place, project_id: str) -> None:
    commit = place.repository.commit
    await commit(project_id, {"kept": b"1"}, message="m", key="1/a", writer=under(1, 1))
    await commit(project_id, {"stale": b"1"}, message="stale", key="1/b", writer=under(1, 1))
    await commit(project_id, {"own": b"1"}, message="own", key="1/b", writer=under(1, 2))
    with pytest.raises(Overtaken):
        await commit(project_id, {"stale": b"2"}, message="stale", key="1/b", writer=under(1, 1))
    assert [(one.key, one.message) for one in await place.repository.list_commits(project_id)] == [
        ("1/b", "own"),
        ("1/a", "m"),
    ]
    assert await shown(place, project_id) == {"kept": b"1", "own": b"1"}


async def test_a_writer_that_holds_its_fence_no_more_makes_nothing(place: Place, project_id: str) -> None:
    commit = place.repository.commit

    async def fallen() -> None:
        raise Conflict("It has fallen.")

    stale = Writer(fence=Fence(1, 1), held=fallen)
    for key in ("1/a", "1/b"):
        with pytest.raises(Conflict, match="It has fallen"):
            await commit(project_id, {"stale": b"1"}, message="m", key=key, writer=stale)
        await commit(project_id, {key: b"1"}, message="m", key=key, writer=under(1, 1))
    assert [one.key for one in await place.repository.list_commits(project_id)] == ["1/b", "1/a"]
    assert await shown(place, project_id) == {"1/a": b"1", "1/b": b"1"}


async def test_of_concurrent_writers_none_comes_after_a_later_one(repository: Repository, project_id: str) -> None:
    order = [3, 1, 2, 8, 4, 5, 7, 6]
    writes = [repository.commit(project_id, {}, message="m", key=str(n), writer=under(1, n)) for n in order]
    made = await asyncio.gather(*writes, return_exceptions=True)
    fences = [int(commit.key) for commit in reversed(await repository.list_commits(project_id))]
    assert fences == sorted(fences)
    assert fences[-1] == 8
    assert [type(one) for one in made] == [str if n in fences else Overtaken for n in order]


@pytest.mark.parametrize("fence", [(-1, 0), (0, -1), (10**18, 0), (0, 10**18)])
async def test_a_fence_that_would_not_come_back_is_refused(
    repository: Repository, project_id: str, fence: tuple[int, int]
) -> None:
    with pytest.raises(InvalidInput):
        await repository.commit(project_id, {}, message="m", key="k", writer=under(*fence))
    await repository.commit(project_id, {}, message="m", key="k", writer=under(10**18 - 1, 10**18 - 1))
    with pytest.raises(Overtaken):
        await repository.commit(project_id, {}, message="m", key="k", writer=under(10**18 - 1, 10**18 - 2))
