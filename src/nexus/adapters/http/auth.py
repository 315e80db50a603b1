"""Who calls: the local owner, who shows a token where one is configured."""

import hmac
from collections.abc import Callable
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from nexus.domain.core.errors import NotFound, Unauthenticated
from nexus.domain.core.ids import is_id
from nexus.domain.core.principal import LOCAL_OWNER, Principal

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], None]

PREFIXES = {
    "project_id": "prj",
    "agent_id": "agt",
    "session_id": "ses",
    "reply_id": "msg",
    "message_id": "msg",
    "task_id": "tsk",
    "tool_id": "tol",
}


def signed_in(token: str | None) -> Guard:
    """A guard that lets only the owner of the token pass; without a token, everybody is the local owner."""
    expected = None if token is None else token.encode()

    def guard(connection: Connection, handler: BaseRouteHandler) -> None:
        if expected is not None:
            scheme, _, shown = connection.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(shown.strip().encode("latin-1"), expected):
                raise Unauthenticated("Send the header `Authorization: Bearer` with the token of this server.")
        connection.scope["user"] = LOCAL_OWNER

    return guard


def known_by_syntax(connection: Connection, handler: BaseRouteHandler) -> None:
    """What cannot be an id is answered as one that is nobody's."""
    for name, value in connection.path_params.items():
        if (prefix := PREFIXES.get(name)) is not None and not is_id(value, prefix):
            raise NotFound


def caller(request: Request[Any, Any, Any]) -> Principal:
    """The one whom `signed_in` let pass."""
    principal: Principal = request.user
    return principal
