"""What stands before every route: tokens, hosts, origins, sizes, ids, and the table of who may come in without a token."""

import re
from typing import Any

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute
from structlog.testing import capture_logs

from tests.http.edge import NOBODYS, WANTED, Reader, open_edge, open_site

TOKEN = "a token of this server"
OPEN = {"/", "/health", "/api/health", "/ready", "/openapi.json", "/docs", "/redoc"}

ANONYMOUS = {
    "GET /": 200,
    "GET /health": 200,
    "GET /api/health": 200,
    "GET /ready": 200,
    "GET /openapi.json": 200,
    "GET /docs": 200,
    "GET /redoc": 307,
    "GET /metrics": 401,
    "POST /api/v2/projects": 401,
    "GET /api/v2/projects": 401,
    "GET /api/v2/projects/{project_id}": 401,
    "DELETE /api/v2/projects/{project_id}": 401,
    "GET /api/v2/projects/{project_id}/stages": 401,
    "GET /api/v2/projects/{project_id}/build": 401,
    "POST /api/v2/projects/{project_id}/control": 401,
    "GET /api/v2/projects/{project_id}/tasks": 401,
    "GET /api/v2/projects/{project_id}/events": 401,
    "GET /api/v2/projects/{project_id}/files": 401,
    "GET /api/v2/projects/{project_id}/files/{path}": 401,
    "GET /api/v2/projects/{project_id}/report": 401,
    "GET /api/v2/projects/{project_id}/commits": 401,
    "GET /api/v2/agents": 401,
    "GET /api/v2/agents/{agent_id}": 401,
    "PUT /api/v2/agents/{agent_id}": 401,
    "DELETE /api/v2/agents/{agent_id}": 401,
    "GET /api/v2/agents/{agent_id}/versions": 401,
    "POST /api/v2/agents/{agent_id}/deployments": 401,
    "GET /api/v2/agents/{agent_id}/deployments": 401,
    "POST /api/v2/agents/{agent_id}/invoke": 401,
    "GET /api/v2/agents/{agent_id}/invocations": 401,
    "POST /api/v2/agents/{agent_id}/sessions": 401,
    "GET /api/v2/agents/{agent_id}/sessions": 401,
    "GET /api/v2/sessions": 401,
    "GET /api/v2/sessions/{session_id}": 401,
    "PATCH /api/v2/sessions/{session_id}": 401,
    "DELETE /api/v2/sessions/{session_id}": 401,
    "GET /api/v2/sessions/{session_id}/messages": 401,
    "POST /api/v2/sessions/{session_id}/messages": 401,
    "POST /api/v2/sessions/{session_id}/stream": 401,
    "GET /api/v2/sessions/{session_id}/replies/{reply_id}/events": 401,
    "POST /api/v2/sessions/{session_id}/replies/{reply_id}/cancel": 401,
    "POST /api/v2/sessions/{session_id}/messages/{message_id}/regenerate": 401,
    "GET /api/v2/tasks": 401,
    "GET /api/v2/tasks/{task_id}": 401,
    "POST /api/v2/tasks/{task_id}/cancel": 401,
    "GET /api/v2/tools": 401,
    "GET /api/v2/tools/{tool_id}": 401,
    "GET /api/v2/statistics/overview": 401,
    "GET /api/v2/statistics/builds": 401,
    "GET /api/v2/statistics/invocations": 401,
}
"""Every route, and what somebody without a token gets where one is asked for."""

PATHS = {route.split(" ", 1)[1] for route in ANONYMOUS}
OPTIONS = {f"OPTIONS {path}": 204 if path in OPEN else 401 for path in PATHS}
HEAD = {route.replace("GET", "HEAD"): status for route, status in ANONYMOUS.items() if route.startswith("GET")}
"""What nobody declared: OPTIONS, which every path has, and HEAD, which is GET without its body."""


def routes(app: Litestar) -> set[str]:
    found = [(route.path_format, set(route.route_handler_map)) for route in app.routes if isinstance(route, HTTPRoute)]
    return {f"{method} {path}" for path, methods in found for method in methods - {"OPTIONS"}}


