"""A job that came through a queue: the queue forgets it only once its row is claimed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import NamedTuple, cast

import msgspec
import pytest
from msgspec import structs

from nexus.composition.adapters import Adapters
from nexus.composition.process import Duty, Process, run_process
from nexus.domain.builds.model import RunBuild
from nexus.domain.ports.jobs import Deliver, Job
from nexus.jobs.lanes import Lanes
from nexus.jobs.registry import encode
from tests.domain.builds.scripts import script
from tests.domain.builds.test_builds import WANTED
from tests.fakes.models import Gate, turn
from tests.memory_app import ANN, make_adapters


class Remote:
    """A queue that keeps what is sent, and hands out what takes it over."""

    def __init__(self) -> None:
        self.sent, self.deliver = list[Job](), asyncio.get_running_loop().create_future()

    async def enqueue_job(self, job: Job, *, key: str, priority: int = 3, group: str = "") -> int | None:
        self.sent.append(job)
        return None

    async def run(self, deliver: Deliver) -> None:
        self.deliver.set_result(deliver)
        await asyncio.Event().wait()


class Pair(NamedTuple):
    """A process that takes builds, and one with one place that runs them. The first stage of a build stands until the gate is opened."""

    api: Process
    worker: Process
    remote: Remote
    gate: Gate

    async def start_build(self) -> RunBuild:
        await self.api.services.builds.start(ANN, WANTED)
        return cast(RunBuild, self.remote.sent[-1])

    async def deliver(self, job: RunBuild) -> None:
        deliver: Deliver = await self.remote.deliver
        await deliver(encode(job), job.task_id, 3, ANN.tenant_id)

    async def read_owner(self, job: RunBuild) -> tuple[str, str | None]:
        task = await self.api.services.tasks.read(job.task_id)
        return task.status, task.worker_id


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    remote, gate, model = Remote(), Gate(), script()
    model._by_purpose["build.intake"].appendleft(turn(gate, "late"))
    taking = make_adapters(model)
    running = make_adapters(like=taking, worker_id="w2")
    async with AsyncExitStack() as stack:

        async def start(adapters: Adapters, lanes: Lanes, *duties: Duty) -> Process:
            on = structs.replace(adapters, queue=lanes, local=lanes, remote=remote, receiver=remote)
            return await stack.enter_async_context(run_process(on, lanes, duties))

        api = await start(taking, Lanes(places=0), "interactive")
        worker = await start(running, Lanes(places=1), "background")
        yield Pair(api, worker, remote, gate)


async def test_a_job_is_delivered_once_its_row_is_claimed(pair: Pair) -> None:
    job = await pair.start_build()
    assert await pair.read_owner(job) == ("queued", None)
    await pair.deliver(job)
    assert await pair.read_owner(job) == ("running", "w2")
    await pair.deliver(job)  # the same once more, while it runs: nothing to wait for


async def test_a_job_without_a_place_is_delivered_when_it_gets_one(pair: Pair) -> None:
    first, second = await pair.start_build(), await pair.start_build()
    await pair.deliver(first)
    waiting = asyncio.ensure_future(pair.deliver(second))
    await pair.gate.reached.wait()
    assert not waiting.done()
    pair.gate.opened.set()
    await waiting
    assert (await pair.read_owner(second))[1] in ("w2", None)
    assert (await pair.read_owner(first))[0] == "completed"


async def test_a_job_that_is_not_to_be_had_is_delivered_at_once(pair: Pair) -> None:
    await pair.deliver(RunBuild(task_id="tsk_none"))


async def test_what_is_no_job_is_refused_as_such(pair: Pair) -> None:
    deliver = await pair.remote.deliver
    with pytest.raises(msgspec.MsgspecError):
        await deliver(b'{"job": "Dance"}', "k", 3, "")
