"""Projects over HTTP."""

import asyncio
from urllib.parse import unquote

import msgspec
import pytest

from nexus.domain.projects.admission import Limits
from nexus.domain.projects.starts import Opening
from tests.http.edge import WANTED, Reader, frames, open_edge, open_site, tags
from tests.memory_app import EVE


async def test_a_project_is_accepted_built_and_shown() -> None:
    async with open_edge() as edge:
        body = WANTED | {"project_name": "翻倍", "priority": 5, "tags": ["math"], "user_name": "Ann"}
        accepted = await edge.client.post("/api/v2/projects", json=body)
        started = accepted.json()
        assert accepted.status_code == 202
        assert accepted.headers["location"] == f"/api/v2/projects/{started['project_id']}"
        assert started["status"] == "queued"
        assert started["project_name"] == "翻倍"
        told = await edge.client.get(started["events_url"])
        assert told.status_code == 200
        assert tags(told.text)[0] == "build.queued"
        assert tags(told.text)[-1] == "build.completed"
        project = (await edge.client.get(accepted.headers["location"])).json()
        assert (project["status"], project["progress"], project["priority"], project["tags"]) == (
            "completed",
            100.0,
            5,
            ["math"],
        )
        assert project["active_task_id"] == started["task_id"]
        assert not {"events", "tenant_id", "revision", "deleted_at"} & project.keys()


async def test_a_bad_project_names_the_field_and_leaves_nothing() -> None:
    wrong = {
        "/requirement": [
            {},
            {"requirement": ""},
            {"requirement": "short"},
            {"requirement": "x" * 10_001},
            {"requirement": 7},
        ],
        "/priority": [WANTED | {"priority": 6}, WANTED | {"priority": "3"}],
        "/tags": [WANTED | {"tags": ["t"] * 21}],
        "/tags/1": [WANTED | {"tags": ["t", ""]}, WANTED | {"tags": ["t", 7]}],
        "/status": [WANTED | {"status": "completed"}],
        "/user_id": [WANTED | {"user_id": "usr_eve"}],
    }
    async with open_edge(serving=False) as edge:
        for pointer, bodies in wrong.items():
            for body in bodies:
                refused = await edge.client.post("/api/v2/projects", json=body)
                assert refused.status_code == 422, refused.text
                assert refused.json()["type"] == "urn:nexus:problem:invalid-input"
                assert [fault["pointer"] for fault in refused.json()["errors"]] == [pointer], body
        assert (await edge.client.get("/api/v2/projects")).json() == {"items": [], "next_cursor": None}


async def test_the_dashboard_stages_tasks_files_commits_and_report_are_there() -> None:
    async with open_site() as site:
        url = f"/api/v2/projects/{site.project_id}"
        board = (await site.client.get(f"{url}/build")).json()
        assert (board["completed_stages"], board["total_stages"]) == (9, 9)
        assert board["build"]["workflow"] == "agent_build"
        assert board["task"]["task_id"] == board["project"]["active_task_id"]
        stages = (await site.client.get(f"{url}/stages")).json()["items"]
        assert [stage["stage_number"] for stage in stages] == list(range(1, 10))
        assert not {"fence", "tenant_id", "user_id", "revision"} & stages[0].keys()
        tasks = (await site.client.get(f"{url}/tasks")).json()["items"]
        assert [task["task_type"] for task in tasks] == ["build_agent"]
        assert not {"fence", "worker_id", "dispatch", "due_at", "heartbeat", "payload"} & tasks[0].keys()
        files = (await site.client.get(f"{url}/files")).json()["items"]
        prompt = next(file for file in files if file["path"].endswith("prompt.md"))
        text = await site.client.get(prompt["url"])
        assert text.text.startswith("You double numbers")
        assert text.headers["content-type"] == "text/plain; charset=utf-8"
        assert "sandbox" in text.headers["content-security-policy"]
        commits = (await site.client.get(f"{url}/commits")).json()["items"]
        assert len(commits) == 9
        before = await site.client.get(f"{url}/files", params={"at": commits[-1]["commit_id"]})
        assert len(before.json()["items"]) < len(files)
        report = await site.client.get(f"{url}/report")
        assert report.headers["content-type"].startswith("text/markdown")
        assert "Doubler" in report.text


