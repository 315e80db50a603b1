"""Several protocols beside each other: authentication and the shape of errors belong to a router."""

from collections.abc import Iterable
from typing import Any

from litestar import Request, Response, Router, get
from litestar.params import FromPath

from nexus.adapters.http.auth import make_auth_check
from nexus.domain.core.errors import NotFound
from nexus.domain.core.principal import LOCAL_OWNER, Principal
from tests.fakes.authenticator import KnownCredentials
from tests.http.edge import WANTED, open_edge

ANN = Principal("tnt_one", "usr_ann", kind="program")
READER = Principal(LOCAL_OWNER.tenant_id, LOCAL_OWNER.user_id, scopes=frozenset(("read",)))


@get("/things/{name:str}")
async def get_thing(name: FromPath[str], request: Request[Any, Any, Any]) -> dict[str, str]:
    if name == "gone":
        raise NotFound
    return {"name": name, "caller": request.user.user_id}


def key_of(fields: Iterable[tuple[bytes, bytes]]) -> str | None:
    return next((value.decode() for name, value in fields if name == b"x-api-key"), None)


def tell(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    return Response({"error": {"code": type(error).__name__}}, status_code=404 if isinstance(error, NotFound) else 401)


OTHER = Router(
    "/v1",
    route_handlers=[get_thing],
    before_request=make_auth_check(KnownCredentials({"of ann": ANN}), key_of),
    exception_handlers={Exception: tell},
)


async def test_another_protocol_has_its_own_callers_and_its_own_errors() -> None:
    async with open_edge(token="secret", routers=[OTHER]) as edge:
        answer = await edge.client.get("/v1/things/lamp", headers={"x-api-key": "of ann"})
        assert answer.json() == {"name": "lamp", "caller": ANN.user_id}
        answer = await edge.client.get("/v1/things/gone", headers={"x-api-key": "of ann"})
        assert (answer.status_code, answer.json()) == (404, {"error": {"code": "NotFound"}})
        answer = await edge.client.get("/v1/things/lamp", headers={"authorization": "Bearer secret"})
        assert (answer.status_code, answer.json()) == (401, {"error": {"code": "Unauthenticated"}})
        answer = await edge.client.get("/api/v2/agents", headers={"x-api-key": "of ann"})
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:nexus:problem:unauthenticated")
        assert "/v1/things/{name}" not in (await edge.client.get("/openapi.json")).json()["paths"]


async def test_callers_of_different_tenants_do_not_see_each_other_through_one_api() -> None:
    async with open_edge(authenticator=KnownCredentials({"owner": LOCAL_OWNER, "ann": ANN})) as edge:
        owner, ann = ({"authorization": f"Bearer {token}"} for token in ("owner", "ann"))
        project_id = (await edge.client.post("/api/v2/projects", json=WANTED, headers=owner)).json()["project_id"]
        assert (await edge.client.get(f"/api/v2/projects/{project_id}", headers=owner)).status_code == 200
        assert (await edge.client.get(f"/api/v2/projects/{project_id}", headers=ann)).status_code == 404
        assert (await edge.client.get("/api/v2/projects", headers=ann)).json()["items"] == []


async def test_a_credential_that_only_reads_changes_nothing() -> None:
    async with open_edge(authenticator=KnownCredentials({"reader": READER})) as edge:
        reader = {"authorization": "Bearer reader"}
        assert (await edge.client.get("/api/v2/projects", headers=reader)).status_code == 200
        refused = await edge.client.post("/api/v2/projects", json=WANTED, headers=reader)
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:nexus:problem:permission-denied")
        assert (await edge.client.get("/api/v2/projects", headers=reader)).json()["items"] == []
