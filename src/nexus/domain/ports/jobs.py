"""Jobs: work to do later, as tagged Structs in bytes."""

from typing import Literal, Protocol

from msgspec import Struct

Lane = Literal["interactive", "background"]


class Job(Struct, frozen=True, kw_only=True, tag_field="job"):
    """Base of all jobs. A job carries ids only: the rows are the truth, the queue is a hint."""


class JobQueue(Protocol):
    async def enqueue(self, job: Job, *, key: str, priority: int = 3, group: str = "") -> None:
        """Hands a job over, at least once; where the queue can, 5 before 1, and groups (tenants) of one priority in turn. The same key
        while a job of that key waits or runs here is dropped. Loss is allowed: the sweeper offers it again."""
        ...

    def has_room(self, job: type[Job]) -> bool:
        """Whether a job of this kind would be started at once, or wait behind no more than this process bears."""
        ...

    def cancel(self, key: str) -> bool:
        """Cancels the job of that key when it runs or waits in this process. False when it is not here."""
        ...
