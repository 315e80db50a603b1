"""How a job that came through a queue between processes begins here."""

import asyncio

from nexus.domain.services import Services
from nexus.jobs.lanes import Lanes
from nexus.jobs.registry import REGISTRY, Registry, get_job_row_key


class JobDelivery:
    def __init__(self, *, services: Services, local: Lanes, registry: Registry = REGISTRY) -> None:
        self._services, self._local, self._registry = services, local, registry

    async def deliver_job(self, body: bytes, key: str, priority: int, group: str) -> None:
        """A Deliver: the row is claimed first, then the queue forgets the job. One that ended unclaimed was not to be had, or the sweeper finds its row."""
        spec, job = self._registry.decode_job(body)
        await self._local.enqueue_job(job, key=key, priority=priority, group=group)
        executions = spec.executions(self._services)
        waits = [
            asyncio.ensure_future(executions.wait_for_lease(*get_job_row_key(job))),
            asyncio.ensure_future(self._local.wait_for_job_end(key)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
