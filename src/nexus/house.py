"""The laptop's house: settings in, adapters opened in order, services that work, and all closed in reverse."""

import asyncio
import contextlib
import os
import secrets
import stat
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from msgspec import Struct

from nexus.adapters.confined.rooms import Rooms
from nexus.adapters.confined.runner import ConfinedRunner
from nexus.adapters.directory.files import DirectoryFiles
from nexus.adapters.directory.modes import close_to_others
from nexus.adapters.git.leavings import GitLeavings
from nexus.adapters.git.repository import GitRepository
from nexus.adapters.inprocess.jobs import InProcessJobs
from nexus.adapters.inprocess.pulse import Beat, ThreadPulse
from nexus.adapters.openai.discovery import LocalDiscovery, usual_places
from nexus.adapters.sqlite.lock import DirectoryLock
from nexus.adapters.sqlite.log import SqliteLog
from nexus.adapters.sqlite.tables import SqliteTables
from nexus.adapters.sqlite.writer import Writer
from nexus.adapters.web.deferred import DeferredWeb
from nexus.domain.builds.service import Pace
from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.ids import ulids
from nexus.domain.core.instants import system_clock
from nexus.domain.ports.database import TableDriver, Tables
from nexus.domain.ports.log import EventLog
from nexus.domain.ports.models import ChatModel
from nexus.domain.projects.admission import Limits
from nexus.domain.services import Services
from nexus.domain.tasks.service import Tasks
from nexus.jobs.runner import hand_back, run_job
from nexus.jobs.sweeper import Collect, Sweeper
from nexus.settings import Settings
from nexus.wiring import TABLES, World, services

KEPT = ("nexus.db", "nexus.db-wal", "nexus.db-shm", "lock", "models.toml", "projects")
"""What is kept in a data directory, beside `secret`: closed to other users, whatever the directory itself allows."""

logger = structlog.get_logger()


class House(Struct, frozen=True, kw_only=True):
    """A house that works: its services, and what tells how it is."""

    services: Services
    world: World
    queue: InProcessJobs
    sweeper: Sweeper

    async def parts(self) -> Mapping[str, Any]:
        """What `/health` shows of the parts."""
        try:
            await self.services.tasks.find("tsk_none")
            connected = True
        except Exception:
            connected = False
        tier = self.world.code.tier()
        return {
            "database": {"connected": connected},
            "llm": {"model": self.world.model.name},
            "code": {"level": tier.level, "name": tier.name},
            "work": {"stuck_runs": self.sweeper.stuck_runs},
        }


class _Opened(NamedTuple):
    world: World
    queue: InProcessJobs
    collects: Mapping[str, Collect]


def directory_of(settings: Settings) -> Path:
    """Where everything is kept."""
    return Path(settings.data_dir).absolute()


def rehearsals(data: Path) -> Sequence[Rooms]:
    """Where a rehearsal of crashes keeps its things: on the disk of the data, and where generated code runs."""
    return Rooms(data, ".rehearsal-"), Rooms(Path(tempfile.gettempdir()), "nexus-rehearsal-")


@asynccontextmanager
async def open_house(settings: Settings) -> AsyncIterator[House]:
    """Opens everything in order, and closes it in reverse. Conflict when another process holds the data directory."""
    async with AsyncExitStack() as stack:
        world, queue, collects = await _opened(settings, stack)
        made = services(world)
        await made.tools.register_library()
        sweeper = Sweeper(
            services=made,
            queue=queue,
            worker_id=world.worker_id,
            lease=settings.builds.lease_seconds,
            collects=collects,
        )
        await stack.enter_async_context(queue)
        await sweeper.start(alone=settings.tables.backend == "sqlite")
        queue.serve(partial(run_job, made), back=partial(hand_back, made))
        await stack.enter_async_context(_beside(sweeper.run(settings.builds.sweep_seconds), world.log.beat()))
        yield House(services=made, world=world, queue=queue, sweeper=sweeper)


