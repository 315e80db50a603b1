"""Starting, refusing to start, stopping."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from time import monotonic

from tests.journeys.conftest import Opens, ServedApp
from tests.journeys.doubler import HELD, REQUIREMENT, STAGES, held_at, said
from tests.journeys.server import Provider, command
from tests.journeys.test_first_run import keys_of
from tests.journeys.user import API, Json

EXIT_SECONDS = 20


def test_a_second_server_on_the_same_directory_is_refused(tmp_path: Path, opens: Opens) -> None:
    with opens(tmp_path / "data") as app:
        second = command("serve", "--port", "0", "--data-dir", str(app.data), folder=tmp_path)
        assert second.returncode != 0
        assert f"process {app.server.pid}" in second.stderr
        assert str(app.data) in second.stderr
        assert "Traceback" not in second.stderr
        assert app.user.http.get("/ready").status_code == 200


def test_a_taken_port_is_refused(tmp_path: Path, opens: Opens) -> None:
    with opens(tmp_path / "data") as app:
        port = str(app.user.http.base_url.port)
        second = command("serve", "--port", port, "--data-dir", str(tmp_path / "other"), folder=tmp_path)
        assert second.returncode != 0
        assert port in second.stderr
        assert "Traceback" not in second.stderr


def test_listening_to_other_machines_needs_a_token(tmp_path: Path) -> None:
    refused = command(
        "serve", "--port", "0", folder=tmp_path, NEXUS_HOST="0.0.0.0", NEXUS_DATA_DIR=str(tmp_path / "data")
    )
    assert refused.returncode != 0
    assert "NEXUS_AUTH__TOKEN" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_a_misspelt_setting_is_refused_by_name(tmp_path: Path) -> None:
    refused = command("serve", "--port", "0", "--data-dir", str(tmp_path / "data"), folder=tmp_path, NEXUS_PROT="1")
    assert refused.returncode != 0
    assert "NEXUS_PROT" in refused.stderr
    assert "NEXUS_PORT" in refused.stderr


def test_a_token_is_asked_for_where_one_is_set(tmp_path: Path, opens: Opens) -> None:
    settings = {"NEXUS_AUTH__TOKEN": "open-sesame-of-ali-baba", "NEXUS_HOST": "0.0.0.0"}
    with opens(tmp_path / "data", token="open-sesame-of-ali-baba", **settings) as app:
        assert app.user.get("/projects")["items"] == []
        for shown in ({"Authorization": ""}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic open-sesame"}):
            for method, path in (("GET", "/projects"), ("POST", "/projects"), ("GET", "/sessions"), ("GET", "/tools")):
                answer = app.user.http.request(method, API + path, headers=shown)
                assert answer.status_code == answer.json()["status"] == 401, (method, path, shown)
                assert answer.headers["www-authenticate"].startswith("Bearer")
        assert app.user.http.get("/health", headers={"Authorization": ""}).status_code == 200
        app.server.stop()
        assert not any("open-sesame-of-ali-baba" in line for line in app.server.said)


def test_sigterm_ends_open_streams_and_hands_the_build_back(tmp_path: Path, opens: Opens) -> None:
    with Provider(held_at("design")) as model:
        with opens(tmp_path / "data", **model.settings) as app:
            project_id = app.user.started(REQUIREMENT)
            with app.user.stream(f"/projects/{project_id}/events") as stream:
                before = stream.until("stage.started", of="design")
                model.wait_for("design")
                began = monotonic()
                assert app.server.stop() == 0
                assert monotonic() - began < EXIT_SECONDS
                before += stream.rest()
                assert stream.reconnect
        with opens(tmp_path / "data", **model.settings) as app:
            after = app.user.followed(project_id, after=before[-1].position)
            assert after[-1].tag == "build.completed", after[-1].data
            whole = app.user.followed(project_id)
            assert [*before, *after] == whole
            assert [event.position for event in whole] == list(range(1, len(whole) + 1))
            assert [stage["attempt"] for stage in app.user.stages(project_id)] == [1] * len(STAGES)
            assert keys_of(app.project_folder(project_id)) == [f"1/{stage}" for stage in STAGES]
            assert model.asked().count("design") == 2


def rows(data: Path, table: str) -> list[Json]:
    """What a server that has ended left in a table."""
    with closing(sqlite3.connect(f"file:{data / 'nexus.db'}?mode=ro", uri=True)) as store:
        return [json.loads(row) for (row,) in store.execute(f"select row from nexus_{table}")]


def test_sigterm_hands_back_the_builds_that_wait_after_a_kill(tmp_path: Path, opens: Opens) -> None:
    data = tmp_path / "data"
    with Provider(said(intake=[HELD])) as model:
        with opens(data, NEXUS_BUILDS__CONCURRENCY="3", **model.settings) as app:
            ids = [app.user.started("An agent that converts units") for _ in range(3)]
            model.wait_for("intake", 3)
            app.server.kill()
        with opens(data, NEXUS_BUILDS__CONCURRENCY="1", **model.settings) as app:
            model.wait_for("intake", 4)
            assert {app.user.project(project_id)["status"] for project_id in ids} == {"building"}
            assert app.server.stop() == 0
        assert model.asked().count("intake") == 4, "one ran, two waited"
    builds = [task for task in rows(data, "tasks") if task["task_type"] != "purge"]
    assert [(task["status"], task.get("worker_id")) for task in builds] == [("queued", None)] * 3
    with opens(data) as app:
        for project_id in ids:
            assert app.user.followed(project_id)[-1].tag == "build.completed"
            assert {stage["attempt"] for stage in app.user.stages(project_id)} == {1}


def test_sigterm_hands_back_the_replies_that_wait_and_they_lose_nothing(tmp_path: Path, opens: Opens) -> None:
    data, stalled = tmp_path / "data", {"say": {"pieces": ["Half ", "of it "], "stall": True}}
    with Provider(said(chat=[stalled, "Good."])) as model:
        crowded = {"NEXUS_LIMITS__REPLIES": "1", "NEXUS_LIMITS__DRAIN_SECONDS": "0.1"}
        with opens(data, **crowded, **model.settings) as app:
            [agent_id] = app.user.built(REQUIREMENT)["agent_ids"]
            sessions = [app.user.session(agent_id) for _ in range(4)]
            with app.user.stream(f"/sessions/{sessions[0]}/stream", said="talk") as stream:
                addresses = [stream.response.headers["content-location"]]
                stream.until_text("Half of it ")
                for session_id in sessions[1:]:
                    with app.user.stream(f"/sessions/{session_id}/stream", said="talk") as waiting:
                        addresses.append(waiting.response.headers["content-location"])
                        assert waiting.until("reply.waiting")[0].data["position"] == len(addresses) - 2
                assert app.server.stop() == 0
        left = rows(data, "replies")
        assert [(row["status"], row.get("worker_id"), row["deaths"]) for row in left] == [("running", None, 0)] * 4
        with opens(data, **model.settings) as app:
            first, *others = [app.user.hears(address) for address in addresses]
            assert (first.text, first.ending) == ("Good.", "reply.completed")
            for heard in others:
                assert (heard.text, heard.ending) == ("Good.", "reply.completed")
                assert [event.tag for event in heard.events][:2] == ["reply.waiting", "reply.started"]
                assert "reply.reset" not in [event.tag for event in heard.events]
            assert app.server.stop() == 0
        assert {(row["status"], row["deaths"], row["fence"]) for row in rows(data, "replies")} == {("completed", 0, 2)}


def test_an_idle_server_ends_at_once(tmp_path: Path, opens: Opens) -> None:
    with opens(tmp_path / "data") as app:
        began = monotonic()
        assert app.server.stop() == 0
        assert monotonic() - began < 3


def test_a_server_tells_how_it_is_and_what_it_can_be_asked(app: ServedApp) -> None:
    health = app.user.http.get("/health").json()
    assert (health["status"], health["parts"]["database"]["connected"]) == ("ok", True)
    assert app.user.http.get("/openapi.json").json()["openapi"].startswith("3.1")
    assert "<script>" in app.user.http.get("/docs").text
