"""`nexus queues`: what lies in the queues between processes, read from the queues themselves; and their dead letters, moved back."""

import asyncio
from contextlib import AsyncExitStack

from nexus.cli.asked import Asked
from nexus.cli.exits import OK, USAGE, Ended
from nexus.cli.tables import Shape, show_table
from nexus.domain.ports.jobs import QueueDepth
from nexus.providers.choice import read_settings
from nexus.settings import Settings
from nexus.start import find_backend_faults
from nexus.wire.lists import Listed

SHAPE = Shape(
    {
        "queue": "name",
        "waiting": "waiting",
        "in flight": "in_flight",
        "later": "delayed",
        "dead": "dead",
        "oldest (s)": "oldest_seconds",
    },
    lesser=["later", "oldest (s)"],
    empty="There is no queue.",
)


def show(asked: Asked) -> int:
    show_table(asked, Listed(items=asyncio.run(_read_depths(_read_queue_settings(asked)))), SHAPE)
    return OK


def redrive(asked: Asked) -> int:
    settings, name = _read_queue_settings(asked), asked.arguments.name
    if settings.queue.backend != "sqs":
        raise Ended(USAGE, f"NEXUS_QUEUE__BACKEND={settings.queue.backend} has no dead letters.")
    moved = asyncio.run(_redrive(settings, name))
    asked.output.write_result({"queue": name, "moved": moved}, f"Moved {moved} dead letters back into {name}.")
    return OK


def _read_queue_settings(asked: Asked) -> Settings:
    """Of the queue alone: where rows and events are is another matter."""
    settings = read_settings(asked.settings_environ, tables__backend="sqlite", events__backend="sqlite")
    if settings.queue.backend == "inprocess":
        raise Ended(
            USAGE,
            "There is no queue between processes: NEXUS_QUEUE__BACKEND=inprocess keeps what waits in the process that runs it. See",
            ["tasks", "list"],
        )
    if faults := find_backend_faults(settings):
        raise Ended(USAGE, " ".join(faults))
    return settings


async def _read_depths(settings: Settings) -> list[QueueDepth]:
    from nexus.composition.queues import read_queue_depths

    async with AsyncExitStack() as stack:
        return [*await read_queue_depths(settings, stack)]


async def _redrive(settings: Settings, name: str) -> int:
    from nexus.adapters.sqs.redrive import redrive_dead_letters
    from nexus.composition.backends import Backends

    async with AsyncExitStack() as stack:
        return await redrive_dead_letters(await Backends(settings, stack).open_sqs(), name)
