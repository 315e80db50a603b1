"""The directories of generated code: a dead process' are collected by anybody, a living one's by nobody."""

import asyncio
import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nexus.adapters.confined.inside.walls import Plan
from nexus.adapters.confined.process import Run, run_isolated_program
from nexus.adapters.confined.runner import ConfinedRunner
from nexus.adapters.confined.workspaces import MARK, WorkspacePool
from nexus.adapters.sqlite.lock import DirectoryLock
from nexus.composition.adapters import make_crash_test_pools
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.code import Limits, Program
from tests.contracts.test_code import _children, _wait_for_end

RUNNER = """
import asyncio, sys
from pathlib import Path
from nexus.adapters.confined.runner import ConfinedRunner

async def main():
    async with ConfinedRunner(data=Path(sys.argv[1]), workspaces=Path(sys.argv[2])):
        print("open", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
TAKER = """
import os, sys
from pathlib import Path
from nexus.adapters.confined.workspaces import WorkspacePool

workspace = WorkspacePool(Path(sys.argv[1]), "room-").make_workspace()
(workspace.path / "kept").mkdir()
(workspace.path / "kept" / "file").write_text("x")
print(workspace.path, flush=True)
sys.stdin.read()
"""
RUN = """
import asyncio, json, sys
from pathlib import Path
from nexus.adapters.confined import process
from nexus.adapters.confined.inside.walls import Plan
from nexus.adapters.confined.process import Run, run_isolated_program
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.code import Limits, Program

read_start = process._Conversation._read_start_frame

async def tell_start(conversation):
    if (refusal := await read_start(conversation)) is None:
        print("started", flush=True)
    return refusal

process._Conversation._read_start_frame = tell_start
source = "import time\\ndef tool():\\n    time.sleep(60)\\n"
run = Run(
    program=Program(files={"t.py": source}), limits=Limits(), plan=Plan(**json.loads(sys.argv[2])), function="t.py:tool"
)
try:
    asyncio.run(run_isolated_program(run, Path(sys.argv[1])))
except Unavailable as refused:
    print(refused)
