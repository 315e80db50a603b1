"""The document of the API says what the routes do."""

import asyncio
import re
from pathlib import Path
from typing import Any, Union

import msgspec

from nexus.adapters.http.openapi import FIELDS
from nexus.domain.projects import rules
from nexus.domain.sessions.model import ReplyEvent
from nexus.wire.events import OF_BUILDS
from tests.http.edge import NOBODYS, frames, open_edge, open_site
from tests.http.test_guards import named, routes

PAGE = Path(__file__).parents[2] / "docs" / "events.md"

UNDOCUMENTED = {"GET /", "GET /openapi.json", "GET /docs", "GET /redoc"}


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


async def test_pages_fetch_nothing_from_elsewhere() -> None:
    async with open_edge() as edge:
        for path in ("/docs", "/"):
            page = await edge.client.get(path, headers={"accept": "text/html,*/*;q=0.8"})
            assert page.headers["content-type"] == "text/html; charset=utf-8"
            assert not re.search(r"https?://|//cdn|src=|@import|innerHTML", page.text)
            assert "connect-src 'self'" in page.headers["content-security-policy"]
            assert "unsafe-inline" not in page.headers["content-security-policy"].partition("script-src")[2]
        moved = await edge.client.get("/redoc")
        assert (moved.status_code, moved.headers["location"]) == (307, "/docs")


async def test_the_root_leads_people_and_programs_on() -> None:
    async with open_edge() as edge:
        told = (await edge.client.get("/")).json()
        assert told["name"] == "nexus"
        page = await edge.client.get("/", headers={"accept": "text/html"})
        links = set(re.findall(r'href="(/[^"]*)"', page.text)) | {
            path for path in told.values() if path.startswith("/")
        }
        assert {"/docs", "/openapi.json", "/api/v2/agents", "/api/v2/projects"} <= links
        for path in links:
            assert (await edge.client.get(path)).status_code == 200, path
        assert "curl" in page.text and "nexus chat" in page.text


async def test_every_field_and_parameter_is_explained_in_a_sentence() -> None:
    document, _ = await described()
    kinds = document["components"]["schemas"]
    fields = {
        f"{kind}.{name}": field for kind, one in kinds.items() for name, field in one.get("properties", {}).items()
    }
    parameters = {
        f"{route} {one['name']}": one
        for route, told in operations(document).items()
        for one in told.get("parameters", ())
    }
    assert {
        name for name, one in (fields | parameters).items() if not one.get("description", "").endswith(".")
    } == set()


def test_every_explanation_belongs_to_a_field() -> None:
    document, _ = asyncio.run(described())
    kinds = document["components"]["schemas"]
    known = {name for one in kinds.values() for name in one.get("properties", {})}
    known |= {f"{kind}.{name}" for kind, one in kinds.items() for name in one.get("properties", {})}
    known |= {one["name"] for told in operations(document).values() for one in told.get("parameters", ())}
    told = {name for name, text in FIELDS.items() if isinstance(text, str)}
    told |= {f"{kind}.{name}" for kind, one in FIELDS.items() if isinstance(one, dict) for name in one}
    assert told - known == set()


async def test_what_is_strict_is_said_to_be_and_is() -> None:
    document, _ = await described()
    kinds = document["components"]["schemas"]
    bodies = {
        re.findall(r"schemas/(\w+)", str(one["requestBody"]))[0]
        for one in operations(document).values()
        if "requestBody" in one
    }
    assert bodies and all(kinds[name]["additionalProperties"] is False for name in bodies)
    async with open_edge(serving=False) as edge:
        for route, one in operations(document).items():
            if "requestBody" in one:
                method, path = route.split(" ", 1)
                answer = await edge.client.request(method, named(path), json={"odd": 1})
                assert answer.status_code == 422, route


async def test_headers_have_patterns_and_no_parameter_is_null() -> None:
    document, _ = await described()
    found = [one for told in operations(document).values() for one in told.get("parameters", ())]
    assert not [one for one in found if "null" in str(one["schema"])]
    headers = {one["name"]: one["schema"].get("pattern") for one in found if one["in"] == "header"}
    assert set(headers) == {"Idempotency-Key", "If-Match", "Last-Event-ID", "Prefer"} and all(headers.values())
    ids = {one["name"]: one["schema"]["pattern"] for one in found if one["in"] == "path" and one["name"] != "path"}
    assert all(re.match(pattern, NOBODYS[pattern[1:4]]) for pattern in ids.values())


async def test_answers_that_come_only_sometimes_are_there() -> None:
    found = operations((await described())[0])
    assert {"200", "202"} <= found["POST /api/v2/sessions/{session_id}/messages"]["responses"].keys()
    assert {"200", "503"} <= found["GET /ready"]["responses"].keys()
    assert all("401" in told["responses"] for route, told in found.items() if "/api/v2" in route)


async def test_every_event_has_a_schema_and_a_line_on_the_page() -> None:
    document, _ = await described()
    kinds = document["components"]["schemas"]
    tags = set[str]()
    for route, topic in (("projects/{project_id}/events", "build"), ("sessions/{session_id}/stream", "reply")):
        told = next(one for path, one in operations(document).items() if path.endswith(route))
        events = told["responses"]["200"]["content"]["text/event-stream"]["schema"]["properties"]["data"][
            "contentSchema"
        ]
        for tag, place in events["discriminator"]["mapping"].items():
            assert kinds[place.rpartition("/")[2]]["properties"]["type"]["enum"] == [tag]
        assert f"{topic}.completed" in events["discriminator"]["mapping"]
        tags |= set(events["discriminator"]["mapping"])
    assert tags == set(re.findall(r"`((?:build|stage|control|reply|tool|usage)\.[a-z]+)`", PAGE.read_text("utf-8"))) | {
        "reconnect"
    }
    moves = (*rules.MOVES.values(), *rules.STAGE_MOVES.values())
    assert {move.event for move in moves if move.event} <= tags


async def test_what_streams_tell_fits_its_schema() -> None:
    async with open_site() as site:
        site.will_say("Good evening.")
        text = (await site.client.get(f"/api/v2/projects/{site.project_id}/events")).text
        asked = await site.client.post(f"/api/v2/sessions/{site.session_id}/stream", json={"content": "Hello"})
        kinds: Any = Union[*OF_BUILDS]
        for frame in frames(text):
            event = msgspec.json.decode(frame["data"], type=kinds)
            assert set(msgspec.json.decode(frame["data"])) <= {"type", *event.__struct_fields__}, frame
        assert len(frames(asked.text)) > 2
        for frame in frames(asked.text):
            msgspec.json.decode(frame["data"], type=ReplyEvent)
