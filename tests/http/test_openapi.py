"""The document of the API says what the routes do."""

import re
from typing import Any

from tests.http.edge import open_edge
from tests.http.test_guards import routes

UNDOCUMENTED = {"GET /openapi.json", "GET /docs", "GET /redoc"}


async def described(**others: Any) -> tuple[dict[str, Any], set[str]]:
    async with open_edge(**others) as edge:
        answer = await edge.client.get("/openapi.json")
        assert answer.status_code == 200
        document: dict[str, Any] = answer.json()
        return document, routes(edge.app)


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


async def test_every_route_is_in_the_document_with_a_name_and_a_sentence() -> None:
    document, known = await described()
    found = operations(document)
    assert document["info"]["title"] == "nexus"
    assert set(found) == known - UNDOCUMENTED
    names = [operation["operationId"] for operation in found.values()]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", name) for name in names)
    assert all(operation["description"] and operation["tags"] for operation in found.values())


async def test_every_refusal_is_a_problem_and_every_reference_leads_somewhere() -> None:
    document, _ = await described(token="secret")
    for route, operation in operations(document).items():
        for status, answer in operation["responses"].items():
            if int(status) >= 400 and route.split()[1].startswith("/api/v2"):
                assert list(answer["content"]) == ["application/problem+json"], (route, status)
        if "/api/v2" in route:
            assert operation["security"] == [{"token": []}]
            assert {"401", "500", "503"} <= operation["responses"].keys()
        if "{" in route:
            assert "404" in operation["responses"], route
        if "requestBody" in operation:
            assert {"400", "413", "415", "422"} <= operation["responses"].keys(), route
    schemas = document["components"]["schemas"]
    references = set(re.findall(r"#/components/schemas/([^'\"]+)", str(document)))
    assert references <= schemas.keys()
    assert all(re.fullmatch(r"[A-Za-z]+", name) for name in schemas)


async def test_streams_and_keys_are_described() -> None:
    document, _ = await described()
    found = operations(document)
    streams = [
        route
        for route, one in found.items()
        if "text/event-stream" in one["responses"].get("200", {}).get("content", {})
    ]
    assert sorted(streams) == [
        "GET /api/v2/projects/{project_id}/events",
        "GET /api/v2/sessions/{session_id}/replies/{reply_id}/events",
        "POST /api/v2/sessions/{session_id}/stream",
    ]
    keyed = [
        route for route, one in found.items() if any(p["name"] == "Idempotency-Key" for p in one.get("parameters", ()))
    ]
    assert sorted(keyed) == [
        "POST /api/v2/agents/{agent_id}/deployments",
        "POST /api/v2/agents/{agent_id}/invoke",
        "POST /api/v2/agents/{agent_id}/sessions",
        "POST /api/v2/projects",
        "POST /api/v2/projects/{project_id}/control",
        "POST /api/v2/sessions/{session_id}/messages",
        "POST /api/v2/sessions/{session_id}/messages/{message_id}/regenerate",
        "POST /api/v2/sessions/{session_id}/stream",
    ]


async def test_the_page_fetches_nothing_from_elsewhere() -> None:
    async with open_edge() as edge:
        page = await edge.client.get("/docs")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert not re.search(r"https?://|//cdn|src=|@import|innerHTML", page.text)
        assert "connect-src 'self'" in page.headers["content-security-policy"]
        assert "unsafe-inline" not in page.headers["content-security-policy"].partition("script-src")[2]
        moved = await edge.client.get("/redoc")
        assert (moved.status_code, moved.headers["location"]) == (307, "/docs")
