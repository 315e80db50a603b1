"""Jobs: work to do later, as tagged Structs in bytes."""

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, Protocol

from msgspec import Struct

Lane = Literal["interactive", "background"]


class Job(Struct, frozen=True, kw_only=True, tag_field="job"):
    """Base of all jobs. A job carries ids only: the rows are the truth, the queue is a hint."""


Deliver = Callable[[bytes, str, int, str], Awaitable[None]]
"""Takes over a job that came through a queue between processes: its body, key, priority and group. Returns once the queue may forget it:
its row is claimed here, or nothing is to be claimed any more. MsgspecError when the body is no job."""


class Capacity(NamedTuple):
    """How many jobs of a group run or wait here (`taken`), and how many may (`most`; None: any number)."""

    taken: int
    most: int | None

    def is_full(self, coming: int = 0) -> bool:
        """Whether one more is too many, beside so many that are on their way."""
        return self.most is not None and self.taken + coming >= self.most


class QueueDepth(Struct, frozen=True, kw_only=True):
    """How much waits in a queue between processes, was received and not yet deleted, comes later, and is dead: roughly, and None where that
    is not known. `oldest_seconds`: the age of the oldest one; AWS says it in CloudWatch only."""

    name: str
    waiting: int
    in_flight: int | None = None
    delayed: int | None = None
    dead: int | None = None
    oldest_seconds: float | None = None


class JobQueue(Protocol):
    """Carries jobs to a process that runs them."""

    async def enqueue_job(self, job: Job, *, key: str, priority: int = 3, group: str = "") -> int | None:
        """Hands a job over, at least once; where the queue can, 5 before 1, and groups (tenants) of one priority in turn. The same key
        while a job of that key waits is dropped; while one runs, it runs once more afterwards. Loss is allowed: the sweeper offers it again.

        How many wait before it, where it has to wait here; None when it starts at once, or when that is not known. Where this process ends, it is
        handed back at once."""
        ...


class LocalJobs(Protocol):
    """What of the jobs waits and runs in this process."""

    def get_job_capacity(self, job: type[Job], *, group: str = "") -> Capacity:
        """What there is of jobs of this kind and group, and what this process bears. A bound for who asks: enqueue refuses none."""
        ...

    def has_job(self, key: str) -> bool:
        """Whether the job of that key waits or runs here."""
        ...

    def stop_job(self, key: str) -> bool:
        """Cancels the job of that key when it runs or waits here; what waited never runs. False when it is not here."""
        ...


class JobReceiver(Protocol):
    """The end of a queue between processes at which jobs arrive."""

    async def run(self, deliver: Deliver) -> None:
        """Delivers what comes, for as long as this process has room for more, and until it is cancelled."""
        ...
