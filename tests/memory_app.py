"""A whole app on memory adapters, with a clock that tests move: the fixture of the domain's and the edge's tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from msgspec import Struct, structs

from nexus.adapters.memory.models import MemoryCatalog
from nexus.adapters.memory.signals import MemorySignals
from nexus.adapters.memory.tables import MemoryTables
from nexus.adapters.prometheus.metrics import ProcessMetrics
from nexus.composition.adapters import Adapters
from nexus.composition.process import Duty, run_process
from nexus.domain.builds.agent_build import AGENT_BUILD
from nexus.domain.builds.workflow import Workflow
from nexus.domain.core.ids import make_ulid_source
from nexus.domain.core.principal import Principal
from nexus.domain.ports.log import EventLog
from nexus.domain.ports.models import ChatModel
from nexus.domain.services import Services
from nexus.jobs.lanes import Lanes
from nexus.jobs.sweeper import Sweeper
from tests.fakes.code import MemoryCode
from tests.fakes.files import MemoryFiles
from tests.fakes.heartbeat import MemoryHeartbeat
from tests.fakes.jobs import MemoryJobs
from tests.fakes.log import MemoryLog
from tests.fakes.models import MemoryDiscovery, ScriptedModel
from tests.fakes.notifications import MemoryNotifier
from tests.fakes.repository import MemoryRepository
from tests.fakes.web import MemoryWeb

ANN = Principal("tnt_one", "usr_ann", "Ann")
BEN = Principal("tnt_one", "usr_ben", "Ben")
EVE = Principal("tnt_two", "usr_eve", "Eve")


class MovableClock:
    """Time that stands until a test moves it; a little goes by with every look, as in life."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


class MemoryApp(Struct, frozen=True, kw_only=True):
    services: Services
    adapters: Adapters
    clock: MovableClock
    queue: Lanes | MemoryJobs
    sweeper: Sweeper
    metrics: ProcessMetrics

    async def parts(self) -> dict[str, object]:
        return {"database": {"connected": True}, "llm": {"model": self.adapters.default_model.name}}


def make_adapters(
    model: ChatModel | None = None,
    *,
    clock: MovableClock | None = None,
    like: Adapters | None = None,
    worker_id: str = "w1",
) -> Adapters:
    """Everything in memory. `like`: the same store and files under another worker, as after a restart; it hears no signal of the first."""
    clock = clock or MovableClock()
    files = MemoryFiles()
    return Adapters(
        tables=like.tables if like else MemoryTables(),
        log=EventLog(MemoryLog()) if like is None else like.log,
        signals=MemorySignals(),
        notifier=MemoryNotifier(),
        files=like.files if like else files,
        repository=like.repository if like else MemoryRepository(files=files),
        queue=(lanes := Lanes()),
        local=lanes,
        models=MemoryCatalog(model) if model else like.models if like else MemoryCatalog(ScriptedModel()),
        discovery=MemoryDiscovery(),
        code=MemoryCode(),
        web=MemoryWeb({}),
        heartbeat=MemoryHeartbeat(),
        secret=b"s" * 32,
        worker_id=worker_id,
        clock=clock,
        new_id=make_ulid_source(clock),
        sleep=at_once,
    )


async def at_once(seconds: float) -> None:
    """A rest that takes no time: the clock of these apps stands still."""
    await asyncio.sleep(0)


@asynccontextmanager
async def open_app(
    on: Adapters | None = None, *, serving: bool = True, workflow: Workflow = AGENT_BUILD
) -> AsyncIterator[MemoryApp]:
    """An app in which jobs run as they come; with `serving=False`, only those that a test runs."""
    on = on or make_adapters()
    on = structs.replace(on, workflow=workflow, local=on.queue)
    assert isinstance(on.queue, Lanes | MemoryJobs)
    assert isinstance(on.clock, MovableClock)
    duties: tuple[Duty, ...] = ("interactive", "background") if serving else ()
    async with run_process(on, cast(Lanes, on.queue), duties) as process:
        yield MemoryApp(
            services=process.services, adapters=on, clock=on.clock, queue=on.queue, sweeper=process.sweeper,
            metrics=process.metrics,
        )  # fmt: skip
