"""kill -9 in every stage of a build, and in the middle of a reply."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.journeys.conftest import Opens, ServedApp, opened
from tests.journeys.doubler import HOLDABLE, OUTPUTS, REQUIREMENT, STAGES, all_held, marked, said
from tests.journeys.server import Provider
from tests.journeys.test_first_run import git, keys_of
from tests.journeys.user import REPLY_ENDS, Event, Heard, User

RECOVERY_SECONDS = 5


class Survivor(NamedTuple):
    """A build whose server was killed in a stage, now on a new one."""

    app: ServedApp
    project_id: str
    before: Sequence[Event]
    ready: datetime
    asked: Sequence[str]


@pytest.fixture(scope="module")
def survivors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Survivor]]:
    """One build for each stage that asks a model, in flight in that stage when their common server is killed."""
    data = tmp_path_factory.mktemp("killed") / "data"
    before = dict[str, Sequence[Event]]()
    with Provider(all_held()) as model:
        settings = {**model.settings, "NEXUS_BUILDS__CONCURRENCY": str(len(HOLDABLE))}
        with opened(data, **settings) as app, ExitStack() as streams:
            ids = {stage: app.user.started(marked(REQUIREMENT, stage)) for stage in HOLDABLE}
            for stage, project_id in ids.items():
                stream = streams.enter_context(app.user.stream(f"/projects/{project_id}/events"))
                before[stage] = stream.until("stage.started", of=stage)
            for stage in HOLDABLE:
                model.wait_for(f"{stage if stage in OUTPUTS else 'chat'}@{stage}", 3 if stage == "deployment" else 1)
            app.server.kill()
        with opened(data, **settings) as app:
            ready = datetime.now(UTC)
            for project_id in ids.values():
                app.user.followed(project_id)
            yield {
                stage: Survivor(app, project_id, before[stage], ready, model.asked(stage))
                for stage, project_id in ids.items()
            }


@pytest.mark.parametrize("stage", HOLDABLE)
def test_a_build_goes_on_by_itself_after_its_server_was_killed_in_a_stage(
    survivors: Mapping[str, Survivor], stage: str
) -> None:
    survivor = survivors[stage]
    _went_on(survivor.app, survivor.project_id, survivor.before, stage, survivor.ready)
    lost = stage if stage in OUTPUTS else "chat"
    assert Counter(survivor.asked) == Counter([*OUTPUTS, *["chat"] * 4, lost]), "only the call in flight is made again"


def test_a_build_goes_on_by_itself_after_its_server_died_in_a_stage_without_a_model(
    tmp_path: Path, opens: Opens
) -> None:
    data, seventh = tmp_path / "data", "before:stage.commit@7"
    with Provider(said()) as model:
        with opens(data, NEXUS_CHAOS__FAILPOINT=seventh, **model.settings) as app:
            project_id = app.user.started(REQUIREMENT)
            with app.user.stream(f"/projects/{project_id}/events") as stream:
                before = stream.rest()
            assert app.server.ended() == 137
            assert before[-1].data["stage"] == "assembly"
        with opens(data, **model.settings) as app:
            _went_on(app, project_id, before, "assembly", datetime.now(UTC))
            assert model.asked() == [*STAGES[:6], *["chat"] * 4]


def _went_on(app: ServedApp, project_id: str, before: Sequence[Event], stage: str, ready: datetime) -> None:
    """From the position of the reader that was cut off: soon, to the end, every position once, every stage once."""
    after = app.user.followed(project_id, after=before[-1].position)
    whole = app.user.followed(project_id)
    assert [*before, *after] == whole
    assert [event.position for event in whole] == list(range(1, len(whole) + 1))
    assert after[-1].tag == "build.completed", after[-1].data
    [again] = [event for event in after if event.tag == "build.started"]
    assert (datetime.fromisoformat(again.data["at"]) - ready).total_seconds() < RECOVERY_SECONDS
    assert {row["stage_name"]: (row["status"], row["attempt"]) for row in app.user.stages(project_id)} == dict.fromkeys(
        STAGES, ("completed", 1)
    )
    assert [event.data["stage"] for event in whole if event.tag == "stage.completed"] == list(STAGES)
    started = Counter(event.data["stage"] for event in whole if event.tag == "stage.started")
    assert started == Counter([*STAGES, stage])
    folder = app.project_folder(project_id)
    assert keys_of(folder) == [f"1/{name}" for name in STAGES]
    assert git(folder, "status", "--porcelain") == ""
    [agent_id] = app.user.project(project_id)["agent_ids"]
    assert app.user.get(f"/agents/{agent_id}")["active_version"] == 1


def test_a_reply_is_taken_over_or_ended_after_its_server_was_killed_and_no_reader_misses_anything(
    tmp_path: Path, opens: Opens
) -> None:
    stalled = {"say": {"pieces": ["Half ", "of it "], "stall": True}}
    with Provider(said(chat=[stalled, "All of it.", "Once more."])) as model:
        with opens(tmp_path / "data", **model.settings) as app:
            project = app.user.built(REQUIREMENT)
            session_id = app.user.session(project["agent_ids"][0])
            with app.user.stream(f"/sessions/{session_id}/stream", said="talk", key="once") as stream:
                address = stream.response.headers["content-location"]
                before = stream.until_text("Half of it ")
                app.server.kill()
        with opens(tmp_path / "data", **model.settings) as app:
            rest = app.user.hears(address, after=before[-1].position)
            whole = app.user.hears(address)
            with app.user.stream(f"/sessions/{session_id}/stream", said="talk", key="once") as stream:
                assert stream.until(*REPLY_ENDS) == whole.events, "the same key is the same reply"
            assert [*before, *rest.events] == whole.events
            positions = [event.position for event in whole.events]
            assert positions == sorted(set(positions))
            _kept_as_it_was_heard(app.user, session_id, whole)
            _can_be_written_again(app.user, session_id)


def _kept_as_it_was_heard(user: User, session_id: str, whole: Heard) -> None:
    [_, answer] = user.messages(session_id)
    assert answer["content"] == whole.text
    if whole.ending == "reply.interrupted":
        assert (whole.text, answer["metadata"]) == ("Half of it ", {"status": "interrupted"})
    else:
        assert (whole.ending, whole.text, answer["metadata"]) == ("reply.completed", "All of it.", None)
        assert "reply.reset" in [event.tag for event in whole.events]
    session = user.get(f"/sessions/{session_id}")
    assert (session["message_count"], session["active_reply"]) == (2, None)


def _can_be_written_again(user: User, session_id: str) -> None:
    [_, answer] = user.messages(session_id)
    begun = user.post(f"/sessions/{session_id}/messages/{answer['message_id']}/regenerate")
    again = user.hears(begun["events_url"])
    assert again.ending == "reply.completed"
    assert [message["content"] for message in user.messages(session_id)] == ["talk", again.text]


def test_builds_that_ran_and_builds_that_waited_all_end_after_a_kill(tmp_path: Path, opens: Opens) -> None:
    with opens(tmp_path / "data", NEXUS_BUILDS__CONCURRENCY="1") as app:
        ids = [app.user.started("An agent that converts units") for _ in range(3)]
        with app.user.stream(f"/projects/{ids[0]}/events") as stream:
            stream.until("stage.started", of="tools")
            app.server.kill()
    with opens(tmp_path / "data") as app:
        unfinished = [app.user.project(project_id)["status"] for project_id in ids]
        assert set(unfinished) & {"queued", "building"}
        for project_id in ids:
            assert app.user.followed(project_id)[-1].tag == "build.completed"
            assert {stage["attempt"] for stage in app.user.stages(project_id)} == {1}
            assert keys_of(app.project_folder(project_id)) == [f"1/{name}" for name in STAGES]
            assert git(app.project_folder(project_id), "status", "--porcelain") == ""
        assert len(app.user.get("/agents")["items"]) == len(ids)
