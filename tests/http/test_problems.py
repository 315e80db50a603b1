"""Errors as problems: their table, their shape, their page."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

import nexus.domain
from nexus.adapters.http import problems
from nexus.adapters.http.answers import Answer
from nexus.adapters.http.app import make_http_app
from nexus.domain.core.errors import NexusError, NotFound, PreconditionFailed, QuotaExceeded, Stale, Unavailable
from nexus.domain.projects.model import WrongState
from nexus.wire.problems import Problem
from tests.http.edge import NOBODYS, OPEN, WANTED, open_edge

PAGE = Path(__file__).parents[2] / "docs" / "problems.md"


def kinds(of: type[NexusError] = NexusError) -> Iterator[type[NexusError]]:
    for kind in of.__subclasses__():
        if kind.__module__.startswith(("nexus.domain.", "nexus.adapters.http.")):
            yield kind
        yield from kinds(kind)


def told(error: NexusError, *, conditional: bool = False) -> tuple[Answer[bytes], Problem]:
    answer = problems.make_problem_answer(error, path="/p", request_id="r", conditional=conditional)
    return answer, msgspec.json.decode(answer.content, type=Problem)


def test_every_problem_is_on_the_page_with_its_status() -> None:
    for module in pkgutil.walk_packages(nexus.domain.__path__, "nexus.domain."):
        importlib.import_module(module.name)
    known = {
        problems.make_problem_type_urn(kind).rpartition(":")[2]: problems.get_error_status(kind) for kind in kinds()
    }
    untold = {name for name, status in known.items() if status == 500} - {"internal-error"}
    page = dict(re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", PAGE.read_text("utf-8"), re.MULTILINE))
    assert {name: int(status) for name, status in page.items()} == {
        name: status for name, status in known.items() if name not in untold
    }


def test_no_two_problems_have_one_type() -> None:
    names = [problems.make_problem_type_urn(kind) for kind in set(kinds())]
    assert len(names) == len(set(names))


def test_facts_for_programs_are_told_and_no_others() -> None:
    _, problem = told(WrongState("No.", status="paused", control_status="paused", table="projects", key="secret"))
    assert (problem.type, problem.status, problem.current_status) == ("urn:nexus:problem:wrong-state", 409, "paused")
    answer, _ = told(WrongState("No.", status=object(), worker_id="secret", path="/var/secret"))
    assert b"secret" not in answer.content


def test_how_long_to_wait_is_also_a_header() -> None:
    answer, problem = told(QuotaExceeded("Later.", retry_after=2.3))
    assert (answer.status_code, answer.headers["retry-after"], problem.retry_after) == (429, "3", 2.3)


def test_who_comes_too_late_is_told_how_many_are_before_it() -> None:
    _, problem = told(QuotaExceeded("Later.", position=7, limit=7))
    assert (problem.position, problem.limit) == (7, 7)


def test_the_store_and_broken_parts_are_not_quoted() -> None:
    for error in (
        Stale("Changed: nexus_projects prj_1", table="nexus_projects"),
        Unavailable("/var/lib/nexus is full"),
        NotFound("prj_1"),
    ):
        answer, _ = told(error)
        assert not re.search(rb"prj_1|/var|nexus_projects", answer.content)


def test_a_precondition_is_412_only_where_it_was_asked_for() -> None:
    assert told(PreconditionFailed())[0].status_code == 409
    assert told(PreconditionFailed(), conditional=True)[0].status_code == 412


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422), (b"{", 400), (b"\xff\xfe", 400), (b'{"requirement":"\xff"}', 400), (b'{"requirement":"\\ud800"}', 400),
        (b"null", 422), (b"[]", 422), (b'"text"', 422), (b"[" * 5000 + b"]" * 5000, 422), (b'{"requirement":NaN}', 400),
    ],
)  # fmt: skip
async def test_a_body_that_is_no_json_or_another_thing_is_a_problem(body: bytes, status: int) -> None:
    async with open_edge(serving=False) as edge:
        answer = await edge.client.post("/api/v2/projects", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert msgspec.json.decode(answer.content, type=Problem).status == status


async def test_deep_nesting_is_refused_and_hurts_nobody() -> None:
    async with open_edge(serving=False) as edge:
        deep = b'{"metadata":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}"
        url = "/api/v2/agents/agt_01K00000000000000000000000/sessions"
        answer = await edge.client.post(url, content=deep, headers={"content-type": "application/json"})
        assert answer.status_code == 400


async def test_addresses_and_methods_that_are_not_there_are_problems() -> None:
    async with open_edge() as edge:
        for path in (
            "/nowhere",
            "/api/v2",
            "/api/v2/nowhere",
            "/api/v2/projects/a/b/c",
            "/schema",
            "/api/v1/projects",
        ):
            answer = await edge.client.get(path)
            problem = msgspec.json.decode(answer.content, type=Problem)
            assert (answer.status_code, problem.type, problem.instance) == (404, "urn:nexus:problem:not-found", path)
        answer = await edge.client.put("/api/v2/projects", json=WANTED)
        assert (answer.status_code, answer.json()["type"]) == (405, "urn:nexus:problem:method-not-allowed")
        assert {"GET", "POST"} <= set(re.split(r",\s*", answer.headers["allow"]))


async def test_an_unexpected_error_tells_nothing_but_its_id() -> None:
    async def broken() -> dict[str, object]:
        raise RuntimeError("secret of /work")

    async with open_edge() as edge:
        edge.client._transport.app = make_http_app(
            edge.process.services, parts=broken, authenticator=OPEN, metrics=edge.process.metrics
        )
        answer = await edge.client.get("/health")
        problem = msgspec.json.decode(answer.content, type=Problem)
        assert (answer.status_code, problem.type) == (500, "urn:nexus:problem:internal-error")
        assert problem.request_id == answer.headers["x-request-id"]
        assert b"secret" not in answer.content


async def test_a_part_that_is_away_is_a_warning_without_a_traceback() -> None:
    async def away() -> dict[str, object]:
        raise Unavailable("The database does not answer")

    async with open_edge() as edge:
        edge.client._transport.app = make_http_app(
            edge.process.services, parts=away, authenticator=OPEN, metrics=edge.process.metrics
        )
        with capture_logs() as lines:
            assert (await edge.client.get("/health")).status_code == 503
    [line] = [line for line in lines if line["event"] == "http.unavailable"]
    assert (line["log_level"], line["reason"], "exc_info" in line) == ("warning", "The database does not answer", False)


FAULTS = {
    "GET /api/v2/projects?limit=0": ("query", "/limit", ""),
    "GET /api/v2/projects?limit=x": ("query", "/limit", ""),
    "GET /api/v2/projects?limit=1&limit=2": ("query", "/limit", "twice"),
    "GET /api/v2/projects?cursor=odd": ("query", "/cursor", ""),
    "GET /api/v2/projects?limt=1": ("query", "/limt", "`limit`"),
    "GET /api/v2/projects?status=odd": ("query", "/status", ""),
    "GET /api/v2/projects?status=null": ("query", "/status", ""),
    "GET /api/v2/projects?status=": ("query", "/status", ""),
    "GET /api/v2/projects?limit=null": ("query", "/limit", ""),
    "GET /api/v2/statistics/builds?days=null": ("query", "/days", ""),
    "GET /api/v2/projects?a%2Fb~=1": ("query", "/a~1b~0", ""),
    "GET /api/v2/tasks?=": ("query", "/", ""),
    f"GET /api/v2/projects/{NOBODYS['prj']}/events?after=x": ("query", "/after", ""),
    f"GET /api/v2/projects/{NOBODYS['prj']}/events?after=-1": ("query", "/after", ""),
    f"GET /api/v2/projects/{NOBODYS['prj']}/report?at=HEAD": ("query", "/at", ""),
    f"GET /api/v2/tasks/{NOBODYS['tsk']}?verbose": ("query", "/verbose", ""),
    'POST /api/v2/projects {"requirment":"x"}': ("body", "/requirment", "`requirement`"),
    'POST /api/v2/projects {"a/b~c`d":1}': ("body", "/a~1b~0c`d", ""),
    "POST /api/v2/projects {}": ("body", "/requirement", ""),
    'POST /api/v2/projects {"requirement":"An agent that doubles","tags":["a",1]}': ("body", "/tags/1", ""),
    'POST /api/v2/projects {"requirement":1}': ("body", "/requirement", ""),
}


@pytest.mark.parametrize("asked", FAULTS)
async def test_a_fault_points_at_its_place(asked: str) -> None:
    method, path, body = (*asked.split(" ", 2), "")[:3]
    place, pointer, said = FAULTS[asked]
    async with open_edge(serving=False) as edge:
        answer = await edge.client.request(
            method, path, content=body.encode(), headers={"content-type": "application/json"} if body else {}
        )
        problem = msgspec.json.decode(answer.content, type=Problem)
        assert (answer.status_code, problem.type) == (422, "urn:nexus:problem:invalid-input")
        [fault] = problem.errors
        assert (fault.place, fault.pointer) == (place, pointer)
        assert said in fault.message


async def test_a_fault_in_a_header_points_at_it_and_many_parameters_are_refused_at_once() -> None:
    async with open_edge(serving=False) as edge:
        for name, value in (("Idempotency-Key", "x" * 201), ("Last-Event-ID", "-1")):
            path = "/api/v2/projects" if name.startswith("I") else f"/api/v2/projects/{NOBODYS['prj']}/events"
            method = "POST" if name.startswith("I") else "GET"
            answer = await edge.client.request(method, path, json=WANTED, headers={name: value})
            assert (answer.status_code, answer.json()["errors"][0]["in"]) == (422, "header")
            assert answer.json()["errors"][0]["pointer"] == f"/{name}"
        many = await edge.client.get("/api/v2/projects?" + "&".join(f"a{at}=1" for at in range(5000)))
        assert (many.status_code, len(many.content) < 1000) == (422, True)
        long = await edge.client.get("/api/v2/projects?" + "limit" * 10_000)
        assert long.status_code == 422
