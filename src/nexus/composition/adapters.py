"""From the settings to the adapters: one function a port, which opens what is behind it. They close in reverse."""

import asyncio
import contextlib
import os
import secrets
import stat
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog
from msgspec import Struct

from nexus.adapters.confined.rooms import Rooms
from nexus.adapters.confined.runner import ConfinedRunner
from nexus.adapters.directory.files import DirectoryFiles
from nexus.adapters.directory.modes import close_to_others
from nexus.adapters.git.repository import GitRepository
from nexus.adapters.git.stale_files import StaleFiles
from nexus.adapters.inprocess.pulse import Beat, ThreadPulse
from nexus.adapters.openai.discovery import LocalDiscovery, usual_places
from nexus.adapters.sqlite.lock import DirectoryLock
from nexus.adapters.sqlite.log import SqliteLog
from nexus.adapters.sqlite.tables import SqliteTables
from nexus.adapters.sqlite.writer import Writer
from nexus.adapters.web.deferred import DeferredWeb
from nexus.composition.loops import run_beside
from nexus.composition.tables import TABLES
from nexus.domain.builds.service import BuildTimeouts
from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.ids import NewId, ulids
from nexus.domain.core.instants import Clock, system_clock
from nexus.domain.ports.code import CodeRunner
from nexus.domain.ports.database import TableDriver, Tables
from nexus.domain.ports.files import FileStore
from nexus.domain.ports.jobs import JobQueue
from nexus.domain.ports.log import EventLog
from nexus.domain.ports.models import ChatModel, ModelDiscovery
from nexus.domain.ports.pulse import Pulse
from nexus.domain.ports.repository import Repository
from nexus.domain.ports.web import Web
from nexus.domain.projects.admission import Limits
from nexus.domain.tasks.service import Tasks
from nexus.jobs.sweeper import Collect
from nexus.settings import Settings

KEPT = ("nexus.db", "nexus.db-wal", "nexus.db-shm", "lock", "models.toml", "projects")
"""What is kept in a data directory, beside `secret`: closed to other users, whatever the directory itself allows."""

logger = structlog.get_logger()


class Adapters(Struct, frozen=True, kw_only=True):
    """What is behind the ports. `collects`: what dead processes may have left here, and what removes it."""

    tables: TableDriver
    log: EventLog
    files: FileStore
    repository: Repository
    queue: JobQueue
    model: ChatModel
    discovery: ModelDiscovery
    code: CodeRunner
    web: Web
    pulse: Pulse
    secret: bytes
    worker_id: str
    clock: Clock = system_clock
    new_id: NewId = ulids()
    timeouts: BuildTimeouts = BuildTimeouts()
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    admission: Limits = Limits()
    collects: Mapping[str, Collect] = {}


async def open_adapters(settings: Settings, queue: JobQueue, stack: AsyncExitStack) -> Adapters:
    """Conflict when another process holds the data directory."""
    data = settings.directory
    stack.enter_context(DirectoryLock(data))
    await asyncio.to_thread(close_to_others, [data / name for name in KEPT])
    writer = await _open_writer(data, stack)
    log = SqliteLog(writer)
    await log.open()
    stack.callback(log.close)
    files = DirectoryFiles(data)
    repository = GitRepository(root=data, files=files)
    await repository.tidy()
    await stack.enter_async_context(run_beside(files.tidy()))
    code = await open_code(settings, stack)
    return Adapters(
        tables=await _open_tables(settings, writer, stack),
        log=EventLog(log),
        files=files,
        repository=repository,
        queue=queue,
        model=await open_model(settings, stack),
        discovery=LocalDiscovery(usual_places(os.environ)),
        code=code,
        web=DeferredWeb(),
        pulse=await stack.enter_async_context(_make_pulse(settings)),
        secret=_read_secret(data / "secret"),
        worker_id=f"{os.getpid()}-{secrets.token_hex(4)}",
        admission=Limits(settings.builds.per_tenant, settings.builds.held_per_tenant),
        timeouts=BuildTimeouts(patience=settings.builds.patience_seconds),
        collects=_find_collects(data, files=files, code=code),
    )


