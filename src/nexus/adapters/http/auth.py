"""Who calls: the local owner, who shows a token where one is configured."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from nexus.domain.core.errors import NotFound, Unauthenticated
from nexus.domain.core.ids import is_id
from nexus.domain.core.principal import LOCAL_OWNER, Principal

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], Awaitable[None]]

PREFIXES = {
    "project_id": "prj",
    "agent_id": "agt",
    "session_id": "ses",
    "reply_id": "msg",
    "message_id": "msg",
    "task_id": "tsk",
    "tool_id": "tol",
}


def admitted(token: str | None) -> Guard:
    """A guard that lets only the owner of the token pass, and only to what may be an id; without a token, everybody is the local owner.

    It is a coroutine, because a plain function would be run in a thread for each request."""
    expected = None if token is None else token.encode()

    async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
        if expected is not None:
            _check(connection, expected)
        connection.scope["user"] = LOCAL_OWNER
        for name, value in connection.path_params.items():
            if (prefix := PREFIXES.get(name)) is not None and not is_id(value, prefix):
                raise NotFound

    return guard


def _check(connection: Connection, expected: bytes) -> None:
    scheme, _, shown = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(shown.strip().encode("latin-1"), expected):
        raise Unauthenticated("Send the header `Authorization: Bearer` with the token of this server.")


def caller(request: Request[Any, Any, Any]) -> Principal:
    """The one whom the guard let pass."""
    principal: Principal = request.user
    return principal
