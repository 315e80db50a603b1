"""Two processes over one store, each with its heartbeat: what is asked of builds and replies through one reaches the other, and what both delete is
counted once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec import structs

from nexus.adapters.dynamodb.tables import DynamoTables
from nexus.adapters.inprocess.heartbeat import ThreadHeartbeat
from nexus.adapters.memory.tables import MemoryTables
from nexus.composition.tables import TABLES
from nexus.domain.core.instants import system_clock
from nexus.domain.ports.database import TableDriver, Tables
from nexus.domain.projects.model import FinishDeletion
from nexus.jobs.registry import encode
from nexus.jobs.runner import Runner
from tests.contracts.conftest import DYNOXIDE, dynamodb_client, dynamodb_tables, find_dynamodb_url, sqlite_tables
from tests.domain.builds.scripts import script
from tests.domain.builds.test_builds import WANTED, over
from tests.fakes.heartbeat import MemoryHeartbeat
from tests.fakes.models import Gate, ScriptedModel, turn
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app

EVERY = 1.0
"""As in the product."""
PAUSE_SECONDS, STOP_SECONDS, LONG = 5.0, 2.0, 60.0

Open = Callable[[], Any]


class Pair(NamedTuple):
    """`bound`: whether the store is so near that seconds count."""

    one: MemoryApp
    other: MemoryApp
    model: ScriptedModel
    bound: bool


@asynccontextmanager
async def beating(heartbeat: MemoryHeartbeat) -> AsyncIterator[MemoryHeartbeat]:
    """In the loop of the test, as memory has no second connection."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(EVERY)
            await heartbeat.beat()

    task = asyncio.ensure_future(beat())
    try:
        yield heartbeat
    finally:
        task.cancel()


async def stores(request: pytest.FixtureRequest, path: Path, stack: AsyncExitStack) -> Open:
    """What opens the one store, each time over a connection of its own."""
    if request.param == "sqlite":
        return lambda: sqlite_tables(path / "nexus.db", list(TABLES))
    url = find_dynamodb_url(request)
    _, prefix = await stack.enter_async_context(dynamodb_tables(url, list(TABLES)))

    @asynccontextmanager
    async def opened() -> AsyncIterator[TableDriver]:
        async with dynamodb_client(url) as client:
            yield DynamoTables(client, prefix=prefix)

    return opened


@pytest.fixture(params=["memory", "sqlite", DYNOXIDE])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        first = make_adapters(model := script())
        second = make_adapters(like=first, clock=first.clock, worker_id="w2")  # type: ignore[arg-type]  # the clock of tests
        store = MemoryTables()
        opened = None if request.param == "memory" else await stores(request, tmp_path, stack)

        @asynccontextmanager
        async def own() -> AsyncIterator[Tables]:
            assert opened
            async with opened() as driver:
                yield Tables(driver, secret=b"s", clock=system_clock)

        apps = list[MemoryApp]()
        for on in (first, second):
            if opened:
                driver = await stack.enter_async_context(opened())
                heartbeat: Any = await stack.enter_async_context(ThreadHeartbeat(own, every=EVERY))
            else:
                heartbeat, driver = await stack.enter_async_context(beating(MemoryHeartbeat())), store
            on = structs.replace(on, tables=driver, heartbeat=heartbeat)
            apps.append(await stack.enter_async_context(open_app(on, serving=on.worker_id == "w1")))
        yield Pair(apps[0], apps[1], model=model, bound=request.param in ("memory", "sqlite"))


async def reached(pair: Pair, project_id: str, status: str, within: float) -> None:
    """The build comes to that state in time, and by its own worker: the fence did not rise."""
    async with asyncio.timeout(within if pair.bound else LONG):
        while (await pair.other.services.projects.get(ANN, project_id)).status != status:
            await asyncio.sleep(0.02)
    await pair.one.queue.wait_until_idle()


