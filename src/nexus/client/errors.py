"""What a call of a server can end with, other than an answer."""

import msgspec

from nexus.wire.problems import Problem


class ApiError(Exception):
    """The server understood and refused; `problem` is its explanation."""

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
    known = unexplained(status, reason, f"HTTP {status} {reason}, without an explanation.")
    try:
        members = msgspec.json.decode(body, type=dict[str, object])
        return msgspec.convert({**msgspec.structs.asdict(known), **members, "status": status}, Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return known


def unexplained(status: int, title: str, detail: str) -> Problem:
    return Problem(type="about:blank", title=title, status=status, detail=detail, instance="", request_id="")
