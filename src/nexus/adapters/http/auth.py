"""Who calls: the credential that a request shows becomes a `Principal`."""

from collections.abc import Callable, Iterable
from typing import Any

from litestar import Request
from litestar.types import ASGIApp

from nexus.domain.core.principal import Principal
from nexus.domain.identity.policies import check_scope
from nexus.domain.ports.authenticator import Authenticator

Fields = Iterable[tuple[bytes, bytes]]
Middleware = Callable[[ASGIApp], ASGIApp]
READS = ("GET", "HEAD", "OPTIONS")


def authenticate(authenticator: Authenticator, credential_of: Callable[[Fields], str | None]) -> Middleware:
    """For a router: lets those pass whose credential is known, and whose scopes allow what they ask for.

    It stands behind the routes. A guard of litestar's would cost a copy of the route for each request."""

    def around(app: ASGIApp) -> ASGIApp:
        async def admit(scope: Any, receive: Any, send: Any) -> None:
            scope["user"] = caller = await authenticator.authenticate(credential_of(scope["headers"]))
            check_scope(caller, "read" if scope["method"] in READS else "write")
            await app(scope, receive, send)

        return admit

    return around


def bearer_token(fields: Fields) -> str | None:
    """What stands in `Authorization: Bearer`."""
    header = next((value for name, value in fields if name == b"authorization"), b"")
    scheme, _, shown = header.partition(b" ")
    return shown.strip().decode(errors="replace") if scheme.lower() == b"bearer" else None


def caller(request: Request[Any, Any, Any]) -> Principal:
    """The one whom the router let pass."""
    principal: Principal = request.user
    return principal
