"""What dead processes left in files and directories: removed by every process, again and again, beside all other work."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from nexus.jobs.failures import await_and_log_failure

Collect = Callable[[], Awaitable[int]]
"""Removes what was left of one kind, of which it is known that nobody has it; how many."""

logger = structlog.get_logger()


async def collect_garbage_forever(collects: Mapping[str, Collect], every: float) -> None:
    while True:
        await asyncio.sleep(every)
        await collect_all_garbage(collects)


async def collect_all_garbage(collects: Mapping[str, Collect]) -> None:
    """One kind that cannot be collected keeps no other from it."""
    for kind, collect in collects.items():
        await await_and_log_failure(
            _collect_garbage_kind(kind, collect), "sweep.failed_for", "sweep.crashed_for", about=kind
        )


async def _collect_garbage_kind(kind: str, collect: Collect) -> None:
    if count := await collect():
        logger.info("sweep.collected", kind=kind, count=count)
