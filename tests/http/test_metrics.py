"""What `/metrics` shows, to whom, and which numbers move."""

import re
from collections.abc import Iterable

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from nexus.adapters.http.app import make_operator_app
from nexus.adapters.prometheus.metrics import ProcessMetrics
from nexus.domain.core.errors import InvalidInput, PermissionDenied, QuotaExceeded, Unavailable
from nexus.jobs.lanes import Lanes
from tests.fakes.models import Gate, Turn, turn
from tests.http.edge import NOBODYS, OPEN, Edge, Reader, Site, open_edge, open_site

UNITS = ("_total", "_seconds", "_bytes", "_info")
PLAIN_COUNTS = {"nexus_http_streams_open", "nexus_jobs_running", "nexus_jobs_waiting", "nexus_jobs_stuck"}
BOUNDED = {
    "method",
    "route",
    "status",
    "kind",
    "outcome",
    "lane",
    "table",
    "operation",
    "model",
    "direction",
    "version",
}


class Numbers:
    """Samples by name and labels."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self.families = list(families)
        self.samples = [sample for family in self.families for sample in family.samples]

    def find(self, name: str, **labels: str) -> float:
        """0 where it was never counted."""
        found = [one.value for one in self.samples if one.name == name and labels.items() <= one.labels.items()]
        return sum(found)


async def read(edge: Edge) -> Numbers:
    answer = await edge.client.get("/metrics")
    assert answer.status_code == 200
    return Numbers(parse_text(answer.text))


async def chat(site: Site, *pieces: object) -> str:
    site.will_say(*pieces)
    path = f"/api/v2/sessions/{site.session_id}/stream"
    return (await site.client.post(path, json={"content": "What is 2 doubled?"})).text


async def test_names_have_units_and_labels_are_bounded() -> None:
    async with open_site() as site:
        await chat(site, "4")
        await site.client.get(f"/api/v2/projects/{site.project_id}")
        await site.client.get(f"/nowhere/{site.project_id}")
        numbers = await read(site.edge)
    ours = [sample for sample in numbers.samples if not sample.name.startswith("process_")]
    assert {label for sample in ours for label in sample.labels} - {"le"} == BOUNDED
    names = {re.sub("_(bucket|count|sum)$", "", sample.name) for sample in ours}
    assert {name for name in names if not (name.startswith("nexus_") and name.endswith(UNITS))} == PLAIN_COUNTS
    values = {value for sample in ours for value in sample.labels.values()}
    assert not [value for value in values if re.search(r"[0-9A-HJKMNP-TV-Z]{26}", value)]


async def test_the_page_is_text_and_openmetrics_where_that_is_asked_for() -> None:
    async with open_site() as site:
        await chat(site, "4")
        plain = await site.client.get("/metrics", headers={"accept": "*/*"})
        assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        wanted = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
        other = await site.client.get("/metrics", headers=wanted)
        assert other.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        names = {family.name for family in parse_openmetrics(other.text)}
        assert {"nexus_http_requests", "nexus_http_request_duration_seconds", "nexus_model_tokens"} <= names


async def test_requests_are_counted_by_route_and_status_and_strangers_share_a_label() -> None:
    async with open_edge() as edge:
        await edge.client.get(f"/api/v2/projects/{NOBODYS['prj']}")
        for path in ("/a", "/b", "/api/v2/odd"):
            await edge.client.get(path)
        await edge.client.request("BREW", "/health")
        await edge.client.get("/health", headers={"host": "elsewhere.example"})
        numbers = await read(edge)
        count, route = "nexus_http_requests_total", "/api/v2/projects/{project_id}"
        assert numbers.find(count, method="GET", route=route, status="404") == 1
        assert numbers.find(count, method="GET", route="other", status="404") == 3
        assert numbers.find(count, method="GET", route="other", status="421") == 1
        assert numbers.find(count, method="other") == 1
        assert numbers.find("nexus_http_request_duration_seconds_count", method="GET", route=route) == 1
        assert (await read(edge)).find(count, route="/metrics", status="200") == 1


async def test_a_chat_counts_its_job_its_call_its_tokens_and_its_stream() -> None:
    async with open_site() as site:
        before = await read(site.edge)
        assert "reply.completed" in await chat(site, Turn(("4", " it is")))
        await site.edge.process.queue.wait_until_idle()
        numbers = await read(site.edge)

    def grew(name: str, **labels: str) -> float:
        return numbers.find(name, **labels) - before.find(name, **labels)

    assert grew("nexus_model_calls_total", model="scripted", outcome="completed") == 1
    assert grew("nexus_model_first_token_seconds_count", model="scripted") == 1
    assert grew("nexus_model_tokens_total", direction="input") == 10
    assert grew("nexus_model_tokens_total", direction="output") == 5
    assert grew("nexus_work_ended_total", table="replies", status="completed") == 1
    assert grew("nexus_job_duration_seconds_count", kind="sessions.write_reply") == 1
    assert grew("nexus_store_calls_total", operation="write", table="messages", outcome="completed") == 2
    assert grew("nexus_store_call_duration_seconds_count", operation="write") >= 2


async def test_a_build_counts_its_stages_and_itself() -> None:
    async with open_site() as site:
        await site.edge.process.queue.wait_until_idle()
        numbers = await read(site.edge)
    assert numbers.find("nexus_work_ended_total", table="builds", status="completed") == 1
    assert numbers.find("nexus_work_ended_total", table="stages", status="completed") == 9
    assert numbers.find("nexus_jobs_total", kind="builds.run", outcome="complete") == 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Unavailable("Away.", retry_after=100), "unavailable"),
        (PermissionDenied("No."), "denied"),
        (QuotaExceeded("Paid out."), "quota"),
        (InvalidInput("Odd."), "invalid"),
    ],
)
async def test_a_model_that_fails_counts_its_outcome(error: Exception, outcome: str) -> None:
    async with open_site() as site:
        assert "reply.failed" in await chat(site, turn(error))
        numbers = await read(site.edge)
    assert numbers.find("nexus_model_calls_total", outcome=outcome) == 1
    assert numbers.find("nexus_work_ended_total", table="replies", status="failed") == 1


async def test_what_is_open_and_runs_is_shown_while_it_is() -> None:
    gate = Gate()
    async with open_site() as site:
        site.will_say(turn("4", gate))
        path = f"/api/v2/sessions/{site.session_id}/stream"
        async with Reader(site.edge.app, "POST", path, body=b'{"content": "Hello"}') as reader:
            await reader.piece()
            numbers = await read(site.edge)
            assert numbers.find("nexus_http_streams_open") == 1
            assert numbers.find("nexus_jobs_running", lane="interactive") == 1
            gate.opened.set()
            await reader.rest()
        numbers = await read(site.edge)
        assert numbers.find("nexus_http_streams_open") == 0
        assert numbers.find("nexus_jobs_running", lane="interactive") == 0


async def test_a_job_that_waits_is_counted_with_how_long_it_has_waited() -> None:
    gate = Gate()
    async with open_site(queue=(lanes := Lanes(interactive=1))) as site:
        site.will_say(turn("4", gate), turn("5"))
        other = (await site.client.post(f"/api/v2/agents/{site.agent_id}/sessions", json={})).json()["session_id"]
        for session_id in (site.session_id, other):
            asked = await site.client.post(f"/api/v2/sessions/{session_id}/messages", json={"content": "Hello"})
            assert asked.status_code == 202
        await gate.reached.wait()
        numbers = await read(site.edge)
        assert numbers.find("nexus_jobs_running", lane="interactive") == 1
        assert numbers.find("nexus_jobs_waiting", lane="interactive") == 1
        assert numbers.find("nexus_oldest_waiting_job_seconds", lane="interactive") > 0
        gate.opened.set()
        await lanes.wait_until_idle()
        numbers = await read(site.edge)
        assert numbers.find("nexus_oldest_waiting_job_seconds", lane="interactive") == 0


async def test_a_call_that_its_reader_leaves_is_cancelled() -> None:
    gate = Gate()
    async with open_site() as site:
        site.will_say(turn("4", gate))
        base = f"/api/v2/sessions/{site.session_id}"
        async with Reader(site.edge.app, "POST", f"{base}/stream", body=b'{"content": "Hello"}') as reader:
            await gate.reached.wait()
            [said] = (await site.client.get(f"{base}/messages")).json()["items"][-1:]
            reply_id = (await site.client.get(base)).json()["active_reply"]
            await site.client.post(f"{base}/replies/{reply_id}/cancel")
            await reader.rest()
        assert said["role"] == "user"
        assert (await read(site.edge)).find("nexus_model_calls_total", outcome="cancelled") == 1


async def test_the_page_asks_for_the_token_where_one_is_set() -> None:
    async with open_edge(token="a token of this server") as edge:
        assert (await edge.client.get("/metrics")).status_code == 401
        signed = {"authorization": "Bearer a token of this server"}
        assert (await edge.client.get("/metrics", headers=signed)).status_code == 200


async def test_a_process_without_an_api_answers_for_its_health_and_its_metrics_alone() -> None:
    async with open_edge() as edge:
        metrics = ProcessMetrics("1.2.3")
        edge.client._transport.app = make_operator_app(  # type: ignore[attr-defined]  # of httpx' ASGITransport
            parts=edge.process.parts, authenticator=OPEN, metrics=metrics
        )
        assert (await edge.client.get("/health")).json()["status"] == "ok"
        assert (await read(edge)).find("nexus_build_info", version="1.2.3") == 1
        assert (await edge.client.get("/api/v2/agents")).status_code == 404
        assert (await edge.client.get("/metrics", headers={"host": "elsewhere.example"})).status_code == 421
