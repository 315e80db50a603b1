"""Adapters in, services out: the only file that knows every service of the domain."""

from functools import partial

from msgspec import Struct, structs

from nexus.composition.adapters import Adapters, AgentAdapters
from nexus.domain.agents.deployments import Deployments
from nexus.domain.agents.invocations import Invocations
from nexus.domain.agents.package import PackageResolver
from nexus.domain.agents.service import Agents
from nexus.domain.agents.slugs import Slugs
from nexus.domain.audit.service import Audit
from nexus.domain.builds.driver import BuildDriver, Waiting
from nexus.domain.builds.model import UserCommands
from nexus.domain.builds.queue import BuildQueue
from nexus.domain.builds.runner import BuildRunner
from nexus.domain.builds.service import Builds
from nexus.domain.builds.stage_context import StageServices
from nexus.domain.core.instants import Clock
from nexus.domain.events.service import Events
from nexus.domain.models.service import Models
from nexus.domain.ports.database import Tables
from nexus.domain.projects.admission import Admission
from nexus.domain.projects.deletions import Deletions
from nexus.domain.projects.leases import BuildLeases
from nexus.domain.projects.service import Projects
from nexus.domain.projects.starts import BuildStarter
from nexus.domain.projects.transitions import BuildTransitions
from nexus.domain.requests.service import Requests
from nexus.domain.runtime.journal import Journal
from nexus.domain.runtime.quarantine import QuarantineGate
from nexus.domain.runtime.service import Runtime
from nexus.domain.services import Services
from nexus.domain.sessions.admission import ReplyAdmission
from nexus.domain.sessions.completion import ReplyCompletion
from nexus.domain.sessions.deletions import SessionDeletions
from nexus.domain.sessions.replies import Replies, make_reply_executions
from nexus.domain.sessions.reply_stream import make_reply_log
from nexus.domain.sessions.service import Sessions
from nexus.domain.statistics.service import Statistics
from nexus.domain.tallies.service import Tallies
from nexus.domain.tasks.service import Tasks
from nexus.domain.tools.providers import make_tool_providers
from nexus.domain.tools.service import Tools


class RuntimeServices(Struct, frozen=True, kw_only=True):
    """What an agent answers through."""

    tables: Tables
    tools: Tools
    models: Models
    runtime: Runtime
    resolver: PackageResolver


class CoreServices(RuntimeServices, frozen=True, kw_only=True):
    """What all modules stand on."""

    clock: Clock
    events: Events
    tallies: Tallies
    admission: Admission
    audit: Audit
    requests: Requests
    tasks: Tasks
    slugs: Slugs


def make_runtime_services(on: AgentAdapters) -> RuntimeServices:
    tables = Tables(on.tables, secret=on.secret, clock=on.clock)
    tools = Tools(tables=tables, web=on.web, clock=on.clock)
    providers = make_tool_providers(tools, on.code)
    models = Models(catalog=on.models, clock=on.clock, sleep=on.sleep)
    return RuntimeServices(
        tables=tables,
        tools=tools,
        models=models,
        runtime=Runtime(models=models, providers=providers),
        resolver=PackageResolver(providers=providers, models=on.models),
    )


COMMANDS = UserCommands(
    list_models="nexus models",
    use_model="nexus models use {}",
    use_hosted_model="nexus models use openai/gpt-4o-mini --key-env OPENAI_API_KEY",
    use_local_model="nexus models use ollama/NAME",
    run_package="nexus agent run .",
    test_package="nexus agent test .",
)
"""What the command of this system is called in texts of the domain."""


def _make_core_services(adapters: Adapters) -> CoreServices:
    clock, on = adapters.clock, make_runtime_services(adapters)
    tallies = Tallies(tables=on.tables, clock=clock)
    return CoreServices(
        **structs.asdict(on),
        clock=clock,
        events=Events(tables=on.tables, signals=adapters.signals, notifier=adapters.notifier, clock=clock),
        tallies=tallies,
        admission=Admission(tallies=tallies, limits=adapters.admission),
        audit=Audit(clock=clock, new_id=adapters.new_id),
        requests=Requests(
            tables=on.tables,
            clock=clock,
            heartbeat=adapters.heartbeat,
            worker_id=adapters.worker_id,
            times=adapters.leases,
            is_sole=adapters.is_sole,
        ),
        tasks=Tasks(
            tables=on.tables, clock=clock, new_id=adapters.new_id, heartbeat=adapters.heartbeat, times=adapters.leases
        ),
        slugs=Slugs(tables=on.tables),
    )


