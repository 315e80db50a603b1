"""What runs in a process: its services, its jobs and its sweeper, from the first adapter opened to the last one closed."""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Literal

from msgspec import Struct, structs

from nexus.adapters.prometheus.metrics import ProcessMetrics
from nexus.composition.adapters import Adapters, open_adapters
from nexus.composition.metrics import make_metrics, meter_adapters, run_metered_job, watch_work
from nexus.composition.services import make_domain_services
from nexus.domain.ports.jobs import Lane
from nexus.domain.services import Services
from nexus.jobs.collector import collect_garbage_forever
from nexus.jobs.delivery import JobDelivery
from nexus.jobs.lanes import Lanes
from nexus.jobs.registry import REGISTRY, Registry
from nexus.jobs.router import JobRouter
from nexus.jobs.runner import Runner
from nexus.jobs.sweeper import Sweeper
from nexus.settings import Settings

Duty = Literal["http", "interactive", "background", "sweeper"]
DUTIES: Mapping[str, Collection[Duty]] = {
    "all": ("http", "interactive", "background", "sweeper"),
    "api": ("http", "interactive", "sweeper"),
    "worker": ("background", "sweeper"),
}
"""What a process of each role does. It sweeps the work of the lanes that it serves."""
LANES: frozenset[Lane] = frozenset({"interactive", "background"})


class Process(Struct, frozen=True, kw_only=True):
    """A process that works: its services, and what tells how it is."""

    services: Services
    adapters: Adapters
    lanes: Lanes
    sweeper: Sweeper
    metrics: ProcessMetrics

    async def describe_health(self) -> Mapping[str, Any]:
        """What `/health` shows of the parts."""
        try:
            await self.services.tasks.find_task("tsk_none")
            connected = True
        except Exception:
            connected = False
        tier = self.adapters.code.get_isolation_tier()
        return {
            "database": {"connected": connected},
            "llm": {"model": self.adapters.default_model.name},
            "code": {"level": tier.level, "name": tier.name},
            "work": {"stuck_runs": self.sweeper.stuck_runs},
        }


@asynccontextmanager
async def open_process(settings: Settings) -> AsyncIterator[Process]:
    """Opens everything in order, and closes it in reverse. Conflict when another process holds the data directory."""
    duties = DUTIES[settings.role]
    async with AsyncExitStack() as stack:
        lanes = _make_job_lanes(settings, duties)
        adapters = await open_adapters(settings, lanes, stack)
        yield await stack.enter_async_context(run_process(adapters, lanes, duties))


@asynccontextmanager
async def run_process(
    adapters: Adapters, lanes: Lanes, duties: Collection[Duty], *, registry: Registry = REGISTRY
) -> AsyncIterator[Process]:
    """A process on open adapters; at its end, its jobs are handed back."""
    served, metrics = LANES & {*duties}, make_metrics()
    adapters = meter_adapters(adapters, metrics)
    if adapters.remote:
        router = JobRouter(lanes, adapters.remote, lanes=served, registry=registry)
        adapters = structs.replace(adapters, queue=router)
    services = make_domain_services(adapters)
    await services.tools.register_library_tools()
    runner = Runner(services=services, worker_id=adapters.worker_id, registry=registry)
    sweeper = Sweeper(
        services=services, queue=adapters.queue, local=lanes, worker_id=adapters.worker_id, times=adapters.leases,
        registry=registry, lanes=served or LANES,
    )  # fmt: skip
    watch_work(metrics, lanes, sweeper, adapters.clock)
    loops = [collect_garbage_forever(adapters.collects, adapters.collect_every), *(tidy() for tidy in adapters.tidies)]
    loops.append(metrics.measure_loop_lag())
    async with lanes:
        if "sweeper" in duties:
            await sweeper.recover_jobs_at_start(alone=adapters.is_sole)
            loops.append(sweeper.recover_jobs_forever(adapters.sweep_every, idle_queries=adapters.idle_queries))
        if served:
            run = partial(run_metered_job, runner.run_job, registry, metrics)
            lanes.start_running_jobs(run, back=runner.release_unstarted_job)
        if adapters.receiver and "background" in duties:
            delivery = JobDelivery(services=services, local=lanes, registry=registry)
            loops.append(adapters.receiver.run(delivery.deliver_job))
        async with _run_in_background(loops):
            yield Process(services=services, adapters=adapters, lanes=lanes, sweeper=sweeper, metrics=metrics)


def _make_job_lanes(settings: Settings, duties: Collection[Duty]) -> Lanes:
    """A lane that this process does not serve has no place."""
    limits = settings.limits
    return Lanes(
        places=settings.builds.concurrency if "background" in duties else 0,
        interactive=limits.replies if "interactive" in duties else 0,
        per_group=limits.replies_per_tenant,
        waiting=limits.replies_waiting,
    )


@asynccontextmanager
async def _run_in_background(loops: Sequence[Coroutine[Any, Any, object]]) -> AsyncIterator[None]:
    """Runs loops for as long as the context is open."""
    tasks = [asyncio.ensure_future(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
