"""Every job: what it carries, what runs it, and on what terms."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from nexus.domain.builds.model import RunBuild
from nexus.domain.ports.jobs import Job, Lane
from nexus.domain.projects.model import Purge
from nexus.domain.services import Services
from nexus.domain.sessions.model import WriteReply
from nexus.jobs import builds, projects, sessions


class JobSpec(Struct, frozen=True, kw_only=True):
    """`timeout` in seconds. A background job that is lost is offered again by the sweeper: the row is the truth."""

    job: type[Job]
    run: Callable[[Services, Any], Awaitable[None]]
    lane: Lane
    timeout: float


JOBS = (
    JobSpec(job=WriteReply, run=sessions.write_reply, lane="interactive", timeout=900),
    JobSpec(job=RunBuild, run=builds.run_build, lane="background", timeout=4 * 3600),
    JobSpec(job=Purge, run=projects.purge, lane="background", timeout=3600),
)
SPECS = {spec.job: spec for spec in JOBS}