def make_domain_services(adapters: Adapters) -> Services:
    """The whole domain on its adapters."""
    on, clock, new_id = _make_core_services(adapters), adapters.clock, adapters.new_id
    tables, tallies, events, audit, tasks = on.tables, on.tallies, on.events, on.audit, on.tasks
    projects = Projects(
        tables=tables, tasks=tasks, events=events, tallies=tallies, admission=on.admission, audit=audit,
        repository=adapters.repository, clock=clock,
    )  # fmt: skip
    agents = Agents(
        tables=tables, resolver=on.resolver, repository=adapters.repository, tasks=tasks,
        tallies=tallies, audit=audit, clock=clock, new_id=new_id,
    )  # fmt: skip
    deletions = Deletions(
        tables=tables, projects=projects, agents=agents, slugs=on.slugs, tasks=tasks, tallies=tallies, audit=audit,
        files=adapters.files,
    )  # fmt: skip
    invocations = Invocations(
        tables=tables, agents=agents, runtime=on.runtime, tools=on.tools, tallies=tallies, requests=on.requests,
        clock=clock, new_id=new_id,
    )  # fmt: skip
    replies = _make_reply_service(adapters, on, agents, invocations)
    sessions = Sessions(
        tables=tables, agents=agents, replies=replies, requests=on.requests, tallies=tallies, clock=clock, new_id=new_id,
        admission=ReplyAdmission(queue=adapters.queue, local=adapters.local, replies=replies),
    )  # fmt: skip
    session_deletions = SessionDeletions(
        tables=tables, sessions=sessions, replies=replies, invocations=invocations, tasks=tasks, tallies=tallies,
        audit=audit, clock=clock,
    )  # fmt: skip
    leases = _make_build_leases(on)
    queue = BuildQueue(projects=projects, admission=on.admission, leases=leases, jobs=adapters.queue)
    builds = _make_build_service(adapters, on, projects, deletions, queue)
    return Services(
        projects=projects, deletions=deletions, builds=builds, build_queue=queue, agents=agents,
        build_runner=_make_build_runner(adapters, on, agents, leases, queue),
        deployments=Deployments(tables=tables, agents=agents, requests=on.requests, audit=audit, events=events),
        invocations=invocations, sessions=sessions, session_deletions=session_deletions, replies=replies, tasks=tasks, tools=on.tools,
        statistics=Statistics(tallies=tallies, clock=clock),
    )  # fmt: skip


def _make_reply_service(adapters: Adapters, on: CoreServices, agents: Agents, invocations: Invocations) -> Replies:
    tables, clock = on.tables, on.clock
    completion = ReplyCompletion(
        tables=tables, agents=agents, invocations=invocations, tallies=on.tallies, stream=make_reply_log(adapters.log),
        clock=clock,
    )  # fmt: skip
    return Replies(
        tables=tables, agents=agents, runtime=on.runtime, completion=completion, worker_id=adapters.worker_id, clock=clock,
        journals=partial(Journal, tables=tables, clock=clock, eager=False),
        executions=make_reply_executions(tables=tables, clock=clock, heartbeat=adapters.heartbeat, times=adapters.leases),
    )  # fmt: skip


def _make_build_leases(on: CoreServices) -> BuildLeases:
    return BuildLeases(
        tables=on.tables, tasks=on.tasks, admission=on.admission, tallies=on.tallies, clock=on.clock,
        transitions=BuildTransitions(tables=on.tables, tasks=on.tasks, events=on.events, clock=on.clock),
    )  # fmt: skip


def _make_build_service(
    adapters: Adapters, on: CoreServices, projects: Projects, deletions: Deletions, queue: BuildQueue
) -> Builds:
    starter = BuildStarter(
        projects=projects, tasks=on.tasks, events=on.events, tallies=on.tallies, admission=on.admission, audit=on.audit,
        clock=on.clock, new_id=adapters.new_id,
    )  # fmt: skip
    return Builds(
        tables=on.tables, projects=projects, starter=starter, deletions=deletions, requests=on.requests, queue=queue,
        workflow=adapters.workflow,
    )  # fmt: skip


def _make_build_runner(
    adapters: Adapters, on: CoreServices, agents: Agents, leases: BuildLeases, queue: BuildQueue
) -> BuildRunner:
    stage_services = StageServices(
        models=on.models, discovery=adapters.discovery, runtime=on.runtime, code=adapters.code, agents=agents, resolver=on.resolver,
        slugs=on.slugs, repository=adapters.repository, commands=COMMANDS,
    )  # fmt: skip
    gate = QuarantineGate()
    driver = BuildDriver(
        runs=leases, services=stage_services, workflows=(adapters.workflow,), journals=partial(Journal, tables=on.tables, clock=on.clock, gate=gate), gate=gate,
        waiting=Waiting(patience=adapters.timeouts.patience, sleep=adapters.sleep),
    )  # fmt: skip
    return BuildRunner(
        leases=leases, driver=driver, queue=queue, executions=on.tasks.executions, worker_id=adapters.worker_id,
        timeouts=adapters.timeouts,
    )  # fmt: skip
