"""What a call of a server can end with, other than an answer."""

import msgspec
from msgspec import Struct


class FieldError(Struct, frozen=True):
    """One rule that the input broke, and where."""

    pointer: str = ""
    message: str = ""


class Problem(Struct, frozen=True, kw_only=True):
    """An error as the server told it (RFC 9457). `members` holds what it said beyond the standard."""

    type: str = "about:blank"
    title: str = ""
    status: int = 0
    detail: str = ""
    instance: str = ""
    request_id: str = ""
    errors: list[FieldError] = []
    members: dict[str, object] = {}


class ApiError(Exception):
    """The server understood and refused."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.title or f"HTTP {problem.status}")
        self.problem = problem


class Unreachable(Exception):
    """No server, or none of this kind, answers at `url`; `reason` says what was seen."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url}: {reason}")
        self.url, self.reason = url, reason


def problem_of(status: int, reason: str, body: bytes) -> Problem:
    """The problem in an answer's body, or the little that its status tells."""
    try:
        members = msgspec.json.decode(body, type=dict[str, object])
        known = msgspec.convert({**members, "status": status}, Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Problem(title=reason, status=status, detail=f"HTTP {status} {reason}, without an explanation.")
    rest = {name: value for name, value in members.items() if name not in Problem.__struct_fields__}
    return msgspec.structs.replace(known, members=rest)
