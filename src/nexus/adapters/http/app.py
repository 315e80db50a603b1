"""The application: all routes, and what stands before them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from importlib import metadata
from typing import Any

from litestar import Litestar, Request, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi.config import OpenAPIConfig
from litestar.routes import HTTPRoute
from litestar.types import ControllerRouterHandler

from nexus.adapters.http import agents, projects, requests, sessions, statistics, system, tasks, tools
from nexus.adapters.http.answers import API, Answer
from nexus.adapters.http.auth import make_auth_check, parse_bearer_token
from nexus.adapters.http.edge import MOST_BYTES, Edge
from nexus.adapters.http.openapi import make_openapi_config, make_openapi_json
from nexus.adapters.http.problems import format_allow_header, handle_exception
from nexus.adapters.http.requests import JSONRequest, check_request_parameters
from nexus.adapters.http.streams import Streams
from nexus.adapters.http.system import Parts, Ready, System
from nexus.domain.ports.authenticator import Authenticator
from nexus.domain.ports.metrics import Metrics
from nexus.domain.services import Services

VERSION = metadata.version("nexus")
AREAS = (projects, agents, sessions, tasks, tools, statistics)
PROVIDERS: Sequence[Callable[..., Any]] = (requests.window, requests.position, requests.wait, requests.revision)
"""What routes take from a request, by the name of the parameter that takes it."""


def make_http_app(
    services: Services,
    *,
    parts: Parts,
    ready: Ready = lambda: {"status": "ready"},
    authenticator: Authenticator,
    metrics: Metrics,
    hosts: Collection[str] = (),
    streams: Streams | None = None,
    routers: Sequence[Router] = (),
    version: str = VERSION,
) -> Litestar:
    """The HTTP edge. Where the authenticator is open, it answers to `hosts` and the names of this machine only, and refuses what pages of
    other sites ask for. `parts` tells how the process is, `ready` whether its `status` is to be sent requests. `routers` speak other
    protocols: each has an authentication and an error shape of its own."""
    open_streams = Streams() if streams is None else streams
    queries = dict[object, Collection[str]]()

    @cache
    def write_openapi() -> bytes:
        secured = not authenticator.is_anonymous_allowed
        app = _make_litestar_app(
            _make_handlers(authenticator, queries), held, make_openapi_config(version=version, secured=secured)
        )
        return make_openapi_json(app, secured=secured)

    told = System(version, parts, metrics, ready, write_openapi)
    held = {"services": services, "streams": open_streams, "system": told}
    app = _make_litestar_app([*_make_handlers(authenticator, queries), *routers], held)
    queries.update(_list_query_parameters(app))
    _add_edge(app, authenticator, hosts, metrics)
    return app


def make_operator_app(
    *, parts: Parts, authenticator: Authenticator, metrics: Metrics, hosts: Collection[str] = ()
) -> Litestar:
    """`/health` and `/metrics` alone, guarded as in the whole application: for a process without an API."""
    handlers: list[ControllerRouterHandler] = [*system.health_route.handlers, make_operator_router(authenticator)]
    app = _make_litestar_app(handlers, {"system": System(VERSION, parts, metrics)})
    _add_edge(app, authenticator, hosts, metrics)
    return app


def _make_handlers(
    authenticator: Authenticator, queries: Mapping[object, Collection[str]]
) -> list[ControllerRouterHandler]:
    api, operator = make_api_router(authenticator, queries), make_operator_router(authenticator)
    return [api, operator, *system.health_route.handlers, *system.route.handlers]


def _add_edge(app: Litestar, authenticator: Authenticator, hosts: Collection[str], metrics: Metrics) -> None:
    app.asgi_handler = Edge(
        app.asgi_handler,
        hosts=hosts if authenticator.is_anonymous_allowed else None,
        methods=_make_allow_headers(app),
        metrics=metrics,
    )


def make_api_router(authenticator: Authenticator, queries: Mapping[object, Collection[str]]) -> Router:
    """The API: tokens as `Authorization: Bearer`, errors as problems. `queries` are the parameters that each route knows."""
    check_caller = make_auth_check(authenticator, parse_bearer_token)

    async def check_request(request: Request[Any, Any, Any]) -> None:
        await check_caller(request)
        check_request_parameters(request.scope, queries)

    return Router(
        API,
        route_handlers=[handler for area in AREAS for handler in area.route.handlers],
        before_request=check_request,
        exception_handlers={HTTPException: handle_exception, Exception: handle_exception},
        dependencies={"once": Provide(requests.once)}
        | {provide.__name__: Provide(provide, sync_to_thread=False) for provide in PROVIDERS},
    )


def make_operator_router(authenticator: Authenticator) -> Router:
    """What concerns all tenants."""
    return Router(
        "/",
        route_handlers=system.operator_route.handlers,
        before_request=make_auth_check(authenticator, parse_bearer_token),
    )


def _make_litestar_app(
    handlers: Sequence[ControllerRouterHandler], held: Mapping[str, Any], config: OpenAPIConfig | None = None
) -> Litestar:
    return Litestar(
        handlers,
        dependencies={"system": Provide(lambda: held["system"], sync_to_thread=False)},
        state=State(held, deep_copy=False),
        exception_handlers={HTTPException: handle_exception, Exception: handle_exception},
        request_class=JSONRequest,
        response_class=Answer,
        request_max_body_size=MOST_BYTES,
        openapi_config=config,
        logging_config=None,
        debug=False,
    )


def _list_query_parameters(app: Litestar) -> Iterator[tuple[object, Collection[str]]]:
    """The parameters that each handler may be asked with. What handlers are given is made in turn, for it takes no time: a task
    group to gather it would take a third of a GET, and 5 MB for anyio."""
    for route in app.routes:
        for handler, model in route.route_handler_map.values() if isinstance(route, HTTPRoute) else ():
            model.dependency_batches = [{one} for batch in model.dependency_batches for one in batch]
            yield handler, sorted(parameter.field_alias for parameter in model.expected_query_params)


def _make_allow_headers(app: Litestar) -> dict[str, str]:
    """What is allowed at each address; for litestar, several methods of one address are routes of their own."""
    together = dict[str, set[str]]()
    for route in app.routes:
        together.setdefault(route.path_format, set()).update(route.methods)
    return {path: format_allow_header(methods) for path, methods in together.items()}