async def test_no_path_leads_out_of_a_project() -> None:
    async with open_site() as site:
        for path in (
            "%2e%2e/%2e%2e/etc/passwd",
            "a/%2e%2e/%2e%2e/b",
            "%2fetc%2fpasswd",
            ".git/config",
            "a%00b",
            "nowhere.md",
        ):
            answer = await site.client.get(f"/api/v2/projects/{site.project_id}/files/{path}")
            assert answer.status_code in (404, 422), path
            assert "root:" not in answer.text
        for at in ("HEAD", "--help", "0" * 40):
            answer = await site.client.get(f"/api/v2/projects/{site.project_id}/files", params={"at": at})
            assert answer.status_code in (404, 422), at


async def test_commands_are_idempotent_and_what_does_not_fit_says_the_state() -> None:
    async with open_edge(serving=False) as edge:
        started = (await edge.client.post("/api/v2/projects", json=WANTED)).json()
        url = f"/api/v2/projects/{started['project_id']}"
        for action, status in [
            ("pause", "paused"),
            ("pause", "paused"),
            ("resume", "queued"),
            ("stop", "cancelled"),
            ("stop", "cancelled"),
        ]:
            answer = await edge.client.post(f"{url}/control", json={"action": action})
            assert (answer.status_code, answer.json()["status"]) == (202, status), action
        refused = await edge.client.post(f"{url}/control", json={"action": "pause"})
        assert refused.status_code == 409
        assert refused.json()["type"] == "urn:nexus:problem:wrong-state"
        assert refused.json()["current_status"] == "cancelled"
        assert refused.json()["control_status"] == "stopped"
        again = await edge.client.post(f"{url}/control", json={"action": "restart"})
        assert (again.json()["status"], again.json()["build_no"]) == ("queued", 2)
        wrong = [{"action": "explode"}, {}, {"action": "pause", "from_stage": "intake"}]
        for body in wrong:
            assert (await edge.client.post(f"{url}/control", json=body)).status_code == 422


async def test_a_restart_begins_at_a_stage_that_can_be_reached() -> None:
    async with open_site() as site:
        url = f"/api/v2/projects/{site.project_id}/control"
        unknown = await site.client.post(url, json={"action": "restart", "from_stage": "nowhere"})
        assert unknown.json()["errors"] == [{"pointer": "/from_stage", "message": "unknown stage"}]
        again = await site.client.post(url, json={"action": "restart", "from_stage": "deployment"})
        assert again.status_code == 202
        told = await site.client.get(f"/api/v2/projects/{site.project_id}/events")
        assert tags(told.text)[-1] == "build.completed"


async def test_a_finished_feed_that_was_read_is_204_and_one_in_part_goes_on_there() -> None:
    async with open_site() as site:
        url = f"/api/v2/projects/{site.project_id}/events"
        every = frames((await site.client.get(url)).text)
        assert [int(frame["id"]) for frame in every] == list(range(1, len(every) + 1))
        rest = await site.client.get(url, headers={"last-event-id": "5"})
        beyond = await site.client.get(url, headers={"last-event-id": str(int(every[-1]["id"]) + 1)})
        assert beyond.status_code == 409 and f"has {len(every)} events" in beyond.json()["detail"]
        assert frames(rest.text) == every[5:]
        assert frames((await site.client.get(f"{url}?after=5")).text) == every[5:]
        read = await site.client.get(url, headers={"last-event-id": every[-1]["id"]})
        assert (read.status_code, read.content) == (204, b"")
        for wrong in ("-1", "x", "1.5", "9" * 16, "１"):
            assert (await site.client.get(url, params={"after": wrong})).status_code == 422, wrong


