"""Every kind of work: what carries it, what runs it, and on what terms. A new one is a spec, a table of lease rows, and a verb."""

from collections.abc import Awaitable, Callable, Iterable
from functools import reduce
from operator import or_
from typing import Any

import msgspec
from msgspec import Struct, structs

from nexus.domain.builds.model import RunBuild
from nexus.domain.ports.jobs import Job, Lane
from nexus.domain.ports.rows import Key
from nexus.domain.projects.model import FinishDeletion
from nexus.domain.services import Services
from nexus.domain.sessions.model import WriteReply
from nexus.domain.tasks.execution import Executions, LeaseRow
from nexus.jobs import builds, projects, sessions
from nexus.jobs.outcomes import Outcome

HOUR = 3600.0


Run = Callable[[Services, Any], Awaitable[Outcome | None]]


class JobSpec(Struct, frozen=True, kw_only=True):
    """`job` carries the key of its row, under the names of the table's key; `takes` says which rows of the table are of this kind.

    Without `on_lost`, the runner claims the row before `run`, and does with it afterwards what the outcome says; after so many `attempts`
    that came to nothing it fails for good. With `on_lost` the verbs do all that: it goes on with a row whose worker is gone, or ends it
    where that is wanted, and answers whether its job is to be run here; `hand_back` lets go of it where this process ends before the job
    began. `on_held` looks whether work of a tenant that is held may begin. `priority`: in place of that of the row. `timeout` in seconds."""

    job: type[Job]
    run: Run
    lane: Lane
    executions: Callable[[Services], Executions[Any]]
    timeout: float = HOUR
    attempts: int | None = None
    priority: int | None = None
    takes: Callable[[Any], bool] = lambda row: True
    on_lost: Callable[[Services, Any], Awaitable[bool]] | None = None
    on_held: Callable[[Services, str], Awaitable[None]] | None = None
    hand_back: Run | None = None

    @property
    def name(self) -> str:
        return str(self.job.__struct_config__.tag)

    def make_job(self, executions: Executions[Any], row: LeaseRow) -> Job:
        return msgspec.convert(executions.make_key_fields(row), self.job)


def get_job_row_key(job: Job) -> Key:
    """The key of its row."""
    return structs.astuple(job)


class Registry:
    def __init__(self, specs: Iterable[JobSpec]) -> None:
        self.specs = tuple(specs)
        self._by_job = {spec.job: spec for spec in self.specs}
        union: Any = reduce(or_, self._by_job)
        self._decoder: msgspec.json.Decoder[Job] = msgspec.json.Decoder(union)

    def get_job_spec(self, job: type[Job]) -> JobSpec:
        return self._by_job[job]

    def decode_job(self, body: bytes) -> tuple[JobSpec, Job]:
        job = self._decoder.decode(body)
        return self._by_job[type(job)], job


encode: Callable[[Job], bytes] = msgspec.json.Encoder().encode

REGISTRY = Registry(
    [
        JobSpec(
            job=WriteReply, run=sessions.generate_reply, lane="interactive", timeout=HOUR / 4,
            executions=lambda services: services.replies.executions,
            on_lost=lambda services, reply: services.replies.take_over_reply(reply), hand_back=sessions.release_unstarted_reply,
        ),
        JobSpec(
            job=RunBuild, run=builds.run_build, lane="background", timeout=4 * HOUR,
            executions=lambda services: services.tasks.executions, takes=lambda task: task.task_type != "purge",
            on_lost=lambda services, task: services.build_runner.take_over_build(task),
            on_held=lambda services, tenant_id: services.build_queue.enqueue_pending_builds(tenant_id), hand_back=builds.release_unstarted_build
        ),
        JobSpec(
            job=FinishDeletion, run=projects.run_deletion_job, lane="background", priority=1,
            executions=lambda services: services.tasks.executions, takes=lambda task: task.task_type == "purge",
        ),
    ]
)  # fmt: skip
