"""How routes are declared, and the parts of their signatures that all of them share."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler, delete, get, patch, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from nexus.adapters.http.openapi import REFUSALS, STREAMS
from nexus.domain.core import pages
from nexus.domain.requests.model import Once as Key

F = TypeVar("F", bound=Callable[..., Any])
METHODS = {"GET": get, "POST": post, "PUT": put, "PATCH": patch, "DELETE": delete}

Id = FromPath[str]
Window = NamedDependency[pages.Window]
Once = NamedDependency[Key | None]
Revision = NamedDependency[int | None]
Position = NamedDependency[int]
Wait = NamedDependency[int]


class Routes:
    """The routes of an area, in the order in which they are declared."""

    def __init__(self, area: str) -> None:
        self._area, self.handlers = area, list[HTTPRouteHandler]()

    def __call__(
        self,
        route: str,
        *refusals: int,
        stream: str | None = None,
        also: Mapping[int, ResponseSpec] = {},
        **options: Any,
    ) -> Callable[[F], F]:
        """Declares a function as the answer to `GET /path`; its name is the operation's. `refusals` are those that are not every route's;
        `stream` is the topic whose events it answers with, `also` what it may answer besides."""
        method, path = route.split(" ")
        responses = {status: REFUSALS[status] for status in refusals} | dict(also) | (STREAMS[stream] if stream else {})

        def declare(function: F) -> F:
            first, *rest = function.__name__.split("_")
            operation_id = first + "".join(map(str.capitalize, rest))
            decorate = METHODS[method](
                path, operation_id=operation_id, tags=[self._area], responses=responses, **options
            )
            self.handlers.append(decorate(function))
            return function

        return declare
