"""The composition root: settings in, the house out. The only file that knows every room."""

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from nexus.adapters.confined.runner import ConfinedRunner
from nexus.adapters.directory.files import DirectoryFiles
from nexus.adapters.git.repository import GitRepository
from nexus.adapters.inprocess.jobs import InProcessJobs
from nexus.adapters.inprocess.pulse import Beat, ThreadPulse
from nexus.adapters.sqlite.lock import DirectoryLock
from nexus.adapters.sqlite.log import SqliteLog
from nexus.adapters.sqlite.tables import SqliteTables
from nexus.adapters.sqlite.writer import Writer
from nexus.adapters.web.guarded import GuardedWeb
from nexus.domain.agents.invocations import Invocations
from nexus.domain.agents.service import Agents
from nexus.domain.agents.tables import AGENTS, DEPLOYMENTS, INVOCATIONS, VERSIONS
from nexus.domain.audit.service import Audit
from nexus.domain.audit.tables import AUDIT
from nexus.domain.builds.agent_build import AGENT_BUILD
from nexus.domain.builds.engine import Engine
from nexus.domain.builds.service import Builds, Pace
from nexus.domain.builds.work import Rooms
from nexus.domain.core.ids import NewId, ulids
from nexus.domain.core.instants import Clock, system_clock
from nexus.domain.events.service import Events
from nexus.domain.events.tables import EVENTS
from nexus.domain.models.service import Models
from nexus.domain.ports.code import CodeRunner
from nexus.domain.ports.database import TableDriver, Tables
from nexus.domain.ports.files import FileStore
from nexus.domain.ports.jobs import JobQueue
from nexus.domain.ports.log import EventLog
from nexus.domain.ports.models import ChatModel
from nexus.domain.ports.pulse import Pulse
from nexus.domain.ports.repository import Repository
from nexus.domain.ports.rows import Table
from nexus.domain.ports.web import Web
from nexus.domain.projects.runs import Runs
from nexus.domain.projects.service import Projects
from nexus.domain.projects.tables import BUILDS, PROJECTS, STAGES
from nexus.domain.requests.service import Requests
from nexus.domain.requests.tables import REQUESTS
from nexus.domain.runtime.journal import Crowd, Guard, Journal
from nexus.domain.runtime.service import Runtime
from nexus.domain.runtime.tables import STEPS
from nexus.domain.services import Services
from nexus.domain.sessions.replies import Replies
from nexus.domain.sessions.service import Sessions
from nexus.domain.sessions.tables import MESSAGES, REPLIES, SESSIONS
from nexus.domain.statistics.service import Statistics
from nexus.domain.tallies.service import Tallies
from nexus.domain.tallies.tables import TALLIES
from nexus.domain.tasks.service import Tasks
from nexus.domain.tasks.tables import TASKS
from nexus.domain.tools.service import Tools
from nexus.domain.tools.tables import TOOL_USES, TOOLS
from nexus.jobs.runner import run_job
from nexus.jobs.sweeper import Sweeper
from nexus.settings import Settings

TABLES: Sequence[Table[Any]] = (
    PROJECTS, STAGES, BUILDS, AGENTS, VERSIONS, DEPLOYMENTS, INVOCATIONS, SESSIONS, MESSAGES, REPLIES, TASKS,
    TOOLS, TOOL_USES, STEPS, EVENTS, REQUESTS, TALLIES, AUDIT,
)  # fmt: skip
"""Everything that is stored."""


class World(Struct, frozen=True, kw_only=True):
    """The adapters behind the ports: what the house stands on."""

    tables: TableDriver
    log: EventLog
    files: FileStore
    repository: Repository
    queue: JobQueue
    model: ChatModel
    code: CodeRunner
    web: Web
    pulse: Pulse
    secret: bytes
    worker_id: str
    clock: Clock = system_clock
    new_id: NewId = ulids()
    pace: Pace = Pace()
    admitted: int = 100


