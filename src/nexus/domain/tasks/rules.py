"""Where a task stands before the sweeper."""

import zlib

SHARDS = tuple(f"d#{number:02d}" for number in range(16))
"""The partitions of the dispatch index: small, so that no status is one hot partition."""


LEASE_SECONDS = 30.0
"""When the sweeper looks at a running task that gave no sign of life; how long it then watches is its own patience."""


def shard(task_id: str) -> str:
    return SHARDS[zlib.crc32(task_id.encode()) % len(SHARDS)]