"""
PLANS = [
    Plan(own_namespaces=True, user_namespace=False, landlock=True, user=61_190),
    Plan(own_namespaces=True, user_namespace=True, landlock=True),
    Plan(own_namespaces=False, user_namespace=False, landlock=True),
]


@contextmanager
def running(script: str, *arguments: Path | str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process, and the first line that it said. It is killed at the end, if it lives."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environ, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def killed(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(50)


def left_workspace(parent: Path, name: str, **files: str) -> Path:
    """What a dead process leaves."""
    workspace = parent / name
    workspace.mkdir(mode=0o700, parents=True)
    (workspace / MARK).touch()
    for file, text in files.items():
        (workspace / file).write_text(text)
    return workspace


def test_a_room_is_there_and_gone_and_may_be_removed_twice(tmp_path: Path) -> None:
    with WorkspacePool(tmp_path / "new", "room-").make_workspace() as workspace:
        (workspace.path / "file").write_text("x")
        assert workspace.path.parent == tmp_path / "new"
    workspace.remove()
    assert list((tmp_path / "new").iterdir()) == []


def test_a_dead_process_room_is_collected_and_a_living_one_stays(tmp_path: Path) -> None:
    pool = WorkspacePool(tmp_path, "room-")
    with running(TAKER, tmp_path) as (dies, left), running(TAKER, tmp_path) as (_, kept), pool.make_workspace() as own:
        assert pool.delete_stale_workspaces() == 0
        killed(dies)
        assert (pool.delete_stale_workspaces(), pool.delete_stale_workspaces()) == (1, 0)
        assert not Path(left).exists()
        assert set(tmp_path.iterdir()) == {Path(kept), own.path}
        assert (Path(kept) / "kept/file").read_text() == "x"
    assert pool.delete_stale_workspaces() == 1
    assert list(tmp_path.iterdir()) == []


def test_an_old_room_of_a_living_process_stays(tmp_path: Path) -> None:
    pool = WorkspacePool(tmp_path, "room-")
    with running(TAKER, tmp_path) as (_, kept):
        os.utime(kept, (0, 0))
        assert pool.delete_stale_workspaces() == 0
        assert Path(kept).exists()


def test_what_is_no_room_stays(tmp_path: Path) -> None:
    pool = WorkspacePool(tmp_path / "here", "room-")
    assert pool.delete_stale_workspaces() == 0
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"elsewhere/{MARK}").touch()
    (tmp_path / "here/other").mkdir(parents=True)
    (tmp_path / "here/room-linklink").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "here/room-filefile").write_text("x")
    os.mkfifo(tmp_path / "here/room-pipepipe")
    assert pool.delete_stale_workspaces() == 0
    names = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert names == ["other", "room-filefile", "room-linklink", "room-pipepipe"]
    assert (tmp_path / "elsewhere" / MARK).exists()


@pytest.mark.parametrize(
    "name", ["room-", "room-abcdefg", "room-abcdefghi", "room-Abcdefgh", "room-abcd.fgh", "Xroom-abcdefgh"]
)
def test_what_is_not_named_as_a_room_stays_even_with_a_mark(tmp_path: Path, name: str) -> None:
    left_workspace(tmp_path, name)
    assert WorkspacePool(tmp_path, "room-").delete_stale_workspaces() == 0
    assert (tmp_path / name / MARK).exists()


def test_what_is_named_as_a_room_but_bears_no_mark_stays_however_old_it_is(tmp_path: Path) -> None:
    (tmp_path / "room-checkout/src").mkdir(parents=True, mode=0o700)
    (tmp_path / "room-checkout/src/thesis").write_text("x")
    (tmp_path / "room-checkout").chmod(0o700)
    os.utime(tmp_path / "room-checkout", (0, 0))
    assert WorkspacePool(tmp_path, "room-").delete_stale_workspaces() == 0
    assert (tmp_path / "room-checkout/src/thesis").read_text() == "x"


@pytest.mark.parametrize("kind", ["link", "directory", "pipe"])
def test_a_mark_is_a_file_and_nothing_else(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("x")
    mark = tmp_path / "room-abcdefgh" / MARK
    mark.parent.mkdir()
    if kind == "link":
        mark.symlink_to(tmp_path / "file")
    elif kind == "directory":
        mark.mkdir()
    else:
        os.mkfifo(mark)
    assert WorkspacePool(tmp_path, "room-").delete_stale_workspaces() == 0
    assert os.path.lexists(mark)


async def test_a_checkout_and_a_data_directory_in_use_that_are_named_like_rooms_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("nexus-code-review", "nexus-code-checkout", "nexus-rehearsal-checkout"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis").write_text("x")
    with DirectoryLock(tmp_path / "nexus-rehearsal-data"), DirectoryLock(tmp_path / "nexus-rehearsal-my__data"):
        before = set(tmp_path.rglob("*"))
        assert await ConfinedRunner(data=tmp_path / "data").delete_stale_workspaces() == 0
        assert sum(pool.delete_stale_workspaces() for pool in make_crash_test_pools(tmp_path / "data")) == 0
        assert set(tmp_path.rglob("*")) == before


def test_links_in_a_room_are_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("x")
    workspace = left_workspace(tmp_path / "here", "room-abcdefgh", file="x")
    (workspace / "link").symlink_to(tmp_path / "mine")
    (workspace / "inside").mkdir()
    (workspace / "inside/link").symlink_to(tmp_path / "mine/file")
    assert WorkspacePool(tmp_path / "here", "room-").delete_stale_workspaces() == 1
    assert list((tmp_path / "here").iterdir()) == []
    assert (tmp_path / "mine/file").read_text() == "x"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
@pytest.mark.parametrize("whose", [(".", MARK), (".",), (MARK,)], ids=["both", "the workspace", "the mark"])
def test_another_users_room_or_mark_makes_it_stay(tmp_path: Path, whose: tuple[str, ...]) -> None:
    workspace, unfinished = left_workspace(tmp_path, "room-abcdefgh"), tmp_path / "room-ijklmnop"
    unfinished.mkdir(mode=0o700)
    for path in (unfinished, *(workspace / name for name in whose)):
        os.chown(path, 61_191, 61_191)
        os.utime(path, (0, 0))
    assert WorkspacePool(tmp_path, "room-").delete_stale_workspaces() == 0
    assert (workspace / MARK).exists()
    assert unfinished.exists()


def test_what_a_process_left_that_died_before_the_mark_is_collected_after_a_while(tmp_path: Path) -> None:
    pool, left = WorkspacePool(tmp_path, "room-"), Path(tempfile.mkdtemp(prefix="room-", dir=tmp_path))
    (tmp_path / "room-of_mine_").mkdir()
    (tmp_path / "room-of_mine_").chmod(0o755)
    os.utime(tmp_path / "room-of_mine_", (0, 0))
    assert pool.delete_stale_workspaces() == 0
    long_ago = time.time() - 61
    os.utime(left, (long_ago, long_ago))
    assert (pool.delete_stale_workspaces(), pool.delete_stale_workspaces()) == (1, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["room-of_mine_"]


def test_a_removal_that_was_cut_short_is_finished_by_the_next_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed_here(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    for module, name, remains in ((shutil, "rmtree", 9), (os, "unlink", 1), (os, "rmdir", 0)):
        workspace = left_workspace(tmp_path, "room-abcdefgh")
        for number in range(0 if name == "rmdir" else 8):
            (workspace / f"{number}").mkdir()
        workspace.chmod(0o711)
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(module, name, killed_here)
            WorkspacePool(tmp_path, "room-").delete_stale_workspaces()
        assert (len(list(workspace.iterdir())), (workspace / MARK).exists()) == (remains, remains > 0)
        os.utime(workspace, (0, 0))
        assert WorkspacePool(tmp_path, "room-").delete_stale_workspaces() == 1


def test_a_room_that_cannot_be_marked_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def full(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if path == MARK:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return opened(path, flags, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", full)
        with pytest.raises(OSError, match="No space"):
            WorkspacePool(tmp_path, "room-").make_workspace()
    assert list(tmp_path.iterdir()) == []


def test_a_collector_that_comes_before_the_lock_costs_a_try_and_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, made, collected = WorkspacePool(tmp_path, "room-"), tempfile.mkdtemp, list[int]()

    def made_and_collected(*arguments: Any, **options: Any) -> str:
        path: str = made(*arguments, **options)
        if not collected:
            os.utime(path, (0, 0))
            collected.append(pool.delete_stale_workspaces())
        return path

    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "mkdtemp", made_and_collected)
        with pool.make_workspace() as workspace:
            assert collected == [1]
            assert list(tmp_path.iterdir()) == [workspace.path]
            assert pool.delete_stale_workspaces() == 0


@pytest.mark.parametrize("number", [errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_directories_cannot_be_locked_there_are_rooms_but_nothing_is_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    pool = WorkspacePool(tmp_path, "room-")
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", refused)
        with pool.make_workspace() as workspace:
            assert pool.delete_stale_workspaces() == 0
            assert list(tmp_path.iterdir()) == [workspace.path]
    assert list(tmp_path.iterdir()) == []


async def test_many_may_take_and_collect_at_once_and_none_loses_its_room(tmp_path: Path) -> None:
    pool = WorkspacePool(tmp_path, "room-")
    for number in range(20):
        left_workspace(tmp_path, f"room-left__{number:02}", file="x")

    def taken(_: int) -> bool:
        with pool.make_workspace() as workspace:
            (workspace.path / "file").write_text("x")
            pool.delete_stale_workspaces()
            return (workspace.path / "file").exists()

    async def collected() -> int:
        return await asyncio.to_thread(pool.delete_stale_workspaces)

    kept, *_ = await asyncio.gather(
        asyncio.gather(*(asyncio.to_thread(taken, number) for number in range(30))), *(collected() for _ in range(30))
    )
    assert kept == [True] * 30
    assert list(tmp_path.iterdir()) == []


async def test_a_runner_collects_what_a_killed_one_left_and_leaves_the_living_their_own(tmp_path: Path) -> None:
    data, runs = tmp_path / "data", tmp_path / "runs"
    left_workspace(data, ".canary-leftleft", canary="sings")
    async with ConfinedRunner(data=data, workspaces=runs) as beside:
        [own] = runs.iterdir()
        with running(RUNNER, data, runs) as (dies, word), running(RUNNER, tmp_path / "other", runs) as (_, other):
            assert (word, other) == ("open", "open")
            assert len(list(runs.iterdir())) == 3
            killed(dies)
            assert (await beside.delete_stale_workspaces(), await beside.delete_stale_workspaces()) == (1, 0)
            assert len(list(runs.iterdir())) == 2
            program = Program(files={"t.py": "def tool():\n    return 1\n"})
            assert (await beside.call_function(program, "t.py:tool", {})).value == 1
        await beside.delete_stale_workspaces()
        assert list(runs.iterdir()) == [own]
    assert list(runs.iterdir()) == list(data.iterdir()) == []


GREEDY = f"""
import contextlib, os

