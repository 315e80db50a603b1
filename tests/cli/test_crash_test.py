"""Where a crash test plays, and what it says it plays with."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nexus.cli.crash_test import run_crash_test
from nexus.cli.sandbox import describe_sandbox, open_crash_test_sandbox, select_sandbox_environ
from nexus.settings import Secret, list_env_variables, parse_environment
from tests.contracts.test_code import _children, _wait_for_end

KEY, TOKEN = "sk-canary", "tok-canary"
USERS = {
    "PATH": os.defpath,
    "HOME": "/home/ann",
    "LC_ALL": "C.UTF-8",
    "AWS_SECRET_ACCESS_KEY": "aws-canary",
    "OPENAI_API_KEY": "other-canary",
    "NEXUS_TOKEN": "client-canary",
    "NEXUS_MODEL__API_KEY": KEY,
    "NEXUS_MODEL__BASE_URL": "https://ann:url-canary@models.example/v1",
    "NEXUS_MODEL__NAME": "qwen-max",
    "NEXUS_AUTH__TOKEN": TOKEN,
    "NEXUS_TABLES__BACKEND": "dynamodb",
    "NEXUS_TABLES__ENDPOINT_URL": "http://tables.example",
    "NEXUS_DATA_DIR": "elsewhere",
    "NEXUS_PORT": "9001",
    "NEXUS_ROLE": "api",
    "NEXUS_LOG__LEVEL": "debug",
    "NEXUS_CHAOS__FAILPOINT": "after:stage.commit@1",
    "NEXUS_BUILDS__CONCURRENCY": "2",
    "NEXUS_BUILDS__HEARTBEAT_SECONDS": "1",
    "NEXUS_LIMITS__REPLIES": "3",
}


def test_the_users_limits_and_pace_hold_and_no_secret_is_passed_on() -> None:
    passed = select_sandbox_environ(USERS)
    assert passed == {
        name: USERS[name]
        for name in (
            *("PATH", "HOME", "LC_ALL"),
            *("NEXUS_BUILDS__CONCURRENCY", "NEXUS_BUILDS__HEARTBEAT_SECONDS", "NEXUS_LIMITS__REPLIES"),
        )
    }
    secret = {variable.name: "canary" for variable in list_env_variables() if variable.type is Secret}
    assert secret
    assert select_sandbox_environ(secret) == {}


def test_the_place_is_on_the_users_own_disk_and_gone_afterwards(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "mine").write_text("x")
    with open_crash_test_sandbox(parse_environment({}, data_dir=str(data)), USERS) as place:
        assert place.data.parent.parent == data
        assert place.data.parent.name.startswith(".rehearsal-")
        assert place.data.parent.stat().st_dev == data.stat().st_dev
        temporary = Path(place.environ["TMPDIR"])
        assert temporary.is_dir()
        assert not temporary.is_relative_to(data)
        settings = parse_environment({name: text for name, text in place.environ.items() if name.startswith("NEXUS_")})
        place.data.mkdir()
    assert [path.name for path in data.iterdir()] == ["mine"]
    assert not temporary.exists()
    assert (settings.model.provider, settings.tables.backend, settings.role) == ("offline", "sqlite", "all")
    assert (settings.builds.concurrency, settings.limits.replies) == (2, 3)
    assert not settings.model.api_key
    assert "canary" not in str(place.environ)


def test_a_data_directory_that_was_not_there_is_not_there_afterwards(tmp_path: Path) -> None:
    settings = parse_environment({}, data_dir=str(tmp_path / "some/data"))
    with open_crash_test_sandbox(settings, {}):
        assert (tmp_path / "some/data").is_dir()
    assert list(tmp_path.iterdir()) == []


def test_what_came_into_a_new_data_directory_meanwhile_stays(tmp_path: Path) -> None:
    settings = parse_environment({}, data_dir=str(tmp_path / "some/data"))
    with open_crash_test_sandbox(settings, {}):
        (tmp_path / "some/data/mine").write_text("x")
    assert (tmp_path / "some/data/mine").read_text() == "x"


def test_a_crash_test_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        open_crash_test_sandbox(parse_environment({}, data_dir=str(tmp_path / "data")), {}),
    ):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_it_says_what_was_tested_as_it_is_and_what_with_a_stand_in(tmp_path: Path) -> None:
    environ = {name: text for name, text in USERS.items() if name.startswith("NEXUS_") and name != "NEXUS_TOKEN"}
    told = describe_sandbox(parse_environment(environ, data_dir=str(tmp_path)), environ)
    as_it_is, _, stand_ins = told.partition(". With a stand-in: ")
    assert f"the disk of {tmp_path}" in as_it_is
    assert "NEXUS_BUILDS__CONCURRENCY, NEXUS_BUILDS__HEARTBEAT_SECONDS, NEXUS_LIMITS__REPLIES" in as_it_is
    assert "the offline model for qwen-max" in stand_ins
    assert "SQLite for the tables in dynamodb" in stand_ins
    assert "no token for yours" in stand_ins
    assert "canary" not in told


def test_it_claims_no_stand_in_for_what_is_the_same(tmp_path: Path) -> None:
    told = describe_sandbox(parse_environment({}, data_dir=str(tmp_path)), {})
    assert "the limits that hold by default" in told
    assert told.endswith("With a stand-in: the offline model; a port of its own on 127.0.0.1")


async def test_where_nothing_can_be_kept_it_fails_and_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    settings = parse_environment({}, data_dir=str(tmp_path / "file/data"))
    [found] = await run_crash_test(print, settings, {})
    assert (found.name, found.state) == ("crash test", "fail")
    assert found.detail.startswith(f"{tmp_path}/file/data: ")


@contextmanager
def crash_testing(directory: Path, until: str) -> Iterator[subprocess.Popen[str]]:
    """`nexus doctor --chaos` at work, once it has said so much."""
    (directory / "tmp").mkdir(exist_ok=True)
    environ = {**os.environ, "TMPDIR": str(directory / "tmp"), "NEXUS_DATA_DIR": str(directory / "data")}
    command = [sys.executable, "-m", "nexus", "doctor", "--chaos", "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environ, stdout=pipe, stderr=pipe, text=True) as doctor:
        try:
            assert doctor.stderr is not None
            assert any(until in line for line in doctor.stderr), doctor.communicate()
            yield doctor
        finally:
            doctor.kill()


def left(directory: Path) -> list[str]:
    return sorted(path.name for below in ("tmp", "data") for path in (directory / below).glob("*"))


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with crash_testing(tmp_path, "Killed (-9)") as doctor:
        assert len(left(tmp_path)) == 2
        doctor.send_signal(signal.SIGINT)
        assert doctor.wait(30) == 130
    assert left(tmp_path) == []
    assert not (tmp_path / "data").exists()


def test_what_a_killed_crash_test_left_is_collected_by_the_next(tmp_path: Path) -> None:
    with crash_testing(tmp_path, "A server of its own") as doctor:
        while not (servers := _children(doctor.pid)):
            assert doctor.poll() is None
        ends = [os.pidfd_open(pid) for pid in servers]
        doctor.kill()
        doctor.wait(50)
        for server in ends:
            _wait_for_end(server)
    assert len(left(tmp_path)) == 2
    with crash_testing(tmp_path, "A server of its own") as doctor:
        doctor.send_signal(signal.SIGINT)
        assert doctor.wait(30) == 130
    assert left(tmp_path) == []
