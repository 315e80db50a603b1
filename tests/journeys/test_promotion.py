"""A laptop's nexus goes to DynamoDB in the middle of its work: what waited, what was being built and what was being said goes on there."""

from pathlib import Path
from uuid import uuid4

from tests.contracts.conftest import aws_url as aws_url
from tests.journeys.conftest import Opens
from tests.journeys.doubler import REQUIREMENT, all_held, marked, said
from tests.journeys.server import Provider, command
from tests.journeys.test_first_run import git
from tests.journeys.user import Json, User

STALLED = {"say": {"pieces": ["Half ", "of it "], "stall": True}}


def make_script() -> Json:
    """A build that is marked `tools` stays in that stage, one that is marked `design` does not; the first reply stalls."""
    script, held = said(chat=[STALLED, "All of it."]), all_held()["answers"]
    held["build_design@design"] = held["build_design@design"][1:]
    return {**script, "answers": {**script["answers"], **held}}


def is_built(user: User, project_id: str) -> bool:
    return user.followed(project_id)[-1].tag == "build.completed" and user.project(project_id)["status"] == "completed"


def test_what_waited_and_what_was_under_way_goes_on_in_the_new_store(
    aws_url: str, tmp_path: Path, opens: Opens
) -> None:
    data, mount = tmp_path / "data", tmp_path / "mount"
    aws = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}
    tables = {"NEXUS_TABLES__ENDPOINT_URL": aws_url, "NEXUS_TABLES__PREFIX": f"t{uuid4().hex[:8]}_"}
    target = {"NEXUS_TABLES__BACKEND": "dynamodb", "NEXUS_FILES__ROOT": str(mount), **tables, **aws}
    assert command("init-resources", folder=tmp_path, **target).returncode == 0
    with Provider(make_script()) as model:
        with opens(data, **model.settings, NEXUS_BUILDS__CONCURRENCY="1") as app:
            project = app.user.built(REQUIREMENT)
            running, waiting = (app.user.started(marked(REQUIREMENT, mark)) for mark in ("tools", "design"))
            model.wait_for("tools@tools")
            session_id = app.user.session(project["agent_ids"][0])
            with app.user.stream(f"/sessions/{session_id}/stream", said="talk") as stream:
                address = stream.response.headers["content-location"]
                before = stream.until_text("Half of it ")
                assert [app.user.project(one)["status"] for one in (running, waiting)] == ["building", "queued"]
                app.server.kill()
        ways = ("--from", "sqlite", "--to", "dynamodb", "--data-dir", str(data), "--files-to", str(mount))
        moved = command("promote", *ways, folder=tmp_path, **tables, **aws)
        assert moved.returncode == 0, moved.stderr
        soon = {"NEXUS_BUILDS__LEASE_SECONDS": "1", "NEXUS_BUILDS__SWEEP_SECONDS": "0.2"}
        with opens(tmp_path / "own", **model.settings, **target, **soon) as app:
            assert is_built(app.user, running) and is_built(app.user, waiting)
            assert git(mount / "projects" / waiting, "status", "--porcelain") == ""
            rest, whole = app.user.hears(address, after=before[-1].position), app.user.hears(address)
            assert [heard.text for heard in (rest, whole)] == ["All of it."] * 2
            assert [message["content"] for message in app.user.messages(session_id)] == ["talk", "All of it."]
            assert app.user.asks(project["agent_ids"][0], "again").text == "All of it."