async def _opened(settings: Settings, stack: AsyncExitStack) -> _Opened:
    data = directory_of(settings)
    stack.enter_context(DirectoryLock(data))
    await asyncio.to_thread(close_to_others, [data / name for name in KEPT])
    writer = Writer(data / "nexus.db")
    await writer.open()
    stack.push_async_callback(writer.close)
    log = SqliteLog(writer)
    await log.open()
    stack.callback(log.close)
    files = DirectoryFiles(data)
    repository = GitRepository(root=data, files=files)
    await repository.tidy()
    await stack.enter_async_context(_beside(files.tidy()))
    queue = _queue(settings)
    code = await _code(settings, stack)
    world = World(
        tables=await _tables(settings, writer, stack),
        log=EventLog(log),
        files=files,
        repository=repository,
        queue=queue,
        model=await open_model(settings, stack),
        discovery=LocalDiscovery(usual_places(os.environ)),
        code=code,
        web=DeferredWeb(),
        pulse=await stack.enter_async_context(_pulse(settings)),
        secret=_secret(data / "secret"),
        worker_id=f"{os.getpid()}-{secrets.token_hex(4)}",
        admission=Limits(settings.builds.per_tenant, settings.builds.held_per_tenant),
        pace=Pace(patience=settings.builds.patience_seconds),
    )
    return _Opened(world, queue, _collects(data, files=files, code=code))


async def _code(settings: Settings, stack: AsyncExitStack) -> ConfinedRunner:
    least = settings.code.min_tier
    code = await stack.enter_async_context(ConfinedRunner(data=directory_of(settings), min_tier=least))
    if code.tier().level < least:
        raise InvalidInput(f"NEXUS_CODE__MIN_TIER={least} cannot be reached. {code.tier().detail}")
    return code


def _queue(settings: Settings) -> InProcessJobs:
    limits = settings.limits
    return InProcessJobs(
        places=settings.builds.concurrency,
        interactive=limits.replies,
        per_group=limits.replies_per_tenant,
        waiting=limits.replies_waiting,
    )


def _collects(data: Path, *, files: DirectoryFiles, code: ConfinedRunner) -> Mapping[str, Collect]:
    """What processes that are dead may have left, and what removes it."""

    async def rehearsed() -> int:
        return await asyncio.to_thread(lambda: sum(rooms.collect() for rooms in rehearsals(data)))

    return {
        "code": code.collect,
        "files": files.collect,
        "git": GitLeavings(root=data).collect,
        "rehearsal": rehearsed,
    }


def _pulse(settings: Settings) -> ThreadPulse:
    """Signs of life over a connection of its own, in a loop of its own."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Beat]:
        async with AsyncExitStack() as stack:
            writer = Writer(directory_of(settings) / "nexus.db")
            await writer.open()
            stack.push_async_callback(writer.close)
            tables = Tables(await _tables(settings, writer, stack), secret=b"pulse", clock=system_clock)
            yield Tasks(tables=tables, clock=system_clock, new_id=ulids()).beat

    return ThreadPulse(opened, every=settings.builds.heartbeat_seconds)


async def _tables(settings: Settings, writer: Writer, stack: AsyncExitStack) -> TableDriver:
    if settings.tables.backend == "sqlite":
        tables = SqliteTables(writer, TABLES)
        await tables.open()
        stack.callback(tables.close)
        return tables
    from nexus.adapters.dynamodb.provision import provision
    from nexus.adapters.dynamodb.tables import DynamoTables, connected

    wanted = settings.tables
    client = await stack.enter_async_context(connected(region=wanted.region, endpoint_url=wanted.endpoint_url or None))
    await provision(client, TABLES, prefix=wanted.prefix)
    return DynamoTables(client, prefix=wanted.prefix)


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


def _secret(path: Path) -> bytes:
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
    return _secret(path)


@asynccontextmanager
async def _beside(*loops: Any) -> AsyncIterator[None]:
    """Runs loops for as long as the context is open."""
    tasks = [asyncio.ensure_future(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
