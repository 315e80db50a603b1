"""Who calls: the local owner, who shows a token where one is configured."""

import hmac
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any

from litestar import Request
from litestar.types import ASGIApp

from nexus.adapters.http.requests import PREFIXES, check_query
from nexus.domain.core.errors import NotFound, Unauthenticated
from nexus.domain.core.ids import is_id
from nexus.domain.core.principal import LOCAL_OWNER, Principal

Middleware = Callable[[ASGIApp], ASGIApp]


def admitted(token: str | None, queries: Mapping[object, Collection[str]]) -> Middleware:
    """Lets only the owner of the token pass, and only to what may be an id, with parameters that the route knows (`queries`);
    without a token, everybody is the local owner.

    It stands behind the routes. A guard of litestar's would cost a copy of the route for each request."""
    expected = None if token is None else token.encode()

    def around(app: ASGIApp) -> ASGIApp:
        def admit(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
            if expected is not None:
                _check(scope["headers"], expected)
            scope["user"] = LOCAL_OWNER
            for name, value in scope["path_params"].items():
                if (prefix := PREFIXES.get(name)) is not None and not is_id(value, prefix):
                    raise NotFound
            if scope["query_string"]:
                check_query(scope["query_string"], queries.get(scope["route_handler"], ()))
            return app(scope, receive, send)

        return admit

    return around


def _check(headers: Iterable[tuple[bytes, bytes]], expected: bytes) -> None:
    header = next((value for name, value in headers if name == b"authorization"), b"")
    scheme, _, shown = header.partition(b" ")
    if scheme.lower() != b"bearer" or not hmac.compare_digest(shown.strip(), expected):
        raise Unauthenticated("Send the header `Authorization: Bearer` with the token of this server.")


def caller(request: Request[Any, Any, Any]) -> Principal:
    """The one whom the guard let pass."""
    principal: Principal = request.user
    return principal
