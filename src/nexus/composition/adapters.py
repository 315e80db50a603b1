"""From the settings to the adapters: one function a port, which imports and opens what is behind it. They close in reverse."""

import asyncio
import hashlib
import os
import secrets
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from msgspec import Struct

from nexus.composition.backends import Backends
from nexus.composition.queues import open_notifier, open_queue, open_receiver
from nexus.composition.stores import open_migrated_tables, open_table_driver
from nexus.domain.builds.agent_build import AGENT_BUILD
from nexus.domain.builds.runner import BuildTimeouts
from nexus.domain.builds.workflow import Workflow
from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.ids import NewId, make_ulid_source
from nexus.domain.core.instants import Clock, system_clock
from nexus.domain.ports.code import CodeRunner
from nexus.domain.ports.database import TableDriver, Tables
from nexus.domain.ports.files import FileStore
from nexus.domain.ports.heartbeat import Heartbeat
from nexus.domain.ports.jobs import JobQueue, JobReceiver, LocalJobs
from nexus.domain.ports.log import EventLog, LogDriver
from nexus.domain.ports.models import DEFAULT, ChatModel, ModelCatalog, ModelDiscovery
from nexus.domain.ports.notifications import Notifier
from nexus.domain.ports.repository import Repository
from nexus.domain.ports.signals import Signals
from nexus.domain.ports.web import Web
from nexus.domain.projects.admission import Limits
from nexus.domain.tasks.execution import LeaseTimes
from nexus.jobs.collector import Collect
from nexus.jobs.lanes import Lanes
from nexus.settings import Settings

if TYPE_CHECKING:
    from nexus.adapters.confined.runner import ConfinedRunner
    from nexus.adapters.confined.workspaces import WorkspacePool
    from nexus.adapters.directory.files import DirectoryFiles

IDLE_QUERIES = 16
"""How many partitions an idle process asks for work in one round, where each question costs money and a request."""

KEPT = ("nexus.db", "nexus.db-wal", "nexus.db-shm", "lock", "models.toml", "projects", "spilled")
"""What is kept in a data directory, beside `secret`: closed to other users, whatever the directory itself allows."""

REDIS_PREFIX = "nexus:"

logger = structlog.get_logger()


class AgentAdapters(Struct, frozen=True, kw_only=True):
    """What an agent needs to answer."""

    tables: TableDriver
    models: ModelCatalog
    code: CodeRunner
    web: Web
    secret: bytes
    clock: Clock = system_clock
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    @property
    def default_model(self) -> ChatModel:
        """The configured one."""
        return self.models.get_model(DEFAULT)


class Adapters(AgentAdapters, frozen=True, kw_only=True):
    """What is behind the ports; beside it what builds follow, and the numbers that the settings give. `remote` carries jobs to processes
    that serve their lanes, `receiver` brings those for this one.

    Where this process holds its store and its directory for itself: `is_sole`, so whoever else ran anything is dead; `tidies`, which
    remove once what the last process left; `collects`, which go on removing what dead processes leave beside it."""

    log: EventLog
    signals: Signals
    notifier: Notifier
    files: FileStore
    repository: Repository
    queue: JobQueue
    local: LocalJobs
    discovery: ModelDiscovery
    heartbeat: Heartbeat
    worker_id: str
    remote: JobQueue | None = None
    receiver: JobReceiver | None = None
    new_id: NewId = make_ulid_source()
    workflow: Workflow = AGENT_BUILD
    timeouts: BuildTimeouts = BuildTimeouts()
    leases: LeaseTimes = LeaseTimes()
    admission: Limits = Limits()
    sweep_every: float = 5.0
    idle_queries: int | None = None
    collect_every: float = 30.0
    is_sole: bool = False
    tidies: Sequence[Callable[[], Coroutine[Any, Any, object]]] = ()
    collects: Mapping[str, Collect] = {}


async def open_adapters(settings: Settings, lanes: Lanes, stack: AsyncExitStack) -> Adapters:
    """Conflict when another process holds the data directory; InvalidInput when code cannot be confined as it must be."""
    from nexus.adapters.directory.files import DirectoryFiles
    from nexus.adapters.git.repository import GitRepository

    await _open_directory(settings, stack)
    backends, limits, files = Backends(settings, stack), settings.builds, DirectoryFiles(settings.files_root)
    code = await open_code_runner(settings, stack)
    check_isolation_tier(settings, code)
    return Adapters(
        tables=await open_migrated_tables(backends),
        log=await open_event_log(backends, signals := await make_signals(backends)),
        signals=signals,
        notifier=await open_notifier(backends),
        files=files,
        repository=GitRepository(root=settings.files_root, files=files),
        queue=lanes,
        local=lanes,
        remote=await open_queue(backends),
        receiver=await open_receiver(backends, lanes),
        models=await open_model_catalog(settings, stack),
        discovery=make_model_discovery(),
        code=code,
        web=make_web_client(),
        heartbeat=await start_lease_heartbeat(settings, stack),
        secret=_find_secret(settings),
        worker_id=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}",
        admission=Limits(limits.per_tenant, limits.held_per_tenant),
        leases=LeaseTimes(lease=limits.lease_seconds),
        timeouts=BuildTimeouts(patience=limits.patience_seconds),
        sweep_every=limits.sweep_seconds,
        idle_queries=None if settings.tables.backend == "sqlite" else IDLE_QUERIES,
        is_sole=settings.tables.backend == "sqlite",
        tidies=[files.delete_all_temp_files] if settings.role == "all" else [],
        collects=list_collectors(settings, code, files),
    )


