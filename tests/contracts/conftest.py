"""Every adapter behind the storage and log ports, each opened as a test asks for it."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from nexus.adapters.confined.runner import ConfinedRunner
from nexus.adapters.directory.values import DirectoryValues
from nexus.adapters.dynamodb.provision import create_missing_tables
from nexus.adapters.dynamodb.tables import DynamoTables, open_dynamodb_client
from nexus.adapters.memory.signals import MemorySignals
from nexus.adapters.memory.tables import MemoryTables
from nexus.adapters.prometheus.metrics import ProcessMetrics
from nexus.adapters.prometheus.tables import MeteredTables
from nexus.adapters.redis.connections import open_redis_client
from nexus.adapters.redis.log import RedisLog
from nexus.adapters.redis.signals import RedisSignals
from nexus.adapters.sqlite.log import SqliteLog
from nexus.adapters.sqlite.tables import SqliteTables
from nexus.adapters.sqlite.writer import Writer
from nexus.domain.ports.code import CodeRunner
from nexus.domain.ports.database import TableDriver, Tables
from nexus.domain.ports.log import LogDriver
from nexus.domain.ports.rows import Table
from nexus.domain.ports.signals import Signals
from tests.contracts.stored import STORED, Clock
from tests.fakes.code import MemoryCode
from tests.fakes.conflicts import ConflictingTables
from tests.fakes.log import MemoryLog
from tests.peers.servers import build_dynoxide_command, build_elasticmq_command, run_peer
from tests.redis_server import RedisServer, run_redis


@pytest.fixture(scope="session")
def aws_url() -> Iterator[str]:
    """A moto server, started by the first test that asks."""
    command = [sys.executable, "-m", "tests.moto_server"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, text=True, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None and server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.stdin.close()


@pytest.fixture(scope="session")
def dynoxide_url() -> Iterator[str]:
    """A server for DynamoDB that is not moto."""
    with run_peer(build_dynoxide_command) as server:
        yield server.url


@pytest.fixture(scope="session")
def elasticmq_url() -> Iterator[str]:
    """A server for SQS that is not moto."""
    with run_peer(build_elasticmq_command) as server:
        yield server.url


PEER = pytest.mark.peer
REDIS = pytest.param("redis", marks=PEER)
DYNOXIDE = pytest.param("dynoxide", marks=PEER)
ELASTICMQ = pytest.param("elasticmq", marks=PEER)


def find_dynamodb_url(request: pytest.FixtureRequest) -> str:
    """Of the server that the parameter means: `dynamodb` is moto."""
    return str(request.getfixturevalue("dynoxide_url" if request.param == "dynoxide" else "aws_url"))


@pytest.fixture(params=["moto", DYNOXIDE])
def dynamodb_url(request: pytest.FixtureRequest) -> str:
    return find_dynamodb_url(request)


def find_sqs_url(request: pytest.FixtureRequest) -> str:
    """Of the server that the parameter means."""
    return str(request.getfixturevalue("elasticmq_url" if request.param == "elasticmq" else "aws_url"))


@pytest.fixture(params=["moto", ELASTICMQ])
def sqs_url(request: pytest.FixtureRequest) -> str:
    return find_sqs_url(request)


@asynccontextmanager
async def dynamodb_client(url: str) -> AsyncIterator[Any]:
    credentials = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nothing"}
    async with open_dynamodb_client(region="us-east-1", endpoint_url=url, **credentials) as client:
        yield client


@asynccontextmanager
async def dynamodb_tables(url: str, tables: list[Table[Any]] = STORED) -> AsyncIterator[tuple[Any, str]]:
    """A client and the prefix under which the tables are there."""
    prefix = f"t{uuid4().hex[:8]}_"
    async with dynamodb_client(url) as client:
        await create_missing_tables(client, tables, prefix=prefix)
        yield client, prefix


@asynccontextmanager
async def sqlite_writer(path: Path) -> AsyncIterator[Writer]:
    writer = Writer(path)
    await writer.open()
    try:
        yield writer
    finally:
        await writer.close()


@asynccontextmanager
async def sqlite_tables(path: Path, tables: list[Table[Any]] = STORED) -> AsyncIterator[SqliteTables]:
    async with sqlite_writer(path) as writer:
        driver = SqliteTables(writer, tables)
        await driver.open()
        try:
            yield driver
        finally:
            driver.close()


@asynccontextmanager
async def sqlite_log(path: Path, signals: Signals | None = None) -> AsyncIterator[SqliteLog]:
    async with sqlite_writer(path) as writer:
        driver = SqliteLog(writer, signals or MemorySignals())
        await driver.open()
        try:
            yield driver
        finally:
            driver.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A real one, started by the first test that asks."""
    with run_redis() as server:
        yield server


