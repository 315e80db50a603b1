"""What goes wrong in one thing and is not to keep the next from going on."""

from collections.abc import Awaitable

import structlog

from nexus.domain.core.errors import NexusError

logger = structlog.get_logger()


async def await_and_log_failure(act: Awaitable[object], failed: str, crashed: str, **facts: object) -> None:
    """Waits for `act`; whatever goes wrong in it is logged: as `failed` what the domain knows, as `crashed` all else."""
    try:
        await act
    except NexusError as error:
        logger.warning(failed, **facts, reason=error.detail)
    except Exception:
        logger.exception(crashed, **facts)