def services(world: World) -> Services:
    """The whole domain on a world."""
    clock, new_id = world.clock, world.new_id
    tables = Tables(world.tables, secret=world.secret, clock=clock)
    events, tallies = Events(tables=tables, clock=clock), Tallies(tables=tables, clock=clock)
    audit, requests = Audit(clock=clock, new_id=new_id), Requests(tables=tables, clock=clock)
    tasks = Tasks(tables=tables, clock=clock)
    tools = Tools(tables=tables, web=world.web, clock=clock)
    models = Models(model=world.model, clock=clock, sleep=asyncio.sleep)
    runtime = Runtime(models=models, tools=tools, code=world.code)
    projects = Projects(
        tables=tables, tasks=tasks, events=events, tallies=tallies, audit=audit,
        repository=world.repository, files=world.files, clock=clock, new_id=new_id, admitted=world.admitted,
    )  # fmt: skip
    runs = Runs(tables=tables, tasks=tasks, events=events, tallies=tallies, clock=clock)
    agents = Agents(
        tables=tables, runtime=runtime, repository=world.repository, tallies=tallies, audit=audit, clock=clock, new_id=new_id
    )  # fmt: skip
    crowd = Crowd()

    def journals(scope: str, guard: Guard) -> Journal:
        return Journal(tables=tables, clock=clock, scope=scope, guard=guard, crowd=crowd)

    def brief_journals(scope: str, guard: Guard) -> Journal:
        return Journal(tables=tables, clock=clock, scope=scope, guard=guard, eager=False)

    rooms = Rooms(models=models, runtime=runtime, code=world.code, agents=agents, repository=world.repository)
    builds = Builds(
        tables=tables, projects=projects, runs=runs, engine=Engine(runs=runs, rooms=rooms, journals=journals), events=events,
        requests=requests, queue=world.queue, workflow=AGENT_BUILD, pulse=world.pulse, worker_id=world.worker_id,
        pace=world.pace,
    )  # fmt: skip
    invocations = Invocations(
        tables=tables, agents=agents, runtime=runtime, tools=tools, tallies=tallies, requests=requests, clock=clock, new_id=new_id
    )  # fmt: skip
    replies = Replies(
        tables=tables, agents=agents, invocations=invocations, log=world.log, journals=brief_journals,
        worker_id=world.worker_id, clock=clock,
    )  # fmt: skip
    sessions = Sessions(
        tables=tables, agents=agents, replies=replies, requests=requests, tallies=tallies, queue=world.queue,
        clock=clock, new_id=new_id,
    )  # fmt: skip
    return Services(
        projects=projects, builds=builds, agents=agents, invocations=invocations, sessions=sessions, replies=replies,
        tasks=tasks, tools=tools, statistics=Statistics(tallies=tallies, clock=clock),
    )  # fmt: skip


class House(Struct, frozen=True, kw_only=True):
    """A house that works: its services, and what tells how it is."""

    services: Services
    world: World
    queue: InProcessJobs

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
        }


def directory_of(settings: Settings) -> Path:
    """Where everything is kept."""
    return Path(settings.data_dir).absolute()


@asynccontextmanager
async def open_house(settings: Settings) -> AsyncIterator[House]:
    """Opens everything in order, and closes it in reverse. Conflict when another process holds the data directory."""
    async with AsyncExitStack() as stack:
        world, queue = await _world(settings, stack)
        house = House(services=services(world), world=world, queue=queue)
        await house.services.tools.register_library()
        sweeper = Sweeper(
            services=house.services, queue=queue, worker_id=world.worker_id, lease=settings.builds.lease_seconds
        )
        await stack.enter_async_context(queue)
        await sweeper.start(alone=settings.tables.backend == "sqlite")
        queue.serve(partial(run_job, house.services))
        await stack.enter_async_context(_beside(sweeper.run(settings.builds.sweep_seconds), world.log.beat()))
        yield house


async def _world(settings: Settings, stack: AsyncExitStack) -> tuple[World, InProcessJobs]:
    data = directory_of(settings)
    stack.enter_context(DirectoryLock(data))
    writer = Writer(data / "nexus.db")
    await writer.open()
    stack.push_async_callback(writer.close)
    log = SqliteLog(writer)
    await log.open()
    stack.callback(log.close)
    files = DirectoryFiles(data)
    queue = InProcessJobs(places=settings.builds.concurrency, interactive=settings.limits.replies)
    world = World(
        tables=await _tables(settings, writer, stack),
        log=EventLog(log),
        files=files,
        repository=GitRepository(root=data, files=files),
        queue=queue,
        model=await open_model(settings, stack),
        code=await stack.enter_async_context(ConfinedRunner(data=data)),
        web=GuardedWeb(),
        pulse=await stack.enter_async_context(_pulse(settings)),
        secret=_secret(data / "secret"),
        worker_id=f"{os.getpid()}-{secrets.token_hex(4)}",
        admitted=settings.builds.per_tenant,
    )
    return world, queue


def _pulse(settings: Settings) -> ThreadPulse:
    """Signs of life over a connection of its own, in a loop of its own."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Beat]:
        async with AsyncExitStack() as stack:
            writer = Writer(directory_of(settings) / "nexus.db")
            await writer.open()
            stack.push_async_callback(writer.close)
            tables = Tables(await _tables(settings, writer, stack), secret=b"pulse", clock=system_clock)
            yield Tasks(tables=tables, clock=system_clock).beat

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
    """What seals cursors: made once for a data directory, readable by its owner alone."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
    if len(secret := path.read_bytes()) != 32:
        path.unlink()
        return _secret(path)
    return secret


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
