"""What runs in a process: its services, its jobs and its sweeper, from the first adapter opened to the last one closed."""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Literal

from msgspec import Struct

from nexus.adapters.inprocess.jobs import InProcessJobs
from nexus.composition.adapters import Adapters, open_adapters
from nexus.composition.services import compose_services
from nexus.domain.services import Services
from nexus.jobs.runner import hand_back, run_job
from nexus.jobs.sweeper import LEASE_SECONDS, Sweeper
from nexus.settings import Settings

Duty = Literal["http", "interactive", "background", "sweeper"]
DUTIES: Mapping[str, Collection[Duty]] = {
    "all": ("http", "interactive", "background", "sweeper"),
    "api": ("http", "interactive"),
    "worker": ("background", "sweeper"),
}
"""What a process of each role does."""
LANES: frozenset[Duty] = frozenset({"interactive", "background"})


class Process(Struct, frozen=True, kw_only=True):
    """A process that works: its services, and what tells how it is."""

    services: Services
    adapters: Adapters
    queue: InProcessJobs
    sweeper: Sweeper

    async def parts(self) -> Mapping[str, Any]:
        """What `/health` shows of the parts."""
        try:
            await self.services.tasks.find("tsk_none")
            connected = True
        except Exception:
            connected = False
        tier = self.adapters.code.tier()
        return {
            "database": {"connected": connected},
            "llm": {"model": self.adapters.model.name},
            "code": {"level": tier.level, "name": tier.name},
            "work": {"stuck_runs": self.sweeper.stuck_runs},
        }


@asynccontextmanager
async def open_process(settings: Settings) -> AsyncIterator[Process]:
    """Opens everything in order, and closes it in reverse. Conflict when another process holds the data directory."""
    duties, builds = DUTIES[settings.role], settings.builds
    async with AsyncExitStack() as stack:
        queue = _make_queue(settings, duties)
        adapters = await open_adapters(settings, queue, stack)
        running = run_process(adapters, queue, duties, lease=builds.lease_seconds, sweep_every=builds.sweep_seconds)
        yield await stack.enter_async_context(running)


@asynccontextmanager
async def run_process(
    adapters: Adapters,
    queue: InProcessJobs,
    duties: Collection[Duty],
    *,
    lease: float = LEASE_SECONDS,
    sweep_every: float = 5.0,
) -> AsyncIterator[Process]:
    """A process on open adapters; at its end, its jobs are handed back."""
    services = compose_services(adapters)
    await services.tools.register_library()
    sweeper = Sweeper(
        services=services, queue=queue, worker_id=adapters.worker_id, lease=lease, collects=adapters.collects
    )
    loops = [tidy() for tidy in adapters.tidies]
    async with queue:
        if "sweeper" in duties:
            await sweeper.start(alone=adapters.is_sole)
            loops.append(sweeper.run(sweep_every))
        if LANES & {*duties}:
            queue.serve(partial(run_job, services), back=partial(hand_back, services))
        async with _run_beside(loops):
            yield Process(services=services, adapters=adapters, queue=queue, sweeper=sweeper)


def _make_queue(settings: Settings, duties: Collection[Duty]) -> InProcessJobs:
    """A lane that this process does not serve has no place."""
    limits = settings.limits
    return InProcessJobs(
        places=settings.builds.concurrency if "background" in duties else 0,
        interactive=limits.replies if "interactive" in duties else 0,
        per_group=limits.replies_per_tenant,
        waiting=limits.replies_waiting,
    )


@asynccontextmanager
async def _run_beside(loops: Sequence[Coroutine[Any, Any, object]]) -> AsyncIterator[None]:
    """Runs loops for as long as the context is open."""
    tasks = [asyncio.ensure_future(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
