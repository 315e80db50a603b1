"""The one way a job is run."""

import asyncio
from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Any, Literal

import msgspec
import structlog

from nexus.domain.core.errors import NexusError, Unavailable
from nexus.domain.ports.jobs import Job
from nexus.domain.services import Services
from nexus.jobs.registry import JOBS, SPECS

Verdict = Literal["completed", "retryable", "discarded"]

logger = structlog.get_logger()
_union: Any = reduce(or_, (spec.job for spec in JOBS))
_decode: Callable[[bytes], Job] = msgspec.json.Decoder(_union).decode
encode: Callable[[Job], bytes] = msgspec.json.Encoder().encode


async def run_job(services: Services, body: bytes) -> Verdict:
    """Runs a job to its verdict. Retryable ones come again by the sweeper, because their rows have not ended."""
    job = _decode(body)
    spec = SPECS[type(job)]
    name = str(type(job).__struct_config__.tag)
    with structlog.contextvars.bound_contextvars(job=name):
        try:
            async with asyncio.timeout(spec.timeout):
                await spec.run(services, job)
        except (Unavailable, TimeoutError) as error:
            logger.warning("job.retryable", reason=str(error) or "timed out")
            return "retryable"
        except NexusError as error:
            logger.warning("job.discarded", reason=error.detail)
            return "discarded"
        except Exception:
            logger.exception("job.crashed")
            return "retryable"
    return "completed"


async def hand_back(services: Services, body: bytes) -> None:
    """What is done with a job that waited when this process ended. One that cannot be helped keeps no other from it: the sweeper of
    the next process finds it as after a crash."""
    job = _decode(body)
    spec = SPECS[type(job)]
    if spec.back is None:
        return
    with structlog.contextvars.bound_contextvars(job=str(type(job).__struct_config__.tag)):
        try:
            await spec.back(services, job)
        except NexusError as error:
            logger.warning("job.not_handed_back", reason=error.detail)
        except Exception:
            logger.exception("job.not_handed_back")
