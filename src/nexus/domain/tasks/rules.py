"""Where a task stands before the sweeper."""

import zlib

from nexus.domain.tasks.model import ENDED, TaskStatus

SHARDS: dict[str, tuple[str, ...]] = {
    "running": tuple(f"running#{number}" for number in range(8)),
    "queued": tuple(f"queued#{number}" for number in range(8)),
    "pending": tuple(f"held#{number}" for number in range(4)),
}
"""The partitions of the dispatch index: several, so that none is hot; and for each state its own, so that the many that are queued do not
stand before the few whose executor died."""

PLACES = tuple(place for places in SHARDS.values() for place in places)

LEASE_SECONDS = 30.0
"""When the sweeper looks at a running task that gave no sign of life; how long it then watches is its own patience."""


FAR_SECONDS = 900.0
"""Nothing that waits was told to wait so long: an instant further ahead was written under another clock, and has come."""


def shard(task_id: str, status: TaskStatus) -> str | None:
    """Where a task of this state is found; nowhere once it has ended."""
    if status in ENDED:
        return None
    places = SHARDS[status]
    return places[zlib.crc32(task_id.encode()) % len(places)]
