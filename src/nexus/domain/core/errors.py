"""What can go wrong, as a closed set of kinds. Kinds know no status codes: the HTTP edge has a table for those."""

from collections.abc import Mapping
from typing import Any, ClassVar


class NexusError(Exception):
    """Something a caller can be told. `detail` is a sentence for people, `facts` are for programs."""

    title: ClassVar[str] = "Something went wrong"
    problem_type: ClassVar[str] = ""
    """The name of this kind to programs, which stays when the class is renamed; else that of the class, as `reply-running`."""

    def __init__(self, detail: str = "", **facts: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.facts: Mapping[str, Any] = facts


class NotFound(NexusError):
    title = "Not found"


class AlreadyExists(NexusError):
    title = "Already exists"


class Conflict(NexusError):
    """The wish does not fit the present state. Asking again alone does not help."""

    title = "Not possible in the present state"


class Stale(Conflict):
    """The row moved since it was read: reading and deciding again may succeed. Raised by the storage port alone."""

    title = "Changed meanwhile"


class PreconditionFailed(NexusError):
    title = "Precondition failed"


class InvalidInput(NexusError):
    """The input breaks a rule. `facts["errors"]` may list `{pointer, message}`."""

    title = "Invalid input"


class Unauthenticated(NexusError):
    title = "Authentication required"


class PermissionDenied(NexusError):
    title = "Permission denied"


class QuotaExceeded(NexusError):
    """`facts["retry_after"]`: seconds, where waiting helps."""

    title = "Quota exceeded"


class Unavailable(NexusError):
    """A part of the world does not answer now; the same call may succeed later. `facts["retry_after"]`: seconds, if known."""

    title = "Not available now"
