"""Replies belong to the server, not to the connection that asked for them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import NamedTuple

import pytest

from tests.journeys.conftest import ServedApp, opened
from tests.journeys.doubler import REQUIREMENT, said
from tests.journeys.server import Provider
from tests.journeys.user import API, REPLY_ENDS, User

COUNTING = [f"{number} " for number in range(40)]
SLOWLY = {"say": {"pieces": COUNTING, "delay": 0.03}}
FOR_EVER = {"say": {"pieces": ["one ", "two "], "stall": True}}


class Talk(NamedTuple):
    user: User
    agent_id: str

    def begun(self) -> tuple[str, str]:
        """A session, and where the events of the reply to its first message are."""
        session_id = self.user.session(self.agent_id)
        return session_id, self.user.post(f"/sessions/{session_id}/messages", content="count")["events_url"]


def talk_of(tmp_path_factory: pytest.TempPathFactory, answer: object) -> Iterator[Talk]:
    folder = tmp_path_factory.mktemp("talk")
    with Provider(said(chat=[answer])) as model, opened(folder / "data", **model.settings) as app:
        project = app.user.built(REQUIREMENT)
        assert project["status"] == "completed", project["error_info"]
        yield Talk(app.user, project["agent_ids"][0])


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    """An agent whose every answer takes more than a second."""
    yield from talk_of(tmp_path_factory, SLOWLY)


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    """An agent that says two words and then no more."""
    yield from talk_of(tmp_path_factory, FOR_EVER)


def test_two_readers_hear_the_same(slow: Talk) -> None:
    _, address = slow.begun()
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(slow.user.hears, [address, address])
    assert first.events == second.events
    assert first.text == "".join(COUNTING)
    assert slow.user.hears(address, after=3).events == first.events[3:]


def test_a_stream_that_was_read_to_its_end_is_over(slow: Talk) -> None:
    _, address = slow.begun()
    heard = slow.user.hears(address)
    again = slow.user.http.get(address, headers={"Last-Event-ID": str(heard.events[-1].position)})
    assert (again.status_code, again.content) == (204, b"")


def test_closing_every_stream_stops_nothing(slow: Talk) -> None:
    session_id = slow.user.session(slow.agent_id)
    with slow.user.stream(f"/sessions/{session_id}/stream", said="count") as asking:
        address = asking.response.headers["content-location"]
        with slow.user.stream(address.removeprefix(API)) as beside:
            beside.until("reply.delta")
        asking.until("reply.delta")
    assert slow.user.get(f"/sessions/{session_id}")["active_reply"] is not None
    heard = slow.user.hears(address)
    assert (heard.ending, heard.text) == ("reply.completed", "".join(COUNTING))
    assert [message["content"] for message in slow.user.messages(session_id)] == ["count", heard.text]


def test_one_reply_at_a_time_in_a_session(slow: Talk) -> None:
    session_id, address = slow.begun()
    refused = slow.user.refused(f"/sessions/{session_id}/messages", content="me too")
    assert refused.status_code == 409
    assert refused.json()["reply_id"] in address
    slow.user.hears(address)
    assert len(slow.user.messages(session_id)) == 2


def test_cancel_ends_a_reply_within_two_seconds_and_keeps_what_was_said(endless: Talk) -> None:
    session_id, address = endless.begun()
    with endless.user.stream(address.removeprefix(API)) as stream:
        heard = stream.until_text("one two ")
        began = monotonic()
        endless.user.post(f"{address.removeprefix(API).removesuffix('/events')}/cancel")
        heard += stream.until(*REPLY_ENDS)
        assert monotonic() - began < 2
    assert heard[-1].tag == "reply.cancelled"
    [_, answer] = endless.user.messages(session_id)
    assert (answer["content"], answer["metadata"]) == ("one two ", {"status": "cancelled"})
    assert endless.user.get(f"/sessions/{session_id}")["active_reply"] is None


def test_a_foreign_position_is_refused(app: ServedApp, slow: Talk) -> None:
    _, address = slow.begun()
    answer = slow.user.http.get(address, headers={"Last-Event-ID": "never"})
    assert answer.status_code == 422
    slow.user.hears(address)
