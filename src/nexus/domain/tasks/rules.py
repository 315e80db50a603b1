"""Where a task stands before the sweeper."""

import zlib

SHARDS = tuple(f"d#{number:02d}" for number in range(16))
"""The partitions of the dispatch index: small, so that no status is one hot partition."""

HELD = tuple(f"h#{number:02d}" for number in range(4))
"""Those of tasks that wait until their tenant may have one more: many of them must not stand before what runs."""


LEASE_SECONDS = 30.0
"""When the sweeper looks at a running task that gave no sign of life; how long it then watches is its own patience."""


def shard(task_id: str, *, held: bool = False) -> str:
    places = HELD if held else SHARDS
    return places[zlib.crc32(task_id.encode()) % len(places)]