async def test_a_build_that_runs_in_one_process_is_paused_resumed_and_stopped_through_another(pair: Pair) -> None:
    gates = [Gate(), Gate()]
    pair.model._by_purpose["build.intake"].extendleft(turn(gate, "late") for gate in gates)
    builds, asks = pair.one.services.builds, pair.other.services.builds
    project_id = (await builds.start(ANN, WANTED)).project_id
    await gates[1].reached.wait()
    assert (await asks.execute_build_command(ANN, project_id, "pause")).status == "building"
    await reached(pair, project_id, "paused", PAUSE_SECONDS)
    assert (await asks.execute_build_command(ANN, project_id, "resume")).status == "queued"
    await pair.one.sweeper.recover_lost_jobs()
    await gates[0].reached.wait()
    assert (await asks.execute_build_command(ANN, project_id, "stop")).status == "building"
    await reached(pair, project_id, "cancelled", STOP_SECONDS)
    task = await pair.one.services.projects.get_active_task(ANN, project_id)
    assert (task.worker_id, task.fence) == ("w1", 2), "its own worker ended it, each time"


async def tags_of(app: MemoryApp, session_id: str, reply_id: str) -> list[str]:
    batches = await app.services.sessions.stream_reply_events(ANN, session_id, reply_id)
    assert batches is not None
    return [msgspec.json.decode(event)["type"] async for batch in batches for event in batch.events]


async def test_a_reply_is_followed_live_and_stopped_through_another_process(pair: Pair) -> None:
    one, other, gate = pair.one.services, pair.other.services, Gate()
    project = await over(pair.one, (await one.builds.start(ANN, WANTED)).project_id)
    session = await one.sessions.create_session(ANN, project.agent_ids[0])
    pair.model.add(turn("one ", gate, "two"), purpose="reply")
    reply = await one.sessions.send(ANN, session.session_id, "count")
    following = asyncio.ensure_future(tags_of(pair.other, session.session_id, reply.reply_id))
    await gate.reached.wait()
    asked = await other.sessions.cancel(ANN, session.session_id, reply.reply_id)
    assert (asked.status, asked.control_status) == ("running", "stopped")
    async with asyncio.timeout(STOP_SECONDS if pair.bound else LONG):
        events = await following
    assert events == ["reply.started", "reply.delta", "reply.cancelled"]
    await pair.one.queue.wait_until_idle()
    row = await other.sessions.get_reply(ANN, session.session_id, reply.reply_id)
    assert (row.status, row.content, row.worker_id, row.fence) == ("cancelled", "one ", "w1", 1), (
        "its own worker ended it"
    )


async def test_what_two_processes_delete_at_once_is_counted_once(pair: Pair) -> None:
    one, other = pair.one.services, pair.other.services
    project = await over(pair.one, (await one.builds.start(ANN, WANTED)).project_id)
    [agent_id] = project.agent_ids
    for _ in range(4):
        await one.sessions.create_session(ANN, agent_id)
    assert await counted(pair.one) == (1, 1, 4)
    await one.agents.delete(ANN, agent_id)
    await asyncio.gather(
        one.session_deletions.delete_agent_sessions(agent_id), other.session_deletions.delete_agent_sessions(agent_id)
    )
    assert await counted(pair.one) == (1, 0, 0)
    await one.deletions.delete_project(ANN, project.project_id)
    tasks = await one.tasks.executions.list_unfinished_rows()
    jobs = [encode(FinishDeletion(task_id=task.task_id)) for task in tasks]
    runners = [Runner(services=app.services, worker_id=app.adapters.worker_id) for app in (pair.one, pair.other)]
    outcomes = await asyncio.gather(*(runner.run_job(job) for runner in runners for job in jobs))
    assert sorted(outcome.verb for outcome in outcomes) == ["complete", "complete", "discard", "discard"]
    assert await counted(pair.one) == (0, 0, 0)
    assert {(await one.tasks.read(task.task_id)).status for task in tasks} == {"completed"}


async def counted(app: MemoryApp) -> tuple[int, int, int]:
    total = await app.services.statistics._tallies.read_total_tally(ANN)
    return total.projects, total.agents, total.sessions
