"""Routes at the root: how the server is, and what it can be asked."""

import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.response import Redirect
from msgspec import Struct

from nexus.adapters.http.answers import API, Answer
from nexus.adapters.http.requests import JSONRequest
from nexus.adapters.http.routes import Routes
from nexus.domain.ports.metrics import Metrics
from nexus.wire.system import HealthView, ReadyView

route, health_route, operator_route = Routes("system"), Routes("system"), Routes("system")
"""`operator_route`: for those whom the authenticator knows."""
Parts = Callable[[], Awaitable[Mapping[str, Any]]]
Ready = Callable[[], Mapping[str, str]]
UNREADY = ResponseSpec(ReadyView, description="No requests should be sent here now.", generate_examples=False)
_LINKS = {
    "docs": "/docs",
    "openapi": "/openapi.json",
    "health": "/health",
    **{name: f"{API}/{name}" for name in ("agents", "projects", "sessions", "tasks", "tools")},
    "build": f"POST {API}/projects",
    "chat": f"POST {API}/agents/{{agent_id}}/sessions, then POST {API}/sessions/{{session_id}}/stream",
}


class System(Struct, frozen=True):
    """What the server can tell of itself."""

    version: str
    parts: Parts
    metrics: Metrics
    ready: Ready = lambda: {"status": "ready"}
    document: Callable[[], bytes] = bytes


@health_route("GET /health")
async def get_health(system: NamedDependency[System]) -> HealthView:
    """200 while the process is alive; the parts say what answers."""
    return HealthView(status="ok", version=system.version, parts=dict(await system.parts()))


@route("GET /api/health")
async def get_api_health(system: NamedDependency[System]) -> Answer[dict[str, Any]]:
    """As `/health`, with the parts side by side: `database.connected`, `llm`."""
    return Answer({**await system.parts(), "status": "ok", "version": system.version})


@route("GET /ready", also={503: UNREADY})
async def get_readiness(request: JSONRequest, system: NamedDependency[System]) -> Answer[ReadyView]:
    """200 when requests should be sent here; 503 while the store is away or the server is about to end."""
    parts = dict(await system.parts())
    database = parts.get("database")
    connected = not isinstance(database, Mapping) or bool(database.get("connected", True))
    if request.streams.draining or not connected or system.ready().get("status") != "ready":
        return Answer(ReadyView(status="not ready", parts=parts), status_code=503)
    return Answer(ReadyView(status="ready", parts=parts))


@operator_route("GET /metrics", media_type="text/plain")
async def get_metrics(request: JSONRequest, system: NamedDependency[System]) -> Answer[bytes]:
    """What this process counts, for Prometheus: as text, or as OpenMetrics where `Accept` asks for it."""
    page = system.metrics.make_page(request.headers.get("accept", ""))
    return Answer(page.content, media_type=page.media_type, headers={"cache-control": "no-store"})


@route("GET /openapi.json", include_in_schema=False)
async def get_document(system: NamedDependency[System]) -> Answer[bytes]:
    """What can be asked here, as OpenAPI 3.1."""
    return Answer(system.document(), media_type="application/json", headers={"cache-control": "no-cache"})


@route("GET /", include_in_schema=False)
async def get_home(request: JSONRequest, system: NamedDependency[System]) -> Answer[Any]:
    """Where to go from here: a page for people, JSON for programs."""
    if "text/html" not in request.headers.get("accept", ""):
        return Answer({"name": "nexus", "version": system.version, **_LINKS}, headers={"vary": "accept"})
    page, policy = _load_html_page_and_csp("home.html")
    return Answer(page, media_type="text/html", headers={"content-security-policy": policy, "vary": "accept"})


@route("GET /docs", include_in_schema=False)
async def get_docs() -> Answer[bytes]:
    """The same as a page. It fetches nothing but the document."""
    page, policy = _load_html_page_and_csp("docs.html")
    return Answer(page, media_type="text/html", headers={"content-security-policy": policy})


@route("GET /redoc", include_in_schema=False)
async def get_redoc() -> Redirect:
    """Where others have their page."""
    return Redirect("/docs", status_code=307)


@cache
def _load_html_page_and_csp(name: str) -> tuple[bytes, str]:
    """The page, and the policy that lets its own script run and nothing else."""
    page = resources.files("nexus.adapters.http").joinpath(name).read_bytes()
    script = page.partition(b"<script>")[2].partition(b"</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    return page, (
        "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'; "
        f"base-uri 'none'; script-src 'sha256-{digest}'"
    )
