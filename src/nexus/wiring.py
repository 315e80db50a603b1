"""The composition root: adapters in, services out. The only file that knows every room of the domain."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from nexus.domain.agents.deployments import Deployments
from nexus.domain.agents.invocations import Invocations
from nexus.domain.agents.service import Agents
from nexus.domain.agents.slugs import Slugs
from nexus.domain.agents.tables import AGENTS, DEPLOYMENTS, INVOCATIONS, RESERVATIONS, VERSIONS
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
from nexus.domain.ports.models import ChatModel, ModelDiscovery
from nexus.domain.ports.pulse import Pulse
from nexus.domain.ports.repository import Repository
from nexus.domain.ports.rows import Table
from nexus.domain.ports.web import Web
from nexus.domain.projects.admission import Admission, Limits
from nexus.domain.projects.commits import Commits
from nexus.domain.projects.deletions import Deletions
from nexus.domain.projects.openings import Openings
from nexus.domain.projects.runs import Runs
from nexus.domain.projects.service import Projects
from nexus.domain.projects.tables import BUILDS, PROJECTS, STAGES
from nexus.domain.requests.service import Requests
from nexus.domain.requests.tables import REQUESTS
from nexus.domain.runtime.crowd import Crowd
from nexus.domain.runtime.journal import Guard, Journal
from nexus.domain.runtime.service import Runtime
from nexus.domain.runtime.tables import STEPS
from nexus.domain.services import Services
from nexus.domain.sessions.keeping import Keeping
from nexus.domain.sessions.replies import Replies
from nexus.domain.sessions.service import Sessions
from nexus.domain.sessions.tables import MESSAGES, REPLIES, SESSIONS
from nexus.domain.sessions.turns import Turns
from nexus.domain.statistics.service import Statistics
from nexus.domain.tallies.service import Tallies
from nexus.domain.tallies.tables import TALLIES
from nexus.domain.tasks.service import Tasks
from nexus.domain.tasks.tables import TASKS
from nexus.domain.tools.service import Tools
from nexus.domain.tools.tables import TOOL_USES, TOOLS

TABLES: Sequence[Table[Any]] = (
    PROJECTS, STAGES, BUILDS, AGENTS, VERSIONS, DEPLOYMENTS, RESERVATIONS, INVOCATIONS, SESSIONS, MESSAGES, REPLIES,
    TASKS, TOOLS, TOOL_USES, STEPS, EVENTS, REQUESTS, TALLIES, AUDIT,
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
    discovery: ModelDiscovery
    code: CodeRunner
    web: Web
    pulse: Pulse
    secret: bytes
    worker_id: str
    clock: Clock = system_clock
    new_id: NewId = ulids()
    pace: Pace = Pace()
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    admission: Limits = Limits()


class _Ground(Struct, frozen=True, kw_only=True):
    """What all modules stand on."""

    clock: Clock
    tables: Tables
    events: Events
    tallies: Tallies
    admission: Admission
    audit: Audit
    requests: Requests
    tasks: Tasks
    tools: Tools
    models: Models
    runtime: Runtime
    slugs: Slugs


def _ground(world: World) -> _Ground:
    clock = world.clock
    tables = Tables(world.tables, secret=world.secret, clock=clock)
    tools = Tools(tables=tables, web=world.web, clock=clock)
    tallies = Tallies(tables=tables, clock=clock)
    models = Models(model=world.model, clock=clock, sleep=world.sleep)
    return _Ground(
        clock=clock,
        tables=tables,
        events=Events(tables=tables, clock=clock),
        tallies=tallies,
        admission=Admission(tallies=tallies, limits=world.admission),
        audit=Audit(clock=clock, new_id=world.new_id),
        requests=Requests(tables=tables, clock=clock),
        tasks=Tasks(tables=tables, clock=clock, new_id=world.new_id),
        tools=tools,
        models=models,
        runtime=Runtime(models=models, tools=tools, code=world.code),
        slugs=Slugs(tables=tables),
    )


def services(world: World) -> Services:
    """The whole domain on a world."""
    on, clock, new_id = _ground(world), world.clock, world.new_id
    tables, tallies, events, audit, tasks = on.tables, on.tallies, on.events, on.audit, on.tasks
    projects = Projects(
        tables=tables, tasks=tasks, events=events, tallies=tallies, admission=on.admission, audit=audit,
        repository=world.repository, clock=clock,
    )  # fmt: skip
    agents = Agents(
        tables=tables, runtime=on.runtime, describe=world.code.describe, repository=world.repository, tasks=tasks,
        tallies=tallies, audit=audit, clock=clock, new_id=new_id,
    )  # fmt: skip
    deletions = Deletions(
        tables=tables, projects=projects, agents=agents, slugs=on.slugs, tasks=tasks, tallies=tallies, audit=audit,
        files=world.files, clock=clock, new_id=new_id,
    )  # fmt: skip
    invocations = Invocations(
        tables=tables, agents=agents, runtime=on.runtime, tools=on.tools, tallies=tallies, requests=on.requests,
        clock=clock, new_id=new_id,
    )  # fmt: skip
    keeping = Keeping(tables=tables, agents=agents, invocations=invocations, tallies=tallies, clock=clock)
    replies = Replies(
        tables=tables, agents=agents, keeping=keeping, log=world.log, worker_id=world.worker_id, clock=clock,
        journals=partial(_journal, on, eager=False),
    )  # fmt: skip
    sessions = Sessions(
        tables=tables, agents=agents, replies=replies, invocations=invocations, requests=on.requests, tasks=tasks,
        tallies=tallies, audit=audit, turns=Turns(queue=world.queue, replies=replies), clock=clock, new_id=new_id,
    )  # fmt: skip
    return Services(
        projects=projects, deletions=deletions, builds=_builds(world, on, projects, deletions, agents), agents=agents,
        deployments=Deployments(tables=tables, agents=agents, requests=on.requests, audit=audit),
        invocations=invocations, sessions=sessions, replies=replies, tasks=tasks, tools=on.tools,
        statistics=Statistics(tallies=tallies, clock=clock),
    )  # fmt: skip


def _builds(world: World, on: _Ground, projects: Projects, deletions: Deletions, agents: Agents) -> Builds:
    openings = Openings(
        tables=on.tables, projects=projects, tasks=on.tasks, events=on.events, tallies=on.tallies,
        admission=on.admission, audit=on.audit, clock=world.clock, new_id=world.new_id,
    )  # fmt: skip
    commits = Commits(tables=on.tables, tasks=on.tasks, events=on.events, clock=world.clock)
    runs = Runs(
        tables=on.tables, tasks=on.tasks, commits=commits, admission=on.admission, tallies=on.tallies, clock=world.clock
    )
    rooms = Rooms(
        models=on.models, discovery=world.discovery, runtime=on.runtime, code=world.code, agents=agents, slugs=on.slugs,
        repository=world.repository,
    )  # fmt: skip
    crowd = Crowd()
    engine = Engine(
        runs=runs, rooms=rooms, journals=partial(_journal, on, crowd=crowd), crowd=crowd, patience=world.pace.patience,
        sleep=world.sleep,
    )  # fmt: skip
    return Builds(
        tables=on.tables, projects=projects, openings=openings, deletions=deletions, admission=on.admission, runs=runs, engine=engine,
        events=on.events, requests=on.requests, queue=world.queue, workflow=AGENT_BUILD, pulse=world.pulse,
        worker_id=world.worker_id, pace=world.pace,
    )  # fmt: skip


def _journal(on: _Ground, scope: str, guard: Guard, *, crowd: Crowd | None = None, eager: bool = True) -> Journal:
    return Journal(tables=on.tables, clock=on.clock, scope=scope, guard=guard, crowd=crowd, eager=eager)
