"""Who calls: the credential that a request shows becomes a `Principal`."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from litestar import Request

from nexus.domain.identity.policies import check_scope
from nexus.domain.ports.authenticator import Authenticator

Fields = Iterable[tuple[bytes, bytes]]
Check = Callable[[Request[Any, Any, Any]], Awaitable[None]]
READS = ("GET", "HEAD", "OPTIONS")


def make_auth_check(authenticator: Authenticator, credential_of: Callable[[Fields], str | None]) -> Check:
    """A router's `before_request`: lets those pass whose credential is known, and whose scopes allow what they ask for.

    A guard of litestar's would cost a copy of the route for each request, a middleware two layers around each `send`."""

    async def check_caller(request: Request[Any, Any, Any]) -> None:
        scope = request.scope
        scope["user"] = caller = await authenticator.authenticate(credential_of(scope["headers"]))
        check_scope(caller, "read" if scope["method"] in READS else "write")

    return check_caller


def parse_bearer_token(fields: Fields) -> str | None:
    """What stands in `Authorization: Bearer`."""
    header = next((value for name, value in fields if name == b"authorization"), b"")
    scheme, _, shown = header.partition(b" ")
    return shown.strip().decode(errors="replace") if scheme.lower() == b"bearer" else None