async def test_what_routes_are_given_needs_no_task_group() -> None:
    async with open_edge() as edge:
        found = [route for route in edge.app.routes if isinstance(route, HTTPRoute)]
        models = [model for route in found for _, model in route.route_handler_map.values()]
        assert any(len(model.dependency_batches) > 1 for model in models)
        assert all(len(batch) == 1 for model in models for batch in model.dependency_batches)


def named(template: str) -> str:
    ids = {
        "project": "prj",
        "agent": "agt",
        "session": "ses",
        "reply": "msg",
        "message": "msg",
        "task": "tsk",
        "tool": "tol",
    }
    return re.sub(
        r"\{(\w+?)(?:_id)?\}", lambda found: NOBODYS[ids[found[1]]] if found[1] in ids else "a/b.md", template
    )


async def test_every_route_has_a_decided_answer_for_those_without_a_token() -> None:
    async with open_edge(token=TOKEN) as edge:
        assert routes(edge.app) == set(ANONYMOUS)
        for route, status in (ANONYMOUS | OPTIONS | HEAD).items():
            method, path = route.split(" ", 1)
            answer = await edge.client.request(method, named(path))
            assert answer.status_code == status, route
            if status == 401:
                assert answer.headers["www-authenticate"].startswith("Bearer")
                assert method == "HEAD" or answer.json()["type"] == "urn:nexus:problem:unauthenticated"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \u00fc", TOKEN]
)
async def test_a_wrong_token_does_not_open(header: str) -> None:
    async with open_edge(token=TOKEN) as edge:
        answer = await edge.client.get("/api/v2/projects", headers={b"authorization": header.encode("latin-1")})
        assert answer.status_code == 401


async def test_the_token_opens_under_any_name_and_bad_bodies_do_not_come_before_it() -> None:
    async with open_edge(token=TOKEN) as edge:
        signed = {"authorization": f"bearer {TOKEN}", "host": "nexus.example.com"}
        assert (await edge.client.get("/api/v2/projects", headers=signed)).status_code == 200
        assert (await edge.client.post("/api/v2/projects", content=b"{")).status_code == 401
        assert (await edge.client.get("/api/v2/projects/odd")).status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("LOCALHOST:8000", 200), ("127.0.0.1:1", 200), ("[::1]:8000", 200), ("[::1]", 200), ("box.lan:80", 200),
        ("evil.example", 421), ("localhost.evil.example", 421), ("127.0.0.1.evil.example:8000", 421), ("", 421), ("[::2]", 421),
        ("localhost.", 200), ("localhost:", 200), ("localhost:80.evil.example", 421), ("localhost:80:80", 421), ("localhost:x", 421),
        ("[::1", 421), ("[::1]evil.example", 421), ("[::1]:80.evil.example", 421), ("evil.example@localhost", 421),
        ("localhost@evil.example", 421), ("localhost/evil.example", 421), ("localhost evil.example", 421), ("::1", 421), ("\u00fc", 421),
    ],
)  # fmt: skip
async def test_a_server_without_a_token_answers_to_its_own_names_only(host: str, status: int) -> None:
    async with open_edge(hosts=["box.lan"]) as edge:
        answer = await edge.client.get("/api/v2/projects", headers={b"host": host.encode("latin-1")})
        assert answer.status_code == status
        if status == 421:
            assert answer.json()["type"] == "urn:nexus:problem:foreign-host"
            assert answer.headers["x-request-id"] == answer.json()["request_id"]


