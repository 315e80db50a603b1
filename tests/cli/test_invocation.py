"""The commands that are printed work as they stand."""

import shlex
from argparse import Namespace
from pathlib import Path

import pytest

from nexus.cli.asked import Asked, get_program_command
from nexus.cli.output import Output
from tests.cli.conftest import Nexus
from tests.client import fake as say
from tests.client.fake import Fake


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    found = tmp_path / ".venv" / "bin" / "nexus"
    found.parent.mkdir(parents=True)
    found.write_text("#!/bin/sh\n")
    found.chmod(0o755)
    return found


def test_a_program_on_path_is_called_by_its_name(script: Path):
    environ = {"PATH": f"/nowhere:{script.parent}"}
    assert get_program_command(["/usr/bin/python3", str(script), "build"], environ) == "nexus"


def test_another_program_of_that_name_on_path_is_not_meant(script: Path, tmp_path: Path):
    other = tmp_path / "bin" / "nexus"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    assert get_program_command(["python", str(script), "build"], {"PATH": str(other.parent)}) == ".venv/bin/nexus"


@pytest.mark.parametrize(
    ("called", "program"),
    [
        (["python", ".venv/bin/nexus", "build"], ".venv/bin/nexus"),
        (["python", "../x/.venv/bin/nexus"], "../x/.venv/bin/nexus"),
        (["python", "/opt/my tools/nexus"], "'/opt/my tools/nexus'"),
        (["/usr/bin/python3", "-m", "nexus", "build"], "/usr/bin/python3 -m nexus"),
        ([".venv/bin/python", "-X", "dev", "-m", "nexus"], ".venv/bin/python -m nexus"),
        (["python", "-c", "import nexus"], "nexus"),
        (["python", "-m"], "nexus"),
    ],
)
def test_off_path_a_program_is_called_as_it_was_typed(script: Path, called: list[str], program: str):
    assert get_program_command(called, {"PATH": "/nowhere"}) == program


def test_what_uv_runs_is_run_by_uv_again(script: Path):
    environ = {"PATH": str(script.parent), "UV_RUN_RECURSION_DEPTH": "1"}
    assert get_program_command(["python", str(script), "build"], environ) == "uv run nexus"


def test_a_printed_command_names_the_server_that_was_named_and_quotes_for_the_shell(fake: Fake, nexus: Nexus):
    fake.on("GET", "/api/v2/agents", say.listed([]))
    said = nexus("agents", "list", "--url", fake.url, program=".venv/bin/nexus")
    command = said.err.partition("Build one: ")[2]
    assert shlex.split(command) == [".venv/bin/nexus", "build", "what it should do", "--url", fake.url]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Start one with `nexus serve`.", "Start one with `.venv/bin/nexus serve`."),
        ("运行`nexus models use ollama/x`即可", "运行`.venv/bin/nexus models use ollama/x`即可"),
        ("It is no nexus server.", "It is no nexus server."),
        ("see /opt/nexus serve", "see /opt/nexus serve"),
    ],
)
def test_commands_in_the_words_of_others_are_called_the_same_way(text: str, shown: str):
    asked = Asked(arguments=Namespace(), environ={}, output=Output(), program=".venv/bin/nexus")
    assert asked.replace_program_name(text) == shown


@pytest.mark.parametrize(
    ("url", "command"),
    [
        ("http://127.0.0.1:8000", "nexus serve"),
        ("http://127.0.0.1:8123/", "nexus serve --port 8123"),
        ("http://localhost", "nexus serve --port 80"),
        ("https://nexus.example", "nexus serve"),
    ],
)
def test_a_server_is_started_where_it_was_looked_for(url: str, command: str):
    asked = Asked(arguments=Namespace(url=url), environ={}, output=Output())
    assert asked.format_command("serve") == command
