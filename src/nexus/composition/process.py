"""What runs in a process: its services, its jobs and its sweeper, from the first adapter opened to the last one closed."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from msgspec import Struct

from nexus.adapters.inprocess.jobs import InProcessJobs
from nexus.composition.adapters import Adapters, open_adapters
from nexus.composition.loops import run_beside
from nexus.composition.services import compose_services
from nexus.domain.services import Services
from nexus.jobs.runner import hand_back, run_job
from nexus.jobs.sweeper import Sweeper
from nexus.settings import Settings


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
    async with AsyncExitStack() as stack:
        queue = _make_queue(settings)
        adapters = await open_adapters(settings, queue, stack)
        services = compose_services(adapters)
        await services.tools.register_library()
        sweeper = Sweeper(
            services=services,
            queue=queue,
            worker_id=adapters.worker_id,
            lease=settings.builds.lease_seconds,
            collects=adapters.collects,
        )
        await stack.enter_async_context(queue)
        await sweeper.start(alone=settings.tables.backend == "sqlite")
        queue.serve(partial(run_job, services), back=partial(hand_back, services))
        await stack.enter_async_context(run_beside(sweeper.run(settings.builds.sweep_seconds), adapters.log.beat()))
        yield Process(services=services, adapters=adapters, queue=queue, sweeper=sweeper)


def _make_queue(settings: Settings) -> InProcessJobs:
    limits = settings.limits
    return InProcessJobs(
        places=settings.builds.concurrency,
        interactive=limits.replies,
        per_group=limits.replies_per_tenant,
        waiting=limits.replies_waiting,
    )
