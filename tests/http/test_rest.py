"""Tasks, tools, statistics, and how the server is."""

from functools import partial
from typing import Any

from litestar import Litestar

from nexus.adapters.http.app import make_http_app
from nexus.adapters.prometheus.metrics import ProcessMetrics
from tests.http.edge import OPEN, WANTED, open_edge, open_site


async def test_a_task_is_shown_and_stopped_with_its_build() -> None:
    async with open_edge(serving=False) as edge:
        started = (await edge.client.post("/api/v2/projects", json=WANTED)).json()
        url = f"/api/v2/tasks/{started['task_id']}"
        assert (await edge.client.get(url)).json()["status"] == "queued"
        for _ in range(2):
            stopped = await edge.client.post(f"{url}/cancel")
            assert (stopped.status_code, stopped.json()["status"]) == (202, "cancelled")
        assert (await edge.client.get(f"/api/v2/projects/{started['project_id']}")).json()["status"] == "cancelled"
        [listed] = (await edge.client.get("/api/v2/tasks")).json()["items"]
        assert listed == stopped.json()


async def test_what_is_over_or_empties_rooms_cannot_be_stopped() -> None:
    async with open_site() as site:
        [task] = (await site.client.get("/api/v2/tasks")).json()["items"]
        over = await site.client.post(f"/api/v2/tasks/{task['task_id']}/cancel")
        assert (over.status_code, over.json()["current_status"]) == (409, "completed")
        await site.client.post(f"/api/v2/projects/{site.project_id}/control", json={"action": "restart"})
        earlier = await site.client.post(f"/api/v2/tasks/{task['task_id']}/cancel")
        assert (earlier.status_code, earlier.json()["current_status"]) == (409, "completed")
    async with open_edge(serving=False) as edge:
        project = (await edge.client.post("/api/v2/projects", json=WANTED)).json()["project_id"]
        purge = (await edge.client.delete(f"/api/v2/projects/{project}?stop_first=true")).json()["task_id"]
        assert (await edge.client.post(f"/api/v2/tasks/{purge}/cancel")).status_code == 409


async def test_the_library_is_listed_to_its_end_and_each_tool_shown() -> None:
    async with open_edge() as edge:
        found, cursor, first = list[dict[str, Any]](), None, True
        while first or cursor:
            page = (
                await edge.client.get("/api/v2/tools", params={"limit": 7, **({"cursor": cursor} if cursor else {})})
            ).json()
            found += page["items"]
            cursor, first = page["next_cursor"], False
        assert len({tool["tool_id"] for tool in found}) == len(found) > 7
        tool = await edge.client.get(f"/api/v2/tools/{found[0]['tool_id']}")
        assert tool.json() == found[0]
        assert tool.json()["schema"]["type"] == "object"
        math = (await edge.client.get("/api/v2/tools", params={"category": "math"})).json()["items"]
        assert {tool["category"] for tool in math} == {"math"}
        assert (await edge.client.get("/api/v2/tools", params={"cursor": "made.up"})).status_code == 422
        assert (await edge.client.get("/api/v2/tools/tol_01K00000000000000000000000")).status_code == 404


async def test_statistics_count_what_was_done() -> None:
    async with open_site() as site:
        over = (await site.client.get("/api/v2/statistics/overview")).json()
        assert (over["projects"], over["agents"], over["sessions"], over["builds_completed"]) == (1, 1, 1, 1)
        assert over["today"]["projects"] == 1
        assert "tenant_id" not in over["today"]
        builds = (await site.client.get("/api/v2/statistics/builds", params={"days": 7})).json()
        assert len(builds["days"]) == 7
        assert builds["builds_completed"] == builds["days"][-1]["builds_completed"] == 1
        calls = (await site.client.get("/api/v2/statistics/invocations")).json()
        assert len(calls["days"]) == 30
        for wrong in ("0", "91", "x"):
            assert (await site.client.get("/api/v2/statistics/builds", params={"days": wrong})).status_code == 422, (
                wrong
            )


async def test_health_is_open_and_tells_the_parts() -> None:
    async with open_edge(token="secret") as edge:
        health = (await edge.client.get("/health")).json()
        assert (health["status"], health["parts"]["database"]) == ("ok", {"connected": True})
        flat = (await edge.client.get("/api/health")).json()
        assert (flat["status"], flat["database"], flat["llm"]) == ("ok", {"connected": True}, {"model": "scripted"})
        assert (await edge.client.get("/ready")).json()["status"] == "ready"


_app = partial(make_http_app, authenticator=OPEN, metrics=ProcessMetrics("0"))


async def _readiness(edge: Any, app: Litestar) -> int:
    edge.client._transport.app = app
    return int((await edge.client.get("/ready")).status_code)


async def test_a_server_without_its_store_or_about_to_end_is_not_ready() -> None:
    async def away() -> dict[str, object]:
        return {"database": {"connected": False}}

    async with open_edge() as edge:
        services, parts = edge.process.services, edge.process.parts
        assert await _readiness(edge, _app(services, parts=away)) == 503
        assert await _readiness(edge, _app(services, parts=parts, ready=lambda: {"status": "draining"})) == 503
        assert await _readiness(edge, _app(services, parts=parts)) == 200
        edge.streams.stop_all_streams()
        assert await _readiness(edge, _app(services, parts=parts, streams=edge.streams)) == 503