async def test_pages_of_other_sites_change_nothing() -> None:
    async with open_edge(serving=False) as edge:
        for origin in (
            "https://evil.example",
            "null",
            "http://localhost:9999",
            "http://localhost",
            "http://[",
            "http://[::1",
            "http://]",
            "",
            "http://localhost:8000@evil.example",
            "http://localhost:8000.evil.example",
            "//localhost:8000",
            "http://\u212a",
            "http://localhost:8000\\@evil.example",
            "http://localhost:99999999",
            "localhost:8000",
            "http://localhost:8000/..",
        ):
            refused = await edge.client.post("/api/v2/projects", json=WANTED, headers={b"origin": origin.encode()})
            assert (refused.status_code, refused.json()["type"]) == (403, "urn:nexus:problem:foreign-origin"), origin
        assert (await edge.client.get("/api/v2/projects", headers={"origin": "https://evil.example"})).json()[
            "items"
        ] == []
        own = await edge.client.post("/api/v2/projects", json=WANTED, headers={"origin": "http://localhost:8000"})
        assert own.status_code == 202
        assert not [name for name in own.headers if name.startswith("access-control")]
        asked = await edge.client.options("/api/v2/projects", headers={"origin": "https://evil.example"})
        assert not [name for name in asked.headers if name.startswith("access-control")]


async def test_a_form_is_not_json() -> None:
    async with open_edge(serving=False) as edge:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
            refused = await edge.client.post(
                "/api/v2/projects", content=b'{"requirement":"An agent that doubles"}', headers={"content-type": kind}
            )
            assert (refused.status_code, refused.json()["type"]) == (415, "urn:nexus:problem:unsupported-media-type"), (
                kind
            )
        zipped = {"content-encoding": "gzip", "content-type": "application/json"}
        assert (await edge.client.post("/api/v2/projects", content=b"x", headers=zipped)).status_code == 415


async def test_a_body_has_a_limit_also_where_its_length_is_not_told() -> None:
    big = b'{"requirement":"' + b"x" * 1_100_000 + b'"}'
    async with open_edge(serving=False) as edge:
        told = await edge.client.post("/api/v2/projects", content=big, headers={"content-type": "application/json"})
        async with Reader(edge.app, "POST", "/api/v2/projects", body=big) as untold:
            assert b"content-too-large" in await untold.rest()
        assert (told.status_code, told.json()["type"]) == (413, "urn:nexus:problem:content-too-large")
        assert untold.status == 413
        for length in ("-1", "1e3", "９"):
            odd = await edge.client.post("/api/v2/projects", headers={b"content-length": length.encode()})
            assert odd.status_code == 400, length


