"""The directories of generated code: a dead process' are collected by anybody, a living one's by nobody."""

import asyncio
import errno
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nexus.adapters.confined.process import Plan
from nexus.adapters.confined.rooms import Rooms
from nexus.adapters.confined.runner import ConfinedRunner
from nexus.domain.ports.code import Program
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
from nexus.adapters.confined.rooms import Rooms

room = Rooms(Path(sys.argv[1]), "room-").take()
(room.path / "kept").mkdir()
(room.path / "kept" / "file").write_text("x")
print(room.path, flush=True)
sys.stdin.read()
"""
RUN = """
import asyncio, json, sys
from pathlib import Path
from nexus.adapters.confined import process
from nexus.adapters.confined.process import Plan, Run, carry_out
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.code import Limits, Program

hear_start = process._Conversation._hear_start

async def heard_start(conversation):
    await hear_start(conversation)
    print("started", flush=True)

process._Conversation._hear_start = heard_start
source = "import time\\ndef tool():\\n    time.sleep(60)\\n"
run = Run(
    program=Program(files={"t.py": source}), limits=Limits(), plan=Plan(**json.loads(sys.argv[2])), function="t.py:tool"
)
try:
    asyncio.run(carry_out(run, Path(sys.argv[1])))
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
    process.wait(10)


def test_a_room_is_there_and_gone_and_may_be_removed_twice(tmp_path: Path) -> None:
    with Rooms(tmp_path / "new", "room-").take() as room:
        (room.path / "file").write_text("x")
        assert room.path.parent == tmp_path / "new"
    room.remove()
    assert list((tmp_path / "new").iterdir()) == []


def test_a_dead_process_room_is_collected_and_a_living_one_stays(tmp_path: Path) -> None:
    rooms = Rooms(tmp_path, "room-")
    with running(TAKER, tmp_path) as (dies, left), running(TAKER, tmp_path) as (_, kept), rooms.take() as own:
        assert rooms.collect() == 0
        killed(dies)
        assert (rooms.collect(), rooms.collect()) == (1, 0)
        assert not Path(left).exists()
        assert set(tmp_path.iterdir()) == {Path(kept), own.path}
        assert (Path(kept) / "kept/file").read_text() == "x"
    assert rooms.collect() == 1
    assert list(tmp_path.iterdir()) == []


def test_an_old_room_of_a_living_process_stays(tmp_path: Path) -> None:
    rooms = Rooms(tmp_path, "room-")
    with running(TAKER, tmp_path) as (_, kept):
        os.utime(kept, (0, 0))
        assert rooms.collect() == 0
        assert Path(kept).exists()


def test_what_is_no_room_stays(tmp_path: Path) -> None:
    rooms = Rooms(tmp_path / "here", "room-")
    assert rooms.collect() == 0
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").write_text("x")
    (tmp_path / "here/other").mkdir(parents=True)
    (tmp_path / "here/room-link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "here/room-file").write_text("x")
    os.mkfifo(tmp_path / "here/room-pipe")
    assert rooms.collect() == 0
    names = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert names == ["other", "room-file", "room-link", "room-pipe"]
    assert (tmp_path / "elsewhere/file").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_another_users_room_stays(tmp_path: Path) -> None:
    (tmp_path / "room-other").mkdir()
    os.chown(tmp_path / "room-other", 61_191, 61_191)
    assert Rooms(tmp_path, "room-").collect() == 0
    assert (tmp_path / "room-other").exists()


def test_a_collector_that_comes_before_the_lock_costs_a_try_and_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms, made, collected = Rooms(tmp_path, "room-"), tempfile.mkdtemp, list[int]()

    def made_and_collected(*arguments: Any, **options: Any) -> str:
        path: str = made(*arguments, **options)
        if not collected:
            collected.append(rooms.collect())
        return path

    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "mkdtemp", made_and_collected)
        with rooms.take() as room:
            assert collected == [1]
            assert list(tmp_path.iterdir()) == [room.path]
            assert rooms.collect() == 0


@pytest.mark.parametrize("number", [errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_directories_cannot_be_locked_there_are_rooms_but_nothing_is_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    rooms = Rooms(tmp_path, "room-")
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", refused)
        with rooms.take() as room:
            assert rooms.collect() == 0
            assert list(tmp_path.iterdir()) == [room.path]
    assert list(tmp_path.iterdir()) == []


async def test_many_may_take_and_collect_at_once_and_none_loses_its_room(tmp_path: Path) -> None:
    rooms = Rooms(tmp_path, "room-")
    for number in range(20):
        (tmp_path / f"room-left{number}").mkdir()

    def taken(_: int) -> bool:
        with rooms.take() as room:
            (room.path / "file").write_text("x")
            rooms.collect()
            return (room.path / "file").exists()

    async def collected() -> int:
        return await asyncio.to_thread(rooms.collect)

    kept, *_ = await asyncio.gather(
        asyncio.gather(*(asyncio.to_thread(taken, number) for number in range(30))), *(collected() for _ in range(30))
    )
    assert kept == [True] * 30
    assert list(tmp_path.iterdir()) == []


async def test_a_runner_collects_what_a_killed_one_left_and_leaves_the_living_their_own(tmp_path: Path) -> None:
    data, runs = tmp_path / "data", tmp_path / "runs"
    (data / ".canary-left").mkdir(parents=True)
    async with ConfinedRunner(data=data, workspaces=runs) as beside:
        [own] = runs.iterdir()
        with running(RUNNER, data, runs) as (dies, word), running(RUNNER, tmp_path / "other", runs) as (_, other):
            assert (word, other) == ("open", "open")
            assert len(list(runs.iterdir())) == 3
            killed(dies)
            assert (await beside.collect(), await beside.collect()) == (1, 0)
            assert len(list(runs.iterdir())) == 2
            outcome = await beside.call(Program(files={"t.py": "def tool():\n    return 1\n"}), "t.py:tool", {})
            assert outcome.value == 1
        await beside.collect()
        assert list(runs.iterdir()) == [own]
    assert list(runs.iterdir()) == list(data.iterdir()) == []


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
    with running(RUN, tmp_path, msgspec.json.encode(plan).decode()) as (server, word):
        if word != "started":
            pytest.skip(f"not possible on this machine: {word}")
        pids = [os.pidfd_open(kin) for pid in _children(server.pid) for kin in (pid, *_children(pid))]
        assert len(pids) == 2
        killed(server)
    for pid in pids:
        await asyncio.to_thread(_wait_for_end, pid)
