"""Who is cancelled."""

import asyncio


def is_being_cancelled() -> bool:
    """Whether it is the present task itself that is cancelled, and not the work that it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
