"""What a call of a server can end with, other than an answer."""

import msgspec

from nexus.wire.problems import Problem

PROBLEMS = "urn:nexus:problem:"
"""What the type of every problem of a nexus server begins with."""


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


class NotNexus(Unreachable):
    """Something answers at `url`, but it is no nexus server."""

    def __init__(self, url: str, seen: str) -> None:
        super().__init__(url, f"what answers is none of nexus: {seen}")


class Dropped(Exception):
    """A try that may be repeated: no answer came, or its connection ended too soon. `wished`: the pause that the server asked for."""

    def __init__(self, failure: ApiError | Unreachable, wished: float | None = None) -> None:
        super().__init__(str(failure))
        self.failure, self.wished = failure, wished


def parse_problem_body(status: int, body: bytes) -> Problem | None:
    """The problem in the body of a refusal; None when no nexus server can have written it."""
    try:
        members = msgspec.json.decode(body, type=dict[str, object])
        problem = msgspec.convert({**members, "status": status}, Problem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return problem if problem.type.startswith(PROBLEMS) else None
