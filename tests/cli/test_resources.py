"""`nexus init-resources`: makes, shows and deletes what servers on DynamoDB need; servers make nothing themselves."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
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
            "NEXUS_QUEUE__PREFIX": f"t{uuid4().hex[:8]}-",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
        }

    def run(self, *arguments: str, command: str = "init-resources", **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "nexus", command, *arguments],
            env=self.environ | environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )


@pytest.fixture(scope="module")
def shell(aws_url: str) -> Shell:
    return Shell(aws_url)


SQS = {"NEXUS_QUEUE__BACKEND": "sqs", "NEXUS_TABLES__BACKEND": "sqlite"}


@pytest.mark.parametrize("lacking", [r"DynamoDB lacks t\w+_", r"SQS lacks t\w+-build-queue"])
def test_a_server_names_what_is_missing_and_the_command_that_makes_it(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")

    async def start() -> None:
        nexus = {name: value for name, value in shell.environ.items() if name.startswith("NEXUS_")}
        if lacking.startswith("SQS"):
            nexus |= SQS | {"NEXUS_QUEUE__ENDPOINT_URL": nexus["NEXUS_TABLES__ENDPOINT_URL"]}
        async with open_process(parse_environment({**nexus, "NEXUS_DATA_DIR": str(tmp_path)})):
            pass

    with pytest.raises(InvalidInput, match=lacking + ".*`nexus init-resources`"):
        asyncio.run(start())


def test_what_is_missing_is_made_shown_and_deleted(shell: Shell) -> None:
    assert shell.run("--list").returncode == 1
    made = shell.run()
    assert (made.returncode, made.stdout.count("made ")) == (0, len(TABLES)), made.stderr
    pending = shell.run("--json", command="migrate")
    assert json.loads(pending.stdout) == {"applied": []}, "new tables need no migration"
    again = shell.run()
    assert (again.returncode, again.stdout) == (0, f"All {len(TABLES)} tables are there.\n")
    listed = shell.run("--list", "--json")
    assert listed.returncode == 0 and json.loads(listed.stdout)["missing"] == []
    refused = shell.run("--clean")
    assert refused.returncode == 2 and "--yes" in refused.stderr
    clean = shell.run("--clean", "--yes", "--json")
    assert clean.returncode == 0 and len(json.loads(clean.stdout)["made"]) == len(TABLES)


def test_queues_are_made_beside_the_tables_and_emptied(shell: Shell, aws_url: str) -> None:
    sqs = {"NEXUS_QUEUE__BACKEND": "sqs", "SQS_ENDPOINT_URL": aws_url}
    prefix = shell.environ["NEXUS_QUEUE__PREFIX"]
    assert shell.run(**sqs).stdout.endswith("All 6 queues are there.\n")
    assert f"{prefix}notification-dlq" in json.loads(shell.run("--list", "--json", **sqs).stdout)["there"]
    assert [name for name in read(shell.run("--list", "--json"))["there"] if name.startswith(prefix)] == []
    assert shell.run("--clean", "--yes", **sqs).stderr.count(f"emptied {prefix}") == 6


def test_an_address_stands_for_tables_and_queues(shell: Shell, aws_url: str) -> None:
    given = {"NEXUS_QUEUE__PREFIX": f"t{uuid4().hex[:8]}-", "NEXUS_TABLES__ENDPOINT_URL": ""}
    listed = [
        read(shell.run("--endpoint-url", aws_url, "--list", "--json", NEXUS_QUEUE__BACKEND=one, **given))
        for one in ("inprocess", "arq")
    ]
    assert [sum(name.startswith(given["NEXUS_QUEUE__PREFIX"]) for name in one["missing"]) for one in listed] == [6, 0]


def read(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def test_unused_values_are_counted_and_deleted(shell: Shell, tmp_path: Path) -> None:
    shell.run()
    unused = tmp_path / "spilled" / "ab" / ("ab" * 32)
    unused.parent.mkdir(parents=True)
    unused.write_bytes(b"young")
    done = shell.run("--json", command="delete-unused-values", NEXUS_FILES__ROOT=str(tmp_path))
    assert read(done) == {"seen": 1, "set_aside": 0, "deleted": 0}, done.stderr
    refused = shell.run(command="delete-unused-values", NEXUS_TABLES__BACKEND="sqlite")
    assert refused.returncode == 2 and "SQLite keeps" in refused.stderr
