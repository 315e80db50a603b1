"""What other processes of this user may read of the environment, in which keys and tokens come: nothing, from here on.

Between fork and exec a child is a copy of its parent, and `/proc/<pid>/environ` of either shows the block of memory that the kernel filled
when the program began. No way of starting a child avoids that moment, so the block itself is emptied."""

import ctypes
import os
from contextlib import suppress
from pathlib import Path

_ENV_START, _ENV_END = 47, 48
"""Of the fields of `/proc/self/stat` after the name of the program."""
_SET_MEMORY_MAP, _END_OF_ENVIRONMENT = 35, 11


def erase_proc_environ() -> None:
    """For this process and the children that it starts afterwards. `os.environ`, `getenv` and what is passed on to children stay as they
    are. Nothing happens where there is no `/proc`."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(") ")[2].split()
        start, end = int(fields[_ENV_START]), int(fields[_ENV_END])
    except (OSError, IndexError, ValueError):
        return
    if not 0 < start < end:
        return
    for name, value in os.environb.items():
        with suppress(ValueError):  # a name that no environment can hold
            os.putenv(name, value)  # a copy elsewhere: what pointed into the block does so no more
    ctypes.memset(start, 0, end - start)
    with suppress(OSError):  # root may also say that the block is empty; for others it is full of zeros
        from nexus.adapters.confined.inside import kernel

        kernel.prctl(_SET_MEMORY_MAP, _END_OF_ENVIRONMENT, start)
