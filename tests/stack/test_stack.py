"""Two api and two worker processes behind nginx: from the outside nobody can tell which one answered, and killing any loses nothing."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.journeys.doubler import HOLDABLE, OUTPUTS, REQUIREMENT, STAGES, all_held, marked, said
from tests.journeys.server import Provider
from tests.journeys.test_first_run import git, keys_of
from tests.journeys.user import REPLY_ENDS, Heard, User
from tests.stack.processes import WORKERS, Stack

RECOVERY_SECONDS = 45
STOP_SECONDS = 2


@contextmanager
def running(directory: Path, **environ: str) -> Iterator[Stack]:
    with Stack(directory, environ=environ) as stack:
        stack.start()
        yield stack


@contextmanager
def user_of(stack: Stack, name: str = "nginx") -> Iterator[User]:
    user = User(stack.url_of(name))
    try:
        yield user
    finally:
        user.close()


def project_folder(stack: Stack, project_id: str) -> Path:
    [folder] = (stack.directory / "files/projects").rglob(project_id)
    return folder


def test_a_sentence_becomes_an_agent_that_answers_through_the_balancer(tmp_path: Path) -> None:
    with running(tmp_path, NEXUS_BUILDS__SWEEP_SECONDS="600") as stack, user_of(stack) as user:
        projects = [user.built("An agent that converts kilometres to miles") for _ in range(3)]
        assert {project["status"] for project in projects} == {"completed"}
        heard = user.asks(projects[0]["agent_ids"][0], "How many miles are 42 km?")
        assert heard.ending == "reply.completed" and "26.0976 mi" in heard.text
        assert heard.tools == ["convert_units"]
        assert len(user.get("/agents")["items"]) == 3


def test_a_queue_that_is_gone_loses_no_build(tmp_path: Path) -> None:
    with running(tmp_path) as stack, user_of(stack) as user:
        stack.kill("queues")
        assert user.built("An agent that converts kilometres to miles")["status"] == "completed"
        for name in WORKERS:
            stack.kill(name, signal.SIGTERM)
            assert stack.started[name].process.returncode == 0


HALF = {"say": {"pieces": ["Half ", "of it "], "stall": True}}


def test_a_reply_is_followed_and_stopped_through_another_process_and_survives_its_own(tmp_path: Path) -> None:
    with (
        Provider(said(chat=[HALF, HALF, "All of it."])) as model,
        running(tmp_path, **model.settings) as stack,
        user_of(stack, "api-1") as one,
        user_of(stack, "api-2") as other,
    ):
        [agent_id] = one.built(REQUIREMENT)["agent_ids"]
        session_id = one.session(agent_id)
        with one.stream(f"/sessions/{session_id}/stream", said="talk") as stream:
            address = stream.response.headers["content-location"]
            before = stream.until_text("Half of it ")
            with other.stream(address.removeprefix("/api/v2")) as followed:
                assert followed.until_text("Half of it ") == before
                asked_at = time.monotonic()
                reply_id = address.rpartition("/replies/")[2].partition("/")[0]
                other.post(f"/sessions/{session_id}/replies/{reply_id}/cancel")
                assert followed.until(*REPLY_ENDS)[-1].tag == "reply.cancelled"
                assert time.monotonic() - asked_at < STOP_SECONDS
        session_id = one.session(agent_id)
        with one.stream(f"/sessions/{session_id}/stream", said="talk again") as stream:
            address = stream.response.headers["content-location"]
            before = stream.until_text("Half of it ")
            stack.kill("api-1")
        rest = other.hears(address, after=before[-1].position)
        whole = other.hears(address)
        assert [*before, *rest.events] == whole.events
        assert (whole.ending, whole.text) == ("reply.completed", "All of it.")
        positions = [event.position for event in whole.events]
        assert positions == sorted(set(positions))
        assert other.messages(session_id)[-1]["content"] == "All of it."


def test_a_worker_that_is_killed_in_any_stage_is_taken_over_and_no_stage_is_committed_twice(tmp_path: Path) -> None:
    with Provider(all_held()) as model:
        settings: Mapping[str, str] = {**model.settings, "NEXUS_BUILDS__CONCURRENCY": str(len(HOLDABLE))}
        with running(tmp_path, **settings) as stack, user_of(stack) as user, ExitStack() as streams:
            stack.kill("worker-2")
            ids = {stage: user.started(marked(REQUIREMENT, stage)) for stage in HOLDABLE}
            for stage, project_id in ids.items():
                streams.enter_context(user.stream(f"/projects/{project_id}/events")).until("stage.started", of=stage)
            for stage in HOLDABLE:
                model.wait_for(f"{stage if stage in OUTPUTS else 'chat'}@{stage}", 3 if stage == "deployment" else 1)
            stack.start_nexus("worker-2")
            stack.kill("worker-1")
            killed_at = datetime.now(UTC)
            for stage, project_id in ids.items():
                whole = user.followed(project_id)
                [*_, again] = [event for event in whole if event.tag == "build.started"]
                assert (datetime.fromisoformat(again.data["at"]) - killed_at).total_seconds() < RECOVERY_SECONDS
                assert whole[-1].tag == "build.completed", (stage, whole[-1].data)
                assert [event.position for event in whole] == list(range(1, len(whole) + 1))
                started = Counter(event.data["stage"] for event in whole if event.tag == "stage.started")
                assert started == Counter([*STAGES, stage])
                assert keys_of(project_folder(stack, project_id)) == [f"1/{name}" for name in STAGES]
                assert git(project_folder(stack, project_id), "status", "--porcelain") == ""


@pytest.mark.parametrize("how", ["flushed", "stopped and started"])
def test_redis_is_lost_in_the_middle_of_a_reply_and_of_a_build_and_nothing_else_is(tmp_path: Path, how: str) -> None:
    slow = {"say": {"pieces": [f"{n} " for n in range(60)], "delay": 0.05}}
    with (
        Provider(said(chat=[slow])) as model,
        running(tmp_path, **model.settings) as stack,
        user_of(stack) as user,
        user_of(stack) as builder,
    ):
        [agent_id] = user.built(REQUIREMENT)["agent_ids"]
        session_id, text = user.session(agent_id), "".join(f"{n} " for n in range(60))
        built = dict[str, object]()
        building = threading.Thread(target=lambda: built.update(builder.built("An agent that converts units")))
        with user.stream(f"/sessions/{session_id}/stream", said="talk") as stream:
            address = stream.response.headers["content-location"]
            before = stream.until_text("0 1 2 3 4 5 ")
            building.start()
            if how == "flushed":
                stack.flush_redis()
            else:
                stack.kill("redis")
                time.sleep(0.5)
                stack.start_redis()
        building.join(RECOVERY_SECONDS)
        assert built["status"] == "completed"
        deadline = time.monotonic() + RECOVERY_SECONDS
        while user.get(f"/sessions/{session_id}")["active_reply"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert user.messages(session_id)[-1]["content"] == text
        rest = user.hears(address, after=before[-1].position)
        assert rest.ending == "reply.completed"
        assert Heard([*before, *rest.events]).text == text, "no hole and no repeat"
        assert all(stack.is_alive(name) for name in ("api-1", "api-2", "worker-1", "worker-2"))