async def _open_writer(data: Path, stack: AsyncExitStack) -> Writer:
    writer = Writer(data / "nexus.db")
    await writer.open()
    stack.push_async_callback(writer.close)
    return writer


async def _open_tables(settings: Settings, writer: Writer, stack: AsyncExitStack) -> TableDriver:
    if settings.tables.backend == "sqlite":
        tables = SqliteTables(writer, TABLES)
        await tables.open()
        stack.callback(tables.close)
        return tables
    from nexus.adapters.dynamodb.provision import provision
    from nexus.adapters.dynamodb.tables import DynamoTables, open_client

    wanted = settings.tables
    client = await stack.enter_async_context(
        open_client(region=wanted.region, endpoint_url=wanted.endpoint_url or None)
    )
    await provision(client, TABLES, prefix=wanted.prefix)
    return DynamoTables(client, prefix=wanted.prefix)


async def open_code(settings: Settings, stack: AsyncExitStack) -> ConfinedRunner:
    """InvalidInput when the least tier that the settings ask for cannot be reached."""
    least = settings.code.min_tier
    code = await stack.enter_async_context(ConfinedRunner(data=settings.directory, min_tier=least))
    if code.tier().level < least:
        raise InvalidInput(f"NEXUS_CODE__MIN_TIER={least} cannot be reached. {code.tier().detail}")
    return code


async def open_model(settings: Settings, stack: AsyncExitStack) -> ChatModel:
    """The configured model; what only one provider needs is imported for it alone."""
    if settings.model.provider == "offline":
        from nexus.adapters.offline.model import OfflineModel

        return OfflineModel()
    import aiohttp

    from nexus.adapters.openai.model import OpenAIModel

    session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    return OpenAIModel(
        session=session,
        base_url=settings.model.base_url,
        api_key=settings.model.api_key.reveal(),
        name=settings.model.name,
        idle=settings.model.timeout,
    )


def _make_pulse(settings: Settings) -> ThreadPulse:
    """Signs of life over a connection of its own, in a loop of its own."""

    @asynccontextmanager
    async def open_beat() -> AsyncIterator[Beat]:
        async with AsyncExitStack() as stack:
            writer = await _open_writer(settings.directory, stack)
            tables = Tables(await _open_tables(settings, writer, stack), secret=b"pulse", clock=system_clock)
            yield Tasks(tables=tables, clock=system_clock, new_id=ulids()).beat

    return ThreadPulse(open_beat, every=settings.builds.heartbeat_seconds)


def _find_collects(data: Path, *, files: DirectoryFiles, code: ConfinedRunner) -> Mapping[str, Collect]:
    async def crash_tests() -> int:
        return await asyncio.to_thread(lambda: sum(rooms.collect() for rooms in crash_test_rooms(data)))

    return {
        "code": code.collect,
        "files": files.collect,
        "git": StaleFiles(root=data).collect,
        "rehearsal": crash_tests,
    }


def crash_test_rooms(data: Path) -> Sequence[Rooms]:
    """Where a crash test keeps its things: on the disk of the data, and where generated code runs."""
    return Rooms(data, ".rehearsal-"), Rooms(Path(tempfile.gettempdir()), "nexus-rehearsal-")


def _read_secret(path: Path) -> bytes:
    """What seals cursors: made once for a data directory, readable by its owner alone. One that others could read is made anew: it may
    have been read, and a cursor is all that is lost."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        return path.read_bytes()
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        logger.warning("secret.replaced", path=str(path), reason="Other users could read it.")
    elif len(secret := path.read_bytes()) == 32:
        return secret
    path.unlink()
    return _read_secret(path)
