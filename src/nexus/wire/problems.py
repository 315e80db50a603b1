"""An error as RFC 9457 tells it."""

from typing import Literal

from msgspec import Struct, field


class Fault(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong with a part of the input: a JSON pointer (RFC 6901) into its body, its query or its headers (`/limit`)."""

    place: Literal["body", "query", "header"] = field(default="body", name="in")
    pointer: str = ""
    message: str


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to what could not be done. `type` is listed in the document of problems; fields below `errors` are facts of
    some types."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[Fault] = []
    current_status: str | None = None
    control_status: str | None = None
    reply_id: str | None = None
    verdict: str | None = None
    unmet: list[str] = []
    revision: int | None = None
    position: int | None = None
    limit: int | None = None
    retry_after: float | None = None
