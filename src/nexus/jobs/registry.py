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

Does = Callable[[Services, Any], Awaitable[None]]


class JobSpec(Struct, frozen=True, kw_only=True):
    """`timeout` in seconds. A background job that is lost is offered again by the sweeper: the row is the truth. `back`: what is done
    instead of `run` when this process ends before it could begin; None where its row names no process."""

    job: type[Job]
    run: Does
    lane: Lane
    timeout: float
    back: Does | None = None


JOBS = (
    JobSpec(job=WriteReply, run=sessions.write_reply, lane="interactive", timeout=900, back=sessions.hand_back),
    JobSpec(job=RunBuild, run=builds.run_build, lane="background", timeout=4 * 3600, back=builds.hand_back),
    JobSpec(job=Purge, run=projects.purge, lane="background", timeout=3600),
)
SPECS = {spec.job: spec for spec in JOBS}