async def test_every_answer_has_a_request_id_and_goes_on_with_the_trace() -> None:
    async with open_edge() as edge:
        wanted = {"x-request-id": "mine-1", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
        for path in ("/health", "/nowhere", "/api/v2/projects", "/api/v2/projects/odd"):
            answer = await edge.client.get(path, headers=wanted)
            assert answer.headers["x-request-id"] == "mine-1"
            assert re.fullmatch(f"00-{'a' * 32}-[0-9a-f]{{16}}-01", answer.headers["traceparent"])
            assert "b" * 16 not in answer.headers["traceparent"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            if answer.status_code >= 400:
                assert answer.json()["request_id"] == "mine-1"
        for odd in ("x" * 129, "a b", "a\tb", "<script>", ""):
            answer = await edge.client.get(
                "/health", headers={"x-request-id": odd, "traceparent": f"00-{'0' * 32}-{'b' * 16}-01"}
            )
            assert re.fullmatch(r"req_[0-9a-f]{24}", answer.headers["x-request-id"])
            assert "0" * 32 not in answer.headers["traceparent"]


async def test_a_request_leaves_one_line_without_its_secrets() -> None:
    async with open_edge(token=TOKEN, serving=False) as edge:
        with capture_logs() as lines:
            await edge.client.post(
                "/api/v2/projects?q=hidden", json=WANTED, headers={"authorization": f"Bearer {TOKEN}"}
            )
            await edge.client.get(
                f"/api/v2/tasks/{NOBODYS['tsk']}?q=hidden", headers={"authorization": f"Bearer {TOKEN}"}
            )
        told = [line for line in lines if line["event"] == "http.request"]
        assert [(line["method"], line["path"], line["status"]) for line in told] == [
            ("POST", "/api/v2/projects", 422),
            ("GET", "/api/v2/tasks/{task_id}", 422),
        ]
        assert not re.search(f"hidden|{TOKEN}|doubles", str(lines))


@pytest.mark.parametrize(
    "name", ["Host", "Authorization", "Content-Type", "Idempotency-Key", "Origin", "Last-Event-ID"]
)
async def test_what_is_said_twice_is_refused_where_the_second_could_differ(name: str) -> None:
    async with open_edge(token=TOKEN) as edge:
        headers = [("authorization", f"Bearer {TOKEN}"), (name, f"Bearer {TOKEN}"), (name, "localhost")]
        answer = await edge.client.get("/api/v2/projects", headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:nexus:problem:malformed-request")
        lists = [("authorization", f"Bearer {TOKEN}"), ("accept", "text/html"), ("accept", "*/*")]
        assert (await edge.client.get("/api/v2/projects", headers=lists)).status_code == 200


async def test_head_is_get_without_a_body_and_allow_tells_all_methods() -> None:
    known = dict[str, set[str]]()
    for route in ANONYMOUS:
        known.setdefault(named(route.split(" ")[1]), {"OPTIONS"}).add(route.split(" ")[0])
    async with open_edge() as edge:
        for path, methods in known.items():
            methods |= {"HEAD"} if "GET" in methods else set()
            for method in ("OPTIONS", "TRACE"):
                told = (await edge.client.request(method, path)).headers["allow"]
                assert set(told.split(", ")) == methods, (method, path)
            head = await edge.client.head(path)
            if "GET" not in methods:
                assert (head.status_code, head.content) == (405, b"")
                continue
            got = await edge.client.get(path)
            assert (head.status_code, head.content) == (got.status_code, b""), path
            assert head.headers["content-type"] == got.headers["content-type"] if got.content else True
            if "ms" not in got.text and got.status_code < 400:
                assert head.headers.get("content-length") == got.headers.get("content-length"), path


async def test_head_of_a_stream_tells_its_headers_and_ends() -> None:
    async with open_site() as site:
        head = await site.client.head(f"/api/v2/projects/{site.project_id}/events")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"].startswith("text/event-stream")


async def test_an_upload_that_breaks_off_is_the_peers_doing() -> None:
    async with open_edge(serving=False) as edge:
        said = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
        answers = list[dict[str, Any]]()

        async def receive() -> Any:
            return said.pop(0)

        async def send(message: Any) -> None:
            answers.append(message)

        app: Any = edge.app
        with capture_logs() as lines:
            await app(Reader(app, "POST", "/api/v2/projects").scope, receive, send)
        assert answers[0]["status"] == 400
        assert [line["log_level"] for line in lines if line["event"] == "http.broken_off"] == ["warning"]
        assert not [line for line in lines if line["log_level"] == "error"]


async def test_an_address_is_told_back_without_what_steers_a_terminal() -> None:
    async with open_edge() as edge:
        answer = await edge.client.get("/%1b%5d0;X%07%1b%5b2J%c2%9b%e2%80%ae%7f")
        assert answer.status_code == 404
        assert answer.text.isascii() and answer.text.isprintable()
        refused = await edge.client.post(
            "/api/v2/projects", json={"requirement": "An agent that doubles", "\u202e\x9b\x7f": 1}
        )
        assert refused.status_code == 422
        assert "u202e" in refused.text and not {"\u202e", "\x9b", "\x7f"} & set(refused.text)


@pytest.mark.parametrize("token", [TOKEN, None])
async def test_a_request_without_a_host_or_with_an_odd_one_is_a_problem(token: str | None) -> None:
    async with open_edge(token=token) as edge:
        for version, hosts, status in (
            ("1.1", [], 400),
            ("1.0", [], 200),
            ("1.1", [b"a b"], 400),
            ("1.1", [b"["], 400),
        ):
            reader = Reader(edge.app, "GET", "/health")
            reader.scope |= {"http_version": version, "headers": [(b"host", host) for host in hosts]}
            async with reader:
                wanted = status if token or not (hosts or version == "1.0") else 421
                assert (reader.status, version, hosts) == (wanted, version, hosts)
                assert status == 200 or reader.headers["content-type"] == "application/problem+json"
