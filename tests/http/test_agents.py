"""Agents over HTTP."""

from tests.domain.builds.scripts import doubling, script
from tests.domain.builds.test_verdicts import PARTIAL, WHY
from tests.http.edge import NOBODYS, open_site


async def test_an_agent_is_listed_shown_and_has_versions() -> None:
    async with open_site() as site:
        [agent] = (await site.client.get("/api/v2/agents")).json()["items"]
        shown = await site.client.get(f"/api/v2/agents/{site.agent_id}")
        assert shown.json() == agent
        assert agent["active_version"] == 1
        assert not {"tenant_id", "revision", "deleted_at", "agentcore_config"} & agent.keys()
        assert (await site.client.get("/api/v2/agents", params={"category": "math"})).json()["items"] == [agent]
        assert (await site.client.get("/api/v2/agents", params={"category": "none"})).json()["items"] == []
        [version] = (await site.client.get(f"/api/v2/agents/{site.agent_id}/versions")).json()["items"]
        assert (version["version"], version["verdict"]) == (1, "passed")


async def test_a_change_holds_only_for_the_revision_that_was_read() -> None:
    async with open_site() as site:
        url = f"/api/v2/agents/{site.agent_id}"
        etag = (await site.client.get(url)).headers["etag"]
        changed = await site.client.put(url, json={"agent_name": "翻倍器"}, headers={"if-match": etag})
        assert (changed.status_code, changed.json()["agent_name"], changed.json()["category"]) == (
            200,
            "翻倍器",
            "math",
        )
        assert changed.headers["etag"] == (await site.client.get(url)).headers["etag"] != etag
        late = await site.client.put(url, json={"agent_name": "late"}, headers={"if-match": etag})
        assert (late.status_code, late.json()["type"]) == (412, "urn:nexus:problem:precondition-failed")
        assert f'"{late.json()["revision"]}"' == changed.headers["etag"]
        assert (await site.client.put(url, json={"category": "x"}, headers={"if-match": "*"})).status_code == 200
        assert (await site.client.put(url, json={"category": "x"}, headers={"if-match": 'W/"odd"'})).status_code == 412
        assert (await site.client.put(url, json={"category": "x"}, headers={"if-match": "odd"})).status_code == 422
        for wrong in ({}, {"agent_name": ""}, {"visibility": "secret"}, {"status": "running"}, {"category": None}, []):
            assert (await site.client.put(url, json=wrong)).status_code == 422, wrong


async def test_an_invocation_is_answered_kept_and_made_once() -> None:
    async with open_site() as site:
        site.will_say(*doubling())
        url, key = f"/api/v2/agents/{site.agent_id}", {"idempotency-key": "k"}
        first = await site.client.post(f"{url}/invoke", json={"content": "double 2"}, headers=key)
        assert (first.status_code, first.json()["status"], first.json()["output_text"]) == (
            200,
            "success",
            "That is 4.",
        )
        again = await site.client.post(f"{url}/invoke", json={"content": "double 2"}, headers=key)
        assert again.content == first.content
        assert (await site.client.get(f"{url}/invocations")).json()["items"] == [first.json()]
        for wrong in (
            {},
            {"content": ""},
            {"content": "\u2003 "},
            {"content": "x" * 50_001},
            {"content": 1},
            {"input": "x"},
        ):
            assert (await site.client.post(f"{url}/invoke", json=wrong)).status_code == 422, wrong


async def test_a_call_that_fails_is_an_invocation_too() -> None:
    async with open_site() as site:
        failed = await site.client.post(
            f"/api/v2/agents/{site.agent_id}/invoke", json={"content": "the script is empty"}
        )
        assert (failed.status_code, failed.json()["status"]) == (200, "failed")


async def test_a_deleted_agent_is_gone() -> None:
    async with open_site() as site:
        url = f"/api/v2/agents/{site.agent_id}"
        assert (await site.client.delete(url)).status_code == 204
        assert (await site.client.delete(url)).status_code == 404
        assert (await site.client.get(url)).status_code == 404
        assert (await site.client.post(f"{url}/sessions", json={})).status_code == 404
        assert (
            await site.client.post(f"/api/v2/agents/{NOBODYS['agt']}/invoke", json={"content": "x"})
        ).status_code == 404
        assert (await site.client.get("/api/v2/agents")).json()["items"] == []


async def test_a_deployment_is_made_once_listed_and_tells_what_it_lacks() -> None:
    async with open_site(model=script(**PARTIAL)) as site:
        url = f"/api/v2/agents/{site.agent_id}/deployments"
        [version] = (await site.client.get(f"/api/v2/agents/{site.agent_id}/versions")).json()["items"]
        assert (await site.client.get(url)).json()["items"] == []
        refused = await site.client.post(url, json={})
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:nexus:problem:not-accepted")
        assert (refused.json()["verdict"], refused.json()["unmet"]) == ("partial", version["unmet"])
        assert "accept_partial" in refused.json()["detail"] and WHY in refused.json()["detail"]
        key, wanted = {"idempotency-key": "k"}, {"accept_partial": True}
        made = await site.client.post(url, json=wanted, headers=key)
        assert (made.status_code, made.json()["version"], made.json()["verdict"]) == (201, 1, "partial")
        assert (await site.client.post(url, json=wanted, headers=key)).content == made.content
        assert (await site.client.get(url)).json()["items"] == [made.json()]
        assert (await site.client.get(f"/api/v2/agents/{site.agent_id}")).json()["active_version"] == 1


async def test_a_deployment_is_refused_for_what_was_not_read_or_is_not_there() -> None:
    async with open_site() as site:
        url = f"/api/v2/agents/{site.agent_id}"
        etag = (await site.client.get(url)).headers["etag"]
        assert (await site.client.post(f"{url}/deployments", json={}, headers={"if-match": etag})).status_code == 201
        late = await site.client.post(f"{url}/deployments", json={}, headers={"if-match": etag})
        assert (late.status_code, late.json()["type"]) == (412, "urn:nexus:problem:precondition-failed")
        unknown = await site.client.post(f"{url}/deployments", json={"version": 7})
        assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/version")
        for wrong in ({"version": 0}, {"version": "1"}, {"accept_partial": 1}, {"accept": True}, [], {"version": 1.5}):
            assert (await site.client.post(f"{url}/deployments", json=wrong)).status_code == 422, wrong
        nobodys = f"/api/v2/agents/{NOBODYS['agt']}/deployments"
        assert (await site.client.post(nobodys, json={})).status_code == 404
        assert (await site.client.get(nobodys)).status_code == 404


async def test_a_verdict_that_is_not_accepted_is_a_conflict_whatever_revision_was_read() -> None:
    async with open_site(model=script(**PARTIAL)) as site:
        url = f"/api/v2/agents/{site.agent_id}"
        etag = (await site.client.get(url)).headers["etag"]
        refused = await site.client.post(f"{url}/deployments", json={}, headers={"if-match": etag})
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:nexus:problem:not-accepted")
