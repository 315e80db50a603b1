"""`nexus init-resources`: makes, shows and deletes what servers on DynamoDB need; servers make nothing themselves."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from nexus.composition.process import open_process
from nexus.composition.tables import TABLES
from nexus.domain.core.errors import InvalidInput
from nexus.settings import parse_environment
from tests.contracts.conftest import aws_url as aws_url


class Shell:
    def __init__(self, url: str) -> None:
        self.environ = {
            "NEXUS_TABLES__BACKEND": "dynamodb",
            "NEXUS_TABLES__ENDPOINT_URL": url,
            "NEXUS_TABLES__PREFIX": f"t{uuid4().hex[:8]}_",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nexus", "init-resources", *arguments]
        return subprocess.run(
            command,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )


@pytest.fixture(scope="module")
def shell(aws_url: str) -> Shell:
    return Shell(aws_url)


def test_a_server_names_what_is_missing_and_the_command_that_makes_it(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")

    async def start() -> None:
        nexus = {name: value for name, value in shell.environ.items() if name.startswith("NEXUS_")}
        async with open_process(parse_environment({**nexus, "NEXUS_DATA_DIR": str(tmp_path)})):
            pass

    with pytest.raises(InvalidInput, match=r"DynamoDB lacks t\w+_.*`nexus init-resources`"):
        asyncio.run(start())


def test_what_is_missing_is_made_shown_and_deleted(shell: Shell) -> None:
    assert shell.run("--list").returncode == 1
    made = shell.run()
    assert (made.returncode, made.stdout.count("made ")) == (0, len(TABLES)), made.stderr
    again = shell.run()
    assert (again.returncode, again.stdout) == (0, f"All {len(TABLES)} tables are there.\n")
    listed = shell.run("--list", "--json")
    assert listed.returncode == 0 and json.loads(listed.stdout)["missing"] == []
    refused = shell.run("--clean")
    assert refused.returncode == 2 and "--yes" in refused.stderr
    clean = shell.run("--clean", "--yes", "--json")
    assert clean.returncode == 0 and len(json.loads(clean.stdout)["made"]) == len(TABLES)