async def test_a_feed_stays_open_while_paused_and_ends_when_stopped() -> None:
    async with open_edge(serving=False) as edge:
        project = (await edge.client.post("/api/v2/projects", json=WANTED)).json()["project_id"]
        async with Reader(edge.app, "GET", f"/api/v2/projects/{project}/events") as reader:
            assert b"event: build.queued" in await reader.piece()
            await edge.client.post(f"/api/v2/projects/{project}/control", json={"action": "pause"})
            assert b"event: build.paused" in await reader.piece()
            await edge.client.post(f"/api/v2/projects/{project}/control", json={"action": "stop"})
            assert b"event: build.cancelled" in await reader.piece()
            assert await reader.piece() == b""


async def test_deleting_a_running_project_wants_it_stopped_first() -> None:
    async with open_edge(serving=False) as edge:
        project = (await edge.client.post("/api/v2/projects", json=WANTED)).json()["project_id"]
        url = f"/api/v2/projects/{project}"
        refused = await edge.client.delete(url)
        assert (refused.status_code, refused.json()["current_status"]) == (409, "queued")
        gone = await edge.client.delete(url, params={"stop_first": "true"})
        assert gone.status_code == 202
        assert gone.headers["location"] == f"/api/v2/tasks/{gone.json()['task_id']}"
        assert (await edge.client.get(gone.headers["location"])).json()["task_type"] == "purge"
        assert (await edge.client.get(url)).status_code == 404
        assert (await edge.client.delete(url)).status_code == 404
        assert (await edge.client.get("/api/v2/projects")).json()["items"] == []


async def test_a_key_makes_a_project_once_however_often_and_at_once_it_is_sent() -> None:
    async with open_edge(serving=False) as edge:
        key = {"idempotency-key": "a key"}
        answers = await asyncio.gather(
            *(edge.client.post("/api/v2/projects", json=WANTED, headers=key) for _ in range(5))
        )
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.content for answer in answers}) == 1
        other = await edge.client.post("/api/v2/projects", json=WANTED | {"priority": 1}, headers=key)
        assert (other.status_code, other.json()["type"]) == (422, "urn:nexus:problem:key-reused")
        assert len((await edge.client.get("/api/v2/projects")).json()["items"]) == 1
        for wrong in ("", "k" * 201, "schlüssel".encode("latin-1")):
            refused = await edge.client.post("/api/v2/projects", json=WANTED, headers={b"idempotency-key": wrong})
            assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/Idempotency-Key")


