"""Requests that may come again."""

import hashlib

from msgspec import Struct

from nexus.domain.ports.rows import Entity


class Once(Struct, frozen=True):
    """What makes a creating request the same one when it comes again: the client's key, the route, and a digest of its body."""

    key: str
    route: str
    digest: str


class KeptAnswer(Entity, frozen=True, kw_only=True):
    """The answer to a request (JSON), kept in the commit of what it created. While `claim` names who works on it, there is none yet; each
    sign of life of that one is a revision."""

    key: str
    digest: str
    answer: str = ""
    claim: str | None = None
    expires_at: int


def once(key: str, route: str, body: bytes) -> Once:
    return Once(key, route, hashlib.sha256(body).hexdigest())
