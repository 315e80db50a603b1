"""One call of git: how its refusals are read, and how it is ended."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from nexus.adapters.git.command import Answer, Git, make_git_error


@pytest.mark.parametrize(
    "said",
    [
        "fatal: write error. Out of diskspace",
        "error: unable to write file: No space left on device",
        "Disk quota exceeded",
    ],
)
def test_whatever_git_calls_a_full_disk_is_a_full_storage(said: str) -> None:
    assert make_git_error("fast-import", Answer(128, b"", said)).facts["reason"] == "storage_full"
    assert "reason" not in make_git_error("fast-import", Answer(128, b"", "fatal: not a tree")).facts


ENDS = "#!/bin/sh\ntrap 'echo ended > {told}; exit 1' TERM\ntouch {running}\nwhile :; do sleep 0.02; done\n"


async def test_a_git_that_is_cut_is_told_to_end_before_it_is_killed(tmp_path: Path) -> None:
    program, told, running = tmp_path / "git", tmp_path / "told", tmp_path / "running"
    program.write_text(ENDS.format(told=told, running=running))
    program.chmod(0o755)
    asking = asyncio.ensure_future(Git(program=str(program), patience=50).run_command(tmp_path, "status"))
    while not running.exists():
        await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert told.read_text() == "ended\n"


async def test_a_git_that_is_cut_while_it_starts_is_told_to_end_as_well(tmp_path: Path) -> None:
    program, told, running = tmp_path / "git", tmp_path / "told", tmp_path / "running"
    program.write_text(ENDS.format(told=told, running=running))
    program.chmod(0o755)
    asking = asyncio.ensure_future(Git(program=str(program), patience=50).run_command(tmp_path, "status"))
    for _ in range(2):
        await asyncio.sleep(0)
    while not running.exists():  # the loop stands still: to it, the process is still being started
        time.sleep(0.01)
    asking.cancel()
    assert isinstance((await asyncio.gather(asking, return_exceptions=True))[0], asyncio.CancelledError)
    assert told.read_text() == "ended\n"


async def test_a_git_that_does_not_hear_is_killed_when_there_is_no_time_left(tmp_path: Path) -> None:
    program, running = tmp_path / "git", tmp_path / "running"
    program.write_text(f"#!/bin/sh\ntrap '' TERM\necho $$ > {running}\nwhile :; do sleep 0.02; done\n")
    program.chmod(0o755)
    asking = asyncio.ensure_future(Git(program=str(program), patience=50).run_command(tmp_path, "status"))
    while not (running.exists() and running.read_text()):
        await asyncio.sleep(0.01)
    for _ in range(2):
        asking.cancel()
        await asyncio.sleep(0.05)
    await asyncio.gather(asking, return_exceptions=True)
    while _is_alive(int(running.read_text())):
        await asyncio.sleep(0.01)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