async def test_lists_come_in_pages_newest_first_by_a_cursor_that_cannot_be_made_up() -> None:
    async with open_edge(serving=False) as edge:
        made = [(await edge.client.post("/api/v2/projects", json=WANTED)).json()["project_id"] for _ in range(5)]
        found, cursor, pages = list[str](), None, 0
        while pages == 0 or cursor:
            page = (
                await edge.client.get("/api/v2/projects", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
            ).json()
            found += [project["project_id"] for project in page["items"]]
            cursor, pages = page["next_cursor"], pages + 1
        assert found == made[::-1]
        assert pages == 3
        queued = (await edge.client.get("/api/v2/projects", params={"status": "queued"})).json()["items"]
        assert len(queued) == 5
        for wrong in ({"limit": 0}, {"limit": 101}, {"limit": "x"}, {"cursor": "eHh4"}, {"status": "lost"}):
            refused = await edge.client.get("/api/v2/projects", params=wrong)
            assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json"), wrong


async def test_an_etag_that_is_still_right_is_304() -> None:
    async with open_site() as site:
        url = f"/api/v2/projects/{site.project_id}"
        etag = (await site.client.get(url)).headers["etag"]
        same = await site.client.get(url, headers={"if-none-match": etag})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
        for known in (f"W/{etag}", f'"0", W/{etag}', "*"):
            assert (await site.client.get(url, headers={"if-none-match": known})).status_code == 304
        assert (await site.client.get(url, headers={"if-none-match": '"0"'})).status_code == 200


async def test_a_project_that_is_held_tells_how_many_are_before_it_now() -> None:
    async with open_edge(serving=False, admission=Limits(1, 10)) as edge:
        answers = [
            (await edge.client.post("/api/v2/projects", json=WANTED | {"priority": priority})).json()
            for priority in (3, 1, 5)
        ]
        assert [(answer["status"], answer["position"]) for answer in answers] == [
            ("queued", None), ("pending", 1), ("pending", 1),
        ]  # fmt: skip
        running, low, urgent = [f"/api/v2/projects/{answer['project_id']}" for answer in answers]
        shown = [await edge.client.get(url) for url in (running, urgent, low)]
        assert [answer.json()["position"] for answer in shown] == [None, 1, 2]
        boards = [(await edge.client.get(f"{url}/build")).json() for url in (urgent, low)]
        assert [board["project"]["position"] for board in boards] == [1, 2]
        listed = (await edge.client.get("/api/v2/projects")).json()["items"]
        assert {project["position"] for project in listed} == {None}
        known = {"if-none-match": shown[2].headers["etag"]}
        assert (await edge.client.get(low, headers=known)).status_code == 304
        await edge.client.post(f"{urgent}/control", json={"action": "stop"})
        moved = await edge.client.get(low, headers=known)
        assert (moved.status_code, moved.json()["position"]) == (200, 1)
        await edge.client.post(f"{running}/control", json={"action": "stop"})
        let_in = (await edge.client.get(low)).json()
        assert (let_in["status"], let_in["position"]) == ("queued", None)


async def test_a_new_build_tells_when_it_started_itself() -> None:
    async with open_site() as site:
        url = f"/api/v2/projects/{site.project_id}"
        first = (await site.client.get(f"{url}/build")).json()
        await site.client.post(f"{url}/control", json={"action": "restart", "from_stage": "deployment"})
        await site.client.get(f"{url}/events")
        second = (await site.client.get(f"{url}/build")).json()
        assert second["build"]["build_no"] == 2
        assert first["build"]["completed_at"] < second["build"]["created_at"] < second["build"]["started_at"]
        assert second["project"]["started_at"] == second["build"]["started_at"]


async def test_what_is_anothers_is_answered_as_what_is_nowhere() -> None:
    async with open_edge(serving=False) as edge:
        theirs = await edge.process.services.builds.start(EVE, Opening(requirement=WANTED["requirement"]))
        answers = set[bytes]()
        for project in (
            theirs.project_id,
            "prj_01K00000000000000000000000",
            "prj_x",
            "'; DROP TABLE",
            "tsk_01K00000000000000000000000",
        ):
            answer = await edge.client.get(f"/api/v2/projects/{project}", headers={"x-request-id": "same"})
            assert answer.status_code == 404
            told = msgspec.json.decode(answer.content, type=dict[str, object])
            assert unquote(str(told.pop("instance"))) == f"/api/v2/projects/{project}"
            answers.add(msgspec.json.encode(told))
        assert len(answers) == 1
        for method, path in [
            ("GET", "/files"),
            ("GET", "/events"),
            ("DELETE", ""),
            ("GET", "/tasks"),
            ("GET", "/build"),
        ]:
            answer = await edge.client.request(method, f"/api/v2/projects/{theirs.project_id}{path}")
            assert answer.status_code == 404, path
        stopped = await edge.client.post(f"/api/v2/projects/{theirs.project_id}/control", json={"action": "stop"})
        assert stopped.status_code == 404


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [({"project_name": " \u200b"}, "/project_name"), ({"tags": ["ok", "\x1b[31m"]}, "/tags/1"), ({"user_name": "\n"}, "/user_name")],
)  # fmt: skip
async def test_a_label_that_is_no_visible_line_is_refused_with_its_place(
    fields: dict[str, object], pointer: str
) -> None:
    async with open_site() as site:
        refused = await site.client.post("/api/v2/projects", json={"requirement": "Converts miles to km", **fields})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)