@asynccontextmanager
async def redis_signals(url: str, prefix: str) -> AsyncIterator[tuple[Any, RedisSignals]]:
    """A client, and signals over connections of their own."""
    async with open_redis_client(url) as client:
        signals = RedisSignals(client, MemorySignals(), prefix=prefix)
        signals.open()
        try:
            yield client, signals
        finally:
            await signals.close()


@asynccontextmanager
async def redis_log(url: str, prefix: str) -> AsyncIterator[RedisLog]:
    """As a process of its own has it."""
    async with redis_signals(url, prefix) as (client, signals):
        driver = RedisLog(client, signals, prefix=prefix)
        driver.open()
        try:
            yield driver
        finally:
            await driver.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "metered", "conflicting", "sqlite", "dynamodb", DYNOXIDE])
async def driver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TableDriver]:
    async with AsyncExitStack() as stack:
        match request.param:
            case "memory":
                yield MemoryTables()
            case "conflicting":
                yield ConflictingTables(MemoryTables(), seconds=0.0)
            case "metered":
                yield MeteredTables(MemoryTables(), ProcessMetrics("0"))
            case "sqlite":
                yield await stack.enter_async_context(sqlite_tables(tmp_path / "nexus.db"))
            case _:
                client, prefix = await stack.enter_async_context(dynamodb_tables(find_dynamodb_url(request)))
                yield DynamoTables(client, prefix=prefix, values=DirectoryValues(tmp_path))


@pytest.fixture
def tables(driver: TableDriver, clock: Clock) -> Tables:
    return Tables(driver, secret=b"s" * 32, clock=clock)


@pytest.fixture(params=["memory", "sqlite", REDIS])
async def log_driver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LogDriver]:
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            yield MemoryLog()
        elif request.param == "redis":
            url = request.getfixturevalue("redis_server").url
            yield await stack.enter_async_context(redis_log(url, f"t{uuid4().hex[:8]}:"))
        else:
            yield await stack.enter_async_context(sqlite_log(tmp_path / "nexus.db"))


@pytest.fixture(params=["memory", "sqlite", "two connections", "two connections, every signal lost", REDIS])
async def log_drivers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[LogDriver, LogDriver]]:
    """Two drivers of one store, as two processes would have them."""
    if request.param == "memory":
        yield (driver := MemoryLog()), driver
        return
    async with AsyncExitStack() as stack:
        if request.param == "redis":
            url, prefix = request.getfixturevalue("redis_server").url, f"t{uuid4().hex[:8]}:"
            yield tuple([await stack.enter_async_context(redis_log(url, prefix)) for _ in range(2)])  # type: ignore[misc]  # two
            return
        shared = None if request.param.endswith("lost") else MemorySignals()
        one = await stack.enter_async_context(sqlite_log(tmp_path / "nexus.db", shared))
        if request.param == "sqlite":
            yield one, one
        else:
            yield one, await stack.enter_async_context(sqlite_log(tmp_path / "nexus.db", shared))


_NO_BOUNDARY = "this machine offers no boundary for generated code: "


@pytest.fixture
async def confined(tmp_path: Path) -> AsyncIterator[ConfinedRunner]:
    async with ConfinedRunner(data=tmp_path / "data") as runner:
        if runner.get_isolation_tier().level == 0:
            pytest.skip(_NO_BOUNDARY + runner.get_isolation_tier().detail)
        yield runner


@pytest.fixture(params=["memory", "confined"])
def runner(request: pytest.FixtureRequest) -> CodeRunner:
    if request.param == "memory":
        return MemoryCode()
    return request.getfixturevalue("confined")  # type: ignore[no-any-return]  # pytest knows no types of fixtures
