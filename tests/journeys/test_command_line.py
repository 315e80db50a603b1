"""The `nexus` command from nothing: build, talk, run the package alone."""

import json
from pathlib import Path

import pytest

from tests.journeys.conftest import ServedApp
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


def test_one_command_talks_to_it_in_two_languages(built: Path) -> None:
    url, said = f"http://127.0.0.1:{free_port()}", ("convert 10 km to miles", "贷款20万，年利率5%，30年，每月还多少")
    talked = command("chat", "--serve", "--url", url, "--message", *said, folder=built)
    assert talked.returncode == 0, talked.stderr
    assert talked.stdout.index("6.2137") < talked.stdout.index("1073.64")


def test_one_command_runs_the_package_without_a_server(built: Path) -> None:
    ran = command("agent", "run", str(package(built)), "--message", "convert 10 km to miles", folder=built)
    assert ran.returncode == 0, ran.stderr
    assert "6.2137" in ran.stdout


def test_what_is_asked_as_json_is_json(app: ServedApp) -> None:
    url = str(app.user.http.base_url)
    made = command("build", README, "--url", url, "--json", folder=app.data)
    told = [json.loads(line) for line in made.stdout.splitlines()]
    assert (made.returncode, [event["event"] for event in told][-2:]) == (0, ["build.completed", "result"])
    [agent] = told[-1]["data"]["agents"]
    said = ("chat", agent["agent_id"], "--url", url, "--json", "--message", "convert 10 km to miles")
    talked = command(*said, folder=app.data)
    told = [json.loads(line) for line in talked.stdout.splitlines()]
    assert told[-1]["event"] == "reply.completed"
    assert "6.2137" in "".join(event["data"].get("text", "") for event in told if event["event"] == "reply.delta")


@pytest.mark.parametrize(
    ("requirement", "code", "word"), [("hello there how are you", 1, "no task"), ("hi", 4, "requirement")]
)
def test_a_build_that_cannot_be_ends_with_its_reason_and_its_own_exit_code(
    app: ServedApp, requirement: str, code: int, word: str
) -> None:
    done = command("build", requirement, "--url", str(app.user.http.base_url), folder=app.data)
    assert done.returncode == code
    assert word in done.stdout + done.stderr


def test_a_command_without_a_server_says_how_to_start_one(tmp_path: Path) -> None:
    lost = command("projects", "list", "--url", f"http://127.0.0.1:{free_port()}", folder=tmp_path)
    assert lost.returncode == 3
    assert "nexus serve" in lost.stderr