def tool():
    found = [top for start in ("..", "/", "/tmp") for top, _, files in os.walk(start) if {MARK!r} in files]
    for path in ("../{MARK}", "../../{MARK}", "../../../{MARK}"):
        with contextlib.suppress(OSError):
            os.unlink(path)
            found.append(path)
        with contextlib.suppress(OSError):
            open(path, "x").close()
    return found
"""


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.__repr__().removeprefix("Plan"))
async def test_generated_code_can_neither_find_nor_remove_nor_make_a_mark(tmp_path: Path, plan: Plan) -> None:
    run = Run(program=Program(files={"t.py": GREEDY}), limits=Limits(), plan=plan, function="t.py:tool")
    with WorkspacePool(tmp_path, "room-").make_workspace() as workspace:
        workspace.path.chmod(0o711)
        try:
            outcome, _ = await run_isolated_program(run, workspace.path)
        except Unavailable as refused:
            pytest.skip(f"not possible on this machine: {refused}")
        assert (outcome.status, outcome.value) == ("ok", []), outcome.error
        assert list(tmp_path.rglob("*")) == [workspace.path, workspace.path / MARK]


async def test_a_runner_that_could_not_open_leaves_nothing(tmp_path: Path) -> None:
    opening = asyncio.create_task(ConfinedRunner(data=tmp_path / "data", workspaces=tmp_path / "runs").open())
    while not (tmp_path / "runs").exists():
        await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert list((tmp_path / "runs").iterdir()) == list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.__repr__().removeprefix("Plan"))
async def test_a_killed_server_takes_its_programs_along_behind_every_wall(tmp_path: Path, plan: Plan) -> None:
    with running(RUN, tmp_path, json.dumps(plan._asdict())) as (server, word):
        if word != "started":
            (pytest.skip if word else pytest.fail)(f"not possible on this machine: {word}")
        pids = [os.pidfd_open(kin) for pid in _children(server.pid) for kin in (pid, *_children(pid))]
        assert len(pids) == 2
        killed(server)
    for pid in pids:
        await asyncio.to_thread(_wait_for_end, pid)
