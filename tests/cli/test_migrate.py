"""`nexus migrate`: changes what an earlier release wrote; servers on DynamoDB ask for it, and start afterwards."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from nexus.adapters.dynamodb.provision import create_missing_tables
from nexus.adapters.dynamodb.tables import DynamoTables
from nexus.composition.backends import open_dynamodb
from nexus.composition.process import open_process
from nexus.composition.tables import TABLES
from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.instants import system_clock
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import Tables
from nexus.domain.ports.rows import insert
from nexus.domain.tallies.model import TOTAL, Tally
from nexus.domain.tallies.tables import TALLIES
from nexus.settings import Settings, parse_environment
from tests.cli.test_resources import Shell
from tests.contracts.conftest import aws_url as aws_url

LOCAL = Principal("tnt_local", "usr_local", "You")
OLD = Tally(tenant_id="tnt_local", day=TOTAL, messages=42)


async def write_old_rows(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        client, prefix = await open_dynamodb(settings, stack), settings.tables.prefix
        await create_missing_tables(client, TABLES, prefix=prefix)
        driver = DynamoTables(client, prefix=prefix)
        await Tables(driver, secret=b"s", clock=system_clock).commit(insert(TALLIES, OLD))


def test_a_server_asks_for_it_and_starts_afterwards(
    aws_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = Shell(aws_url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    nexus = {name: value for name, value in shell.environ.items() if name.startswith("NEXUS_")}
    settings = parse_environment({**nexus, "NEXUS_DATA_DIR": str(tmp_path)})

    async def count_messages() -> int:
        async with open_process(settings) as process:
            return (await process.services.statistics.read_overview(LOCAL)).messages

    asyncio.run(write_old_rows(settings))
    with pytest.raises(InvalidInput, match=r"0003_sharded_counters.*`nexus migrate`"):
        asyncio.run(count_messages())
    done = shell.run("--json", command="migrate")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"applied": ["0003_sharded_counters"]}), done.stderr
    again = shell.run(command="migrate")
    assert (again.returncode, again.stdout) == (0, "The store is up to date.\n")
    assert asyncio.run(count_messages()) == OLD.messages


def test_a_directory_is_migrated_without_a_server(aws_url: str, tmp_path: Path) -> None:
    sqlite = {"NEXUS_TABLES__BACKEND": "sqlite"}
    done = Shell(aws_url).run("--data-dir", str(tmp_path / "data"), command="migrate", **sqlite)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "The store is up to date."), done.stderr


def test_tables_that_are_not_there_are_named(aws_url: str) -> None:
    refused = Shell(aws_url).run(command="migrate")
    assert refused.returncode == 2
    assert "nexus init-resources`" in refused.stderr
