"""The `nexus` command from nothing: build, talk, run the package alone."""

import json
from pathlib import Path

import pytest

from tests.journeys.server import command, free_port

README = "An agent that converts units and computes loan payments, and explains its steps"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `nexus build --serve` was said once, with nothing there before."""
    folder = tmp_path_factory.mktemp("command")
    done = command("build", README, "--serve", "--url", f"http://127.0.0.1:{free_port()}", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "Unit converter and Loan calculator" in done.stdout
    assert "passed" in done.stdout
    assert "[9/9]" in done.stderr
    return folder


def package(folder: Path) -> Path:
    [manifest] = folder.glob("data/projects/*/agents/*/agent.toml")
    return manifest.parent


def test_one_command_builds_an_agent_from_nothing(built: Path) -> None:
    assert (package(built) / "docs/report.md").is_file()
    assert (built / "data/nexus.db").is_file()


@pytest.mark.parametrize(
    ("said", "answer"), [("convert 10 km to miles", "6.2137"), ("贷款20万，年利率5%，30年，每月还多少", "1073.64")]
)
def test_one_command_talks_to_it(built: Path, said: str, answer: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    talked = command("chat", "--serve", "--url", url, "--message", said, folder=built)
    assert talked.returncode == 0, talked.stderr
    assert answer in talked.stdout


def test_one_command_runs_the_package_without_a_server(built: Path) -> None:
    ran = command("agent", "run", str(package(built)), "--message", "convert 10 km to miles", folder=built)
    assert ran.returncode == 0, ran.stderr
    assert "6.2137" in ran.stdout


def test_what_is_asked_as_json_is_json(built: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    talked = command("chat", "--serve", "--url", url, "--json", "--message", "convert 10 km to miles", folder=built)
    told = [json.loads(line) for line in talked.stdout.splitlines()]
    assert told[-1]["event"] == "reply.completed"
    assert "6.2137" in "".join(event["data"].get("text", "") for event in told if event["event"] == "reply.delta")


def test_a_build_that_cannot_be_ends_with_its_reason_and_another_exit_code(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    failed = command("build", "hello there how are you", "--serve", "--url", url, folder=tmp_path)
    assert failed.returncode == 1
    assert "no task" in failed.stdout + failed.stderr
    refused = command("build", "hi", "--serve", "--url", url, folder=tmp_path)
    assert refused.returncode == 4
    assert "requirement" in refused.stderr


def test_a_command_without_a_server_says_how_to_start_one(tmp_path: Path) -> None:
    lost = command("projects", "list", "--url", f"http://127.0.0.1:{free_port()}", folder=tmp_path)
    assert lost.returncode == 3
    assert "nexus serve" in lost.stderr
