"""Requests that may come again."""

import hashlib

from msgspec import Struct

from nexus.domain.tasks.execution import LeaseRow


class Once(Struct, frozen=True):
    """What makes a creating request the same one when it comes again: the client's key, the route, and a digest of its body."""

    key: str
    route: str
    digest: str


class KeptAnswer(LeaseRow, frozen=True, kw_only=True):
    """The answer to a request (JSON), kept in the commit of what it created. There is none yet while a worker has the row."""

    key: str
    digest: str
    answer: str = ""
    expires_at: int
    status: str = "answered"
    tenant_id: str = ""
    created_at: str = ""


def make_idempotency_key(key: str, route: str, body: bytes) -> Once:
    return Once(key, route, hashlib.sha256(body).hexdigest())