def list_collectors(settings: Settings, code: "ConfinedRunner", files: "DirectoryFiles") -> Mapping[str, Collect]:
    """What removes what dead processes left, by kind."""
    from nexus.adapters.git.stale_files import StaleFiles

    return {
        "code": code.delete_stale_workspaces,
        "files": files.delete_old_temp_files,
        "git": StaleFiles(root=settings.files_root).delete_stale_files,
        "crash test": lambda: asyncio.to_thread(_delete_stale_crash_tests, settings.data_directory),
    }


async def _open_directory(settings: Settings, stack: AsyncExitStack) -> None:
    """The data directory; a process that does everything holds it for itself."""
    from nexus.adapters.directory.modes import make_paths_owner_only
    from nexus.adapters.sqlite.lock import DirectoryLock

    data = settings.data_directory
    if settings.role == "all":
        stack.enter_context(DirectoryLock(data))
    await asyncio.to_thread(partial(data.mkdir, parents=True, exist_ok=True))
    await asyncio.to_thread(make_paths_owner_only, [data / name for name in KEPT])


async def make_signals(backends: Backends) -> Signals:
    from nexus.adapters.memory.signals import MemorySignals

    if not backends.settings.uses_redis:
        return MemorySignals()
    from nexus.adapters.redis.signals import RedisSignals

    signals = RedisSignals(await backends.open_redis(), MemorySignals(), prefix=REDIS_PREFIX)
    signals.open()
    backends.stack.push_async_callback(signals.close)
    return signals


async def open_event_log(backends: Backends, signals: Signals) -> EventLog:
    if backends.settings.events.backend == "redis":
        return EventLog(await _open_redis_log(backends, signals))
    from nexus.adapters.sqlite.log import SqliteLog

    log = SqliteLog(await backends.open_sqlite_writer(), signals)
    await log.open()
    backends.stack.callback(log.close)
    return EventLog(log)


async def _open_redis_log(backends: Backends, signals: Signals) -> LogDriver:
    from nexus.adapters.redis.log import RedisLog
    from nexus.adapters.redis.signals import RedisSignals

    assert isinstance(signals, RedisSignals)
    log = RedisLog(await backends.open_redis(), signals, prefix=REDIS_PREFIX)
    log.open()
    backends.stack.push_async_callback(log.close)
    return log


async def start_lease_heartbeat(settings: Settings, stack: AsyncExitStack) -> Heartbeat:
    """Over tables of its own, in a loop of its own."""
    from nexus.adapters.inprocess.heartbeat import ThreadHeartbeat

    @asynccontextmanager
    async def open_heartbeat_tables() -> AsyncIterator[Tables]:
        async with AsyncExitStack() as own:
            driver = await open_table_driver(Backends(settings, own))
            yield Tables(driver, secret=b"heartbeat", clock=system_clock)

    return await stack.enter_async_context(
        ThreadHeartbeat(open_heartbeat_tables, every=settings.builds.heartbeat_seconds)
    )


async def open_code_runner(settings: Settings, stack: AsyncExitStack) -> "ConfinedRunner":
    from nexus.adapters.confined.runner import ConfinedRunner

    return await stack.enter_async_context(
        ConfinedRunner(data=settings.data_directory, min_tier=settings.code.min_tier)
    )


def check_isolation_tier(settings: Settings, code: CodeRunner) -> None:
    """InvalidInput when the least tier that the settings ask for cannot be reached."""
    if (tier := code.get_isolation_tier()).level < settings.code.min_tier:
        raise InvalidInput(f"NEXUS_CODE__MIN_TIER={settings.code.min_tier} cannot be reached. {tier.detail}")


async def open_model_catalog(settings: Settings, stack: AsyncExitStack) -> ModelCatalog:
    if settings.model.provider == "offline":
        from nexus.adapters.memory.models import MemoryCatalog
        from nexus.adapters.offline.model import OfflineModel

        return MemoryCatalog(OfflineModel())
    import aiohttp

    from nexus.adapters.openai.catalog import OpenAICatalog

    session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    return OpenAICatalog(
        session=session,
        base_url=settings.model.base_url,
        api_key=settings.model.api_key.reveal(),
        name=settings.model.name,
        idle=settings.model.timeout,
    )


def make_model_discovery() -> ModelDiscovery:
    from nexus.adapters.openai.discovery import LocalDiscovery, list_local_server_ports

    return LocalDiscovery(list_local_server_ports(os.environ))


def make_web_client() -> Web:
    from nexus.adapters.web.deferred import DeferredWeb

    return DeferredWeb()


def make_crash_test_pools(data: Path) -> Sequence["WorkspacePool"]:
    """Where a crash test keeps its things: on the disk of the data, and where generated code runs."""
    from nexus.adapters.confined.workspaces import WorkspacePool

    return WorkspacePool(data, ".rehearsal-"), WorkspacePool(Path(tempfile.gettempdir()), "nexus-rehearsal-")


def _delete_stale_crash_tests(data: Path) -> int:
    return sum(pool.delete_stale_workspaces() for pool in make_crash_test_pools(data))


def _find_secret(settings: Settings) -> bytes:
    """32 bytes."""
    if settings.secret:
        return hashlib.sha256(settings.secret.reveal().encode()).digest()
    return _read_or_make_secret(settings.data_directory / "secret")


def _read_or_make_secret(path: Path) -> bytes:
    """What seals cursors: made once for a data directory, readable by its owner alone. One that others could read is made anew: it may
    have been read, and a cursor is all that is lost."""
    with suppress(FileExistsError):
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
    return _read_or_make_secret(path)
